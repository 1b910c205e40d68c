"""What an entry holds of pictures, as tensors."""
