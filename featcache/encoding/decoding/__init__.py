"""Pictures to crops, ahead of the model: in threads, or in processes of their own."""
