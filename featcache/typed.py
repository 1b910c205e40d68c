"""What people type: `key=value` pairs, and values that are JSON where they can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from featcache.errors import ConfigError


def split(option: str, pairs: Sequence[str], form: str = "key=value") -> list[tuple[str, str]]:
    """Keys and values of the pairs behind an option; a value may hold `=` itself.

    Raises `ConfigError`, which says that the option takes that `form`, for a pair without `=` or
    key.
    """
    found = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{option} takes {form}, got {pair!r}.")
        found.append((key.strip(), value))
    return found


def literal(text: str) -> Any:
    """A value as typed: read as JSON where it is JSON, else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
