"""From names of class folders to names of classes: as they are written, without numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from featcache.datasets.checks import nfc

# `001.Black_footed_Albatross`, `12 - cat`; `n02085620-Chihuahua` (a synset of WordNet).
_NUMBERED = re.compile(r"(?:n\d{8}|(\d+))\s*([._\-])[\s_]*([^\W\d_].*)")


def class_names(folders: Sequence[str]) -> tuple[str, ...]:
    """Names for prompts; without numbers where these only count the folders.

    That is where every folder begins with one and the names differ without. A number before `_` or
    `-` may be part of the name (`2-door`, `4-door`): those have to count from 0 or 1 on.
    """
    names = tuple(nfc(folder) for folder in folders)
    found = [match for name in names if (match := _NUMBERED.fullmatch(name))]
    bare = tuple(match[3] for match in found)
    if len(set(bare)) < len(names):
        return names
    numbers = sorted(int(match[1]) for match in found if match[1] and match[2] != ".")
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(names))):
        return names
    return bare if not numbers or numbers[0] < 2 else names
