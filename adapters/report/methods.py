"""The methods as a table, made of what each of them declares."""

from __future__ import annotations

from adapters import registry
from adapters.method import Method

HEADS = ("method", "source", "status", "new classes by name", "stacks")


def methods_table() -> str:
    """Every method with its source, how it differs from that, and what it can do, as Markdown."""
    rows = [_row(name, registry.plain(name)) for name in registry.names()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEADS, ["---"] * len(HEADS), *rows))


def _row(name: str, method: Method) -> tuple[str, ...]:
    if method.with_text is None:
        new = "no"
    else:
        new = f"yes, {method.new_classes}" if method.new_classes else "yes"
    stacks = "yes" if method.prepare is not None else ""
    return f"`{name}`", method.source, method.status, new, stacks
