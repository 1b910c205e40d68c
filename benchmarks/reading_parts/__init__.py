"""What `benchmarks/reading.py` is made of."""
