"""Records that stay as they were made: which of a room's do not?"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from types import ModuleType


def thawed(room: ModuleType) -> list[str]:
    """The dataclasses of a room, private ones too, whose fields can be set after they are made."""
    own = [each for each in vars(room).values() if getattr(each, "__module__", "") == room.__name__]
    records = [each for each in own if isinstance(each, type) and is_dataclass(each)]
    assert records, f"{room.__name__} has no dataclass"
    return [each.__name__ for each in records if not _refuses(each)]


def _refuses(kind: type) -> bool:
    blank = object.__new__(kind)
    try:
        setattr(blank, fields(kind)[0].name, None)  # type: ignore[arg-type]
    except FrozenInstanceError:
        return True
    return False
