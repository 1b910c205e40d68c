"""How an entry shows itself: what it holds, in a few facts in place of its manifest."""

from __future__ import annotations

from typing import Any

from featcache import notebook


class ShownEntry:
    """The part of an entry that a notebook sees."""

    def __repr__(self) -> str:
        entry: Any = self
        return notebook.line("Entry", entry.key, told(entry))

    def _repr_html_(self) -> str:
        entry: Any = self
        return notebook.facts(entry.key, told(entry))


def told(entry: Any) -> dict[str, Any]:
    """Classes, pictures, prompts and extras of an entry."""
    encoded = {split: entry.encoded(split) for split in entry.splits}
    return {
        "classes": len(entry.classnames),
        "pictures": notebook.several(encoded),
        "not encoded": (sum(entry.splits.values()) - sum(encoded.values())) or None,
        "prompts": ", ".join((*entry.banks, *entry.negative_banks)),
        "beside embeddings": ", ".join(entry.extras),
    }
