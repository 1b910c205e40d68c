"""Settings with which a fit of any method is short."""

from __future__ import annotations

from adapters.compose import get


def short(method: str) -> dict[str, int]:
    """At most three steps, iterations and epochs, as far as the method trains by any."""
    config = get(method).config()
    names = ["steps", "epochs"]
    if hasattr(config, "learning_rate"):  # else they are of a solver that says when it is done
        names.append("iterations")
    counts = {name: getattr(config, name, 0) for name in names}
    return {name: 3 for name, count in counts.items() if isinstance(count, int) and count > 3}
