"""From names of class folders to names of classes: as they are written, without numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from featcache.datasets.checks import nfc

# `001.Black_footed_Albatross`, `12 - cat`; `n02085620-Chihuahua` (a synset of WordNet).
_NUMBERED = re.compile(r"(?:\d+\s*[._\- ]|n\d{8}[._\- ])[\s._\-]*(?=.*[^\W\d_])(.+)")


def class_names(folders: Sequence[str]) -> tuple[str, ...]:
    """Names for prompts; numbers are cut off where every folder begins with one of its own."""
    names = tuple(nfc(folder) for folder in folders)
    found = [_NUMBERED.fullmatch(name) for name in names]
    numbers = {name[: match.start(1)] for name, match in zip(names, found, strict=True) if match}
    if len(numbers) < len(names):
        return names
    return tuple(match[1] for match in found if match)
