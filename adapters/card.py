"""The card of a saved adapter: what `adapter.json` says, with a sum over itself and the state.

The sum is the SHA-256 of the card's text with an empty `sum` in it, followed by the bytes of the
state: no bit of either changes unseen. Cards of format 2 have none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import UnionType
from typing import Any

FORMAT = 3
WITHOUT_SUM = 2
SUM = "sum"

# What a card holds, and what it says of where the adapter comes from, as far as it says it.
KINDS: Mapping[str, type] = {"method": str, "config": dict, "classnames": list, "about": dict}
ABOUT: Mapping[str, type | UnionType] = {
    "dataset": str, "backbone": str, "entry": str, "fingerprint": str, "data": str,
    "bank": str | None,  # none where the data has no text
    "task": str, "shots": int, "draw": str, "seed": int, "width": int, "extras": list,
    "support": list, "calibration": dict,
}  # fmt: skip


def write(content: Mapping[str, Any], state: bytes) -> str:
    """The text of a card of that content, for a state of those bytes."""
    text = json.dumps({"format": FORMAT, SUM: "", **content}, indent=1, ensure_ascii=False) + "\n"
    return _with_sum(text, "", _digest(text.encode(), state))


def read(card: bytes, state: bytes) -> dict[str, Any]:
    """What a card says. Raises `ValueError` with the reason where it is not what was written."""
    try:
        found = json.loads(card.decode())
    except RecursionError:
        raise ValueError("adapter.json is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("adapter.json is no mapping")
    form = found.get("format")
    if form not in (FORMAT, WITHOUT_SUM):
        raise ValueError(f"adapter.json has format {form!r}, this version reads {FORMAT}")
    if form == FORMAT or SUM in found:
        _check_sum(card, state, found.get(SUM))
    _check_kinds(found, KINDS)
    _check_kinds(found["about"], {key: ABOUT[key] for key in found["about"] if key in ABOUT})
    names = found["classnames"]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("classnames in adapter.json is no list of names")
    return found


def _check_sum(card: bytes, state: bytes, told: Any) -> None:
    text = card.decode()
    if not isinstance(told, str) or not told:
        raise ValueError("adapter.json has no sum")
    if _digest(_with_sum(text, told, "").encode(), state) != told:
        raise ValueError("its files are not what was written, as their sum says")


def _check_kinds(found: Mapping[str, Any], kinds: Mapping[str, type | UnionType]) -> None:
    for key, kind in kinds.items():
        if key not in found:
            raise ValueError(f"adapter.json says no {key}")
        if not isinstance(found[key], kind) or isinstance(found[key], bool):
            raise ValueError(f"{key} in adapter.json is {found[key]!r:.60}")


def _with_sum(text: str, old: str, new: str) -> str:
    return text.replace(f'"{SUM}": "{old}"', f'"{SUM}": "{new}"', 1)


def _digest(card: bytes, state: bytes) -> str:
    return hashlib.sha256(card + state).hexdigest()
