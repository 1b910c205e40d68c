"""What can go wrong, in words for people.

Every exception of both packages derives from `FeatcacheError`: its text is one sentence that
says what was wrong, where, and what to do. The command line prints it and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 6  # so many names are listed whole instead of the nearest


class FeatcacheError(Exception):
    """Base of every error that this project raises on purpose."""


class UnknownNameError(FeatcacheError):
    """A name that no registry holds; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name.lower(), [n.lower() for n in names], n=3, cutoff=0.5)
        offer = [n for n in names if n.lower().startswith(name.lower()) or n.lower() in near]
        offer = offer if len(names) > FEW and name else []
        listed = ", ".join((offer or names)[:12]) + (", …" if len(offer or names) > 12 else "")
        ending = f"did you mean {listed}?" if offer else f"known are: {listed or 'none'}."
        super().__init__(f"unknown {kind} {name!r}; {ending}{' ' + hint if hint else ''}")


class DatasetError(FeatcacheError):
    """A data set that cannot be read as asked: missing root or split, bad label or path."""


class PictureError(FeatcacheError):
    """One picture that cannot be decoded; its row is kept with `valid = false`."""


class BackboneError(FeatcacheError):
    """A model that cannot be loaded as asked: unknown, not reachable, or ambiguous weights."""


class CacheError(FeatcacheError):
    """A cache entry that is missing, incomplete or cannot serve what was asked."""


class DamagedShardError(CacheError):
    """A shard whose bytes are not those that were written."""


class MissingShardError(CacheError):
    """A shard that is listed and not there."""


class ImportRefusedError(FeatcacheError):
    """A feature file that cannot be taken in: wrong keys, widths, labels, or values not finite."""


class EpisodeError(FeatcacheError):
    """A few-shot draw that the data cannot give, such as more shots than pictures."""


class ConfigError(FeatcacheError):
    """A setting that does not exist, has the wrong type or lies out of range."""


class MethodError(FeatcacheError):
    """A method that cannot do what was asked, such as scoring new classes."""


class SweepError(FeatcacheError):
    """A sweep that cannot go on, or whose runs failed."""
