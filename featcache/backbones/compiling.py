"""An image tower compiled block by block: its blocks are alike, so that one is compiled for all.

Compiled code joins what stands between products (norms, activations, sums) into few passes over
memory. It takes seconds to make, and is made for one size of batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import copy, deepcopy
from typing import Any

from torch import nn

FROM = 200_000  # crops: with fewer, less is gained than compiling takes


def compiled(model: nn.Module) -> nn.Module:
    """The model with an image tower that is compiled when it is first run; weights are shared."""
    seen = copy(model)
    seen._modules = dict(model._modules)
    visual: Any = model.visual
    own = {id(each): each for each in (*visual.parameters(), *visual.buffers())}
    tower = deepcopy(visual, own)
    for block in _blocks(tower):
        block.compile(dynamic=False)
    seen.visual = tower
    return seen


def told(error: Exception) -> None:
    """Warn that the tower cannot be compiled here; it is run as it is written instead."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    warnings.warn(
        f"the image tower cannot be compiled here ({reason}); it runs as it is, slower.",
        stacklevel=2,
    )


def _blocks(tower: Any) -> Iterator[nn.Module]:
    """The blocks that a transformer repeats; of other towers the whole."""
    inside = getattr(getattr(tower, "transformer", None), "resblocks", None)
    inside = getattr(getattr(tower, "trunk", None), "blocks", None) if inside is None else inside
    yield from [tower] if inside is None else inside
