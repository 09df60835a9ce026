"""The kind of an alarm: sensor, adversarial, unfamiliar, unsure, or unknown."""
