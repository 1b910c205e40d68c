"""What `benchmarks/fits.py` is made of."""
