"""CaFo, what CLIP gave of it: its DINO and DALL-E parts are of other backbones and pictures.

`clip_keys_{K}shots.pt` `[d, n]`, `clip_values_{K}shots.pt` one-hot, `{val,test}_clip_{f,l}.pt`.
"""

from __future__ import annotations

from dataclasses import replace

from featcache.interchange.given import Given
from featcache.interchange.projects import _common
from featcache.interchange.taken import Taken

KEYS = r"clip_keys_(?P<shots>\d+)shots\.pt"


def claims(given: Given) -> bool:
    """CLIP's keys by CaFo's name."""
    return given.has(KEYS)


def read(given: Given) -> Taken:
    """Support sets, val and test of CLIP."""
    pairs = [
        (
            int(match["shots"]),
            None,
            path,
            given.beside(path, f"clip_values_{match['shots']}shots.pt"),
        )
        for match, path in given.named(KEYS)
    ]
    taken = _common.keys_and_values(given, pairs)
    arrays = _common.splits(given, r"(?P<split>val|test)_clip_f\.pt", "{split}_clip_l.pt")
    if given.has(r"(dino|[a-z_]*dalle)_keys_\d+shots\.pt"):
        told = (
            "DINO's and DALL-E's features are left: they are of another backbone, or of drawings."
        )
        taken = replace(taken, remarks=(*taken.remarks, told))
    return _common.with_test(given, replace(taken, arrays=arrays))
