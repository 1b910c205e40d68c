"""What stands for validation where there are no pictures for it."""
