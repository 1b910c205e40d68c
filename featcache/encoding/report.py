"""What a run did, and who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from featcache.store.entry import Entry

Progress = Callable[[int, int], None]  # crops done, crops in all


@dataclass
class Report:
    """What a run did: pictures encoded and left as they were, seconds by stage, bad pictures.

    `taken` are those whose bytes were known for the same model, here or in another entry; `notes`
    are sentences on what became of the entry. `damaged` says what was wrong with each shard that
    had to be written anew; `batch_size` is how many pictures went through the model at once.
    `read` and `decode` are summed over workers; `forward` and `write` are
    seconds of the model and of the disk, which work at the same time.
    """

    entry: Entry
    encoded: int = 0
    taken: int = 0
    skipped: int = 0
    crops: int = 0
    prompts: int = 0
    batch_size: int = 0
    wall: float = 0.0
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("read", "decode", "forward", "write"), 0.0)
    )
    bad: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
