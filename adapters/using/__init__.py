"""What is made of adapters for those who use them elsewhere."""
