"""What `benchmarks/encoding.py` is made of."""
