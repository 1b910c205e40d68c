"""Class names in a file of their own, in label order: lines, or JSON as projects keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featcache.errors import ImportRefusedError

LARGEST = 2**26  # bytes; CoOp's list of ImageNet's pictures has a third of that


def read(path: Path) -> tuple[str, ...]:
    """Class names of a file: one a line, or in JSON a list, names to labels, labels to names.

    CoOp's `split_*.json` says them too. Raises `ImportRefusedError` for anything else.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ImportRefusedError(f"{path} has over {LARGEST} bytes, which no class list has.")
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            names = _in_order(path, _of_json(json.loads(text)))
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise ImportRefusedError(f"the classes in {path} cannot be read: {error}.") from None
    if not names:
        raise ImportRefusedError(f"{path} names no class; write one a line, in label order.")
    return tuple(names)


def _of_json(content: Any) -> Any:
    """Names, or pairs of label and name."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("train"), list):
        rows = [row for rows in content.values() for row in rows]
        return {(row[1], row[2]) for row in rows if isinstance(row, list) and len(row) == 3}
    if all(isinstance(label, int) for label in content.values()):
        return {(label, name) for name, label in content.items()}
    if all(str(key).isdecimal() for key in content):
        return {(int(key), name) for key, name in content.items()}
    return None


def _in_order(path: Path, found: Any) -> list[str]:
    if isinstance(found, set):
        pairs = sorted(found)
        found = [name for _, name in pairs]
        if [label for label, _ in pairs] != list(range(len(pairs))):
            raise ImportRefusedError(
                f"{path}: labels do not run from 0 to {len(pairs) - 1} with one name each."
            )
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ImportRefusedError(
            f"{path} is no list of class names; write a list, or an object of names and labels."
        )
    return found
