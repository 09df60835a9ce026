"""The safety laboratory: what makes a model safer, and what that did to it."""
