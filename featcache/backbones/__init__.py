"""From a name to a loaded model, and what the model makes of pictures and prompts."""
