"""The pipeline: plan, decode, batch, forward, write; every picture once, and resumable."""
