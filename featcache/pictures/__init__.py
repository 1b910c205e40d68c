"""From the bytes of a picture to the square of pixels that a model takes."""
