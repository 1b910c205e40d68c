"""What a manifest must look like: keys and types, checked before anything is believed of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A type; `[x]`, a list of x; `{str: x}`, names to x; or keys, of which `key?` may be absent.
RECORD = {
    "kind": str,
    "bytes": int,
    "sha256": str,
    "split?": str,
    "start?": int,
    "stop?": int,
    "set?": str,
    "bank?": str,
    "bad?": int,
    "shots?": int,
    "seed?": int,
    "sums?": {str: str},
    "generation?": int,
}
MANIFEST = {
    "asked": [str],
    "shards": {str: RECORD},
    "older?": {str: RECORD},
    "notes?": [str],
    "generation?": int,
    "view_sets": {str: {str: dict}},
    "texts": {str: str},
    "extras?": {str: [str]},
    "text_tower?": str,
    "draws?": {str: {str: [int]}},
    "shard_rows?": int,
    "batch?": {str: int},
    "dataset": {
        "name": str,
        "classnames": [str],
        "class_ids?": [str],
        "splits": {str: int},
        "contents?": {str: str},
        "problems?": int,
        "supports?": {str: int},
    },
    "backbone": {"name": str, "logit_scale": float},
}


def misshapen(manifest: Mapping[str, Any]) -> str:
    """The first place where a manifest is not what it must be, in words; empty if it is."""
    if found := misfit(manifest, MANIFEST):
        return found
    for name in (*manifest["shards"], *manifest.get("older", ())):
        # Shards are opened and deleted by these names, and lie nowhere else.
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            return f"shards: {name!r} is no file name"
    return ""


def misfit(value: Any, wanted: Any, place: str = "") -> str:
    """The first place where a value is not what is wanted, in words; empty if it is."""
    if isinstance(wanted, type):
        return "" if _is(value, wanted) else f"{place} is no {wanted.__name__}"
    if not isinstance(value, type(wanted)):
        return (
            f"{place or 'its top level'} is no {'list' if isinstance(wanted, list) else 'object'}"
        )
    if isinstance(wanted, list):
        parts = [(str(i), each, wanted[0]) for i, each in enumerate(value)]
    elif str in wanted:
        parts = [(name, each, wanted[str]) for name, each in value.items()]
    else:
        parts = []
        for key, inner in wanted.items():
            name = key.removesuffix("?")
            if name in value:
                parts.append((name, value[name], inner))
            elif name == key:
                return f"{place}{'.' if place else ''}{name} is missing"
    for name, each, inner in parts:
        if found := misfit(each, inner, f"{place}.{name}" if place else name):
            return found
    return ""


def _is(value: Any, wanted: type) -> bool:
    # To JSON a whole float is an integer, and to Python a truth value is one.
    taken = (int, float) if wanted is float else wanted
    return isinstance(value, taken) and not isinstance(value, bool)
