"""How large a picture may be: one limit a process, as pictures are decoded in its threads."""

from __future__ import annotations

from featcache.errors import ConfigError

MAX_PIXELS = 64_000_000  # a few kB of PNG can claim any size; below Pillow's own limit of 89 M
_limit = {"pixels": MAX_PIXELS}


def most_pixels() -> int:
    """How many pixels a picture may have."""
    return _limit["pixels"]


def limit_pixels(most: int = MAX_PIXELS) -> None:
    """Set that number; it changes no picture, only which are refused. ConfigError below 1."""
    if most < 1:
        raise ConfigError(f"pictures must be allowed at least 1 pixel, not {most}.")
    _limit["pixels"] = most


def too_large(height: int, width: int) -> str:
    """Why a picture of this size is refused; empty where it is not."""
    if height * width <= most_pixels():
        return ""
    return f"has {width} x {height} pixels; the limit is {in_words()}."


def in_words() -> str:
    """The limit as sentences say it."""
    return f"{most_pixels() / 10**6:g} million, which --max-pixels can raise"
