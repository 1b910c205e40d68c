"""What people type: `key=value` pairs, and values that are JSON where they can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from featcache.errors import ConfigError


def split(
    option: str, pairs: Sequence[str], form: str = "key=value", once: str = "give it once"
) -> dict[str, str]:
    """Keys and values of the pairs behind an option; a value may hold `=` itself.

    Raises `ConfigError` for a pair without `=` or key, which says that the option takes that
    `form`, and for a key that stands twice, where `once` is the way out.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{option} takes {form}, got {pair!r}.")
        if (key := key.strip()) in found:
            raise ConfigError(f"{option} {key} is given twice; {once.format(key=key)}.")
        found[key] = value
    return found


def literal(text: str) -> Any:
    """A value as typed: read as JSON where it is JSON, else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
