"""An image tower whose products are in half precision: cast once, while norms stay fp32.

Autocast casts weights of linear maps and convolutions in every forward pass. Here they are cast
before the first, so that autocast finds them as it wants them: the same numbers, without the work.
"""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.MultiheadAttention)
PROJECTION = "proj"  # open_clip's bare parameter that is multiplied by


def lowered(model: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The model with a copy of its image tower whose products have weights of that type.

    Everything else is shared with the model: norms and embeddings are as they were, and the text
    tower, which looks at the type of its weights. Maps that do more with their weights than
    multiply by them are left to autocast.
    """
    seen = copy(model)
    seen._modules = dict(model._modules)
    tower: Any = deepcopy(model.visual)
    for module in tower.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if _is_multiplied(module, name, parameter):
                parameter.data = parameter.data.to(dtype)
        if device.type == "cuda" and isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    seen.visual = tower
    return seen


def _is_multiplied(module: nn.Module, name: str, parameter: Tensor) -> bool:
    known = type(module) in PRODUCTS or type(module).__name__ == "NonDynamicallyQuantizableLinear"
    return parameter.dtype == torch.float32 and (known or name == PROJECTION)
