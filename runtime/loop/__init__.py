"""The monitor in a control loop: the guard and what it is made of."""
