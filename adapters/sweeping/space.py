"""What a search may try: ranges as people type them, lists, and the spaces that methods declare.

A range is `1e-4..1e-2`, `1e-4..1e-2:log` or `1..6`.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.compose import get
from adapters.configure import configure
from adapters.expression import leaves
from featcache.errors import ConfigError
from featcache.typed import literal

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

    def sample(self, rng: random.Random) -> float:
        """A number of the range, uniform, or uniform in its logarithm."""
        if self.whole and not self.log:
            return rng.randint(int(self.low), int(self.high))
        if self.log:
            found = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            found = rng.uniform(self.low, self.high)
        found = min(max(found, self.low), self.high)  # exp and log may leave it by a rounding
        return round(found) if self.whole else found


Settings = dict[str, Any]
Dimension = Range | list[Any]


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


def dimensions(
    name: str, axes: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Dimension], Settings]:
    """What there is to search for a method, and the settings that stand.

    Raises `ConfigError` where there is nothing to search.
    """
    fixed: Settings = {}
    found: dict[str, Dimension] = {}
    for key, values in axes.items():
        ranges = [span(value) for value in values]
        if len(values) > 1 and any(ranges):
            raise ConfigError(f"{name}: {key} takes one range or a list of values, not both.")
        if ranges[0]:
            found[key] = ranges[0]
        elif len(values) > 1:
            found[key] = list(values)
        elif values[0] is not None:
            fixed[key] = values[0]
    declared = {key: values for key, values in _declared(name, fixed) if key not in axes}
    if not (found or declared):
        raise ConfigError(
            f"{name} declares nothing to search that needs a new fit; give a range or values, such "
            "as --set fma.learning_rate=1e-4..1e-2:log."
        )
    return {**found, **declared}, fixed


def _declared(name: str, fixed: Settings) -> Iterator[tuple[str, list[Any]]]:
    """Fields of the methods' own spaces that need a new fit, as `--set` writes them."""
    for leaf in leaves(name):
        own = fixed if leaf == name else _of(leaf, fixed)
        config, _ = configure(leaf, get(leaf), own)
        for key, values in get(leaf).space(config).fit.items():
            yield key if leaf == name else f"{leaf}.{key}", list(values)


def _of(leaf: str, settings: Settings) -> Settings:
    return {k: v for k, v in settings.items() if k.startswith(f"{leaf}.")}
