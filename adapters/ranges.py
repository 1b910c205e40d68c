"""Ranges of settings as people type them: `1e-4..1e-2`, `1e-4..1e-2:log`, `1..6`."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from typing import Any

from adapters.configure import literal
from featcache.errors import ConfigError

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both are."""

    low: float
    high: float
    log: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, rng: random.Random) -> float:
        """A number of the range, uniform, or uniform in its logarithm."""
        if self.whole and not self.log:
            return rng.randint(int(self.low), int(self.high))
        if self.log:
            found = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            found = rng.uniform(self.low, self.high)
        found = min(max(found, self.low), self.high)  # exp and log may leave it by a rounding
        return round(found) if self.whole else found


def span(value: Any) -> Range | None:
    """The range that a value spells, if it spells one.

    Raises `ConfigError` for a range that is empty, or logarithmic and not above 0.
    """
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    found = Range(literal(match[1]), literal(match[2]), bool(match[3]))
    if not found.low < found.high or (found.log and found.low <= 0):
        raise ConfigError(f"{value!r} is no range; it takes low..high, above 0 where it is :log.")
    return found
