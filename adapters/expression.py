"""How methods made of methods are written: `fma@taskres`, `sum:gda+fma`; text alone.

What they mean is `adapters.compose`.
"""

from __future__ import annotations

import re

from featcache.errors import MethodError


def parts(name: str) -> list[str]:
    """The parts of an expression in the order in which it names them; a plain name is its own.

    `sum:a+b` has a and b, `top@base` has top and base. Raises `MethodError` where a part has no
    name, or more stands between parts than a plus.
    """
    joint = "+" if name.startswith("sum:") else "@"
    if joint == "+":
        # A doubled plus belongs to a name (`lp++`).
        found = re.findall(r"(?:[\w@-]|\+\+)+", name.removeprefix("sum:"))
    else:
        found = name.split("@", 1)
    if not all(found or [""]) or joint.join(found) != name.removeprefix("sum:"):
        raise MethodError(
            f"{name!r} names no methods; write one of `adapters methods`, or several as "
            "fma@taskres or sum:gda+fma."
        )
    return found


def leaves(name: str) -> list[str]:
    """The plain methods that an expression is made of."""
    own = parts(name)
    return own if own == [name] else [leaf for part in own for leaf in leaves(part)]


def with_base(name: str, method: str, base: str) -> str:
    """The expression with `method` in it fitted on top of `base`."""
    if name.startswith("sum:"):
        return "sum:" + "+".join(with_base(part, method, base) for part in parts(name))
    top = name.partition("@")[0]
    return f"{name}@{base}" if top == method else name


def field_of(part: str) -> str:
    """A part as a field of the whole's config: `fma@taskres` is `fma_over_taskres`."""
    return part.replace("@", "_over_").replace("-", "_").replace("+", "p")
