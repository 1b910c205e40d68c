"""How far probabilities can be relied on: measured, calibrated, turned into sets."""
