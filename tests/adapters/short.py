"""Settings that make the fit of any method short, where its numbers do not matter."""

from __future__ import annotations

from adapters.compose import get


def short(method: str) -> dict[str, int]:
    """At most three steps and epochs, as far as the method counts any."""
    config = get(method).config()
    counts = {name: getattr(config, name, 0) for name in ("steps", "epochs")}
    return {name: 3 for name, count in counts.items() if isinstance(count, int) and count > 3}
