"""Mathematics that several methods share, on tensors alone."""
