"""An image tower in half precision whose weights are cast once, and not in every pass.

Under autocast weights are cast again in every forward pass. On a CPU, and in towers of other
libraries, those of linear maps and convolutions are cast before the first, so that autocast finds
them as it wants them: the same numbers, without the work. On a GPU autocast itself is in the way,
as it takes norms to fp32 and back; open_clip's own towers are cast whole there. Their norms still
add up in fp32, and those of batches keep fp32 weights.
"""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.MultiheadAttention)
PROJECTION = "proj"  # open_clip's bare parameter that is multiplied by


def lowered(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model with a copy of its image tower whose products have weights of that type.

    It is to be run under autocast. Everything else is shared with the model: norms and embeddings
    are as they were, and the text tower, which looks at the type of its weights. Maps that do more
    with their weights than multiply by them are left to autocast.
    """
    tower = deepcopy(model.visual)
    for module in tower.modules():  # type: ignore[union-attr]
        for name, parameter in module.named_parameters(recurse=False):
            if _is_multiplied(module, name, parameter):
                parameter.data = parameter.data.to(dtype)
    return with_tower(model, tower)


def can_be_cast(model: Any) -> bool:
    """Whether the image tower is one of open_clip's own, which run in half precision as a whole."""
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer

    return type(model.visual) in (ModifiedResNet, VisionTransformer)


def cast(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model with a copy of its image tower in that type, to be run as it is on such pictures.

    Only for models that `can_be_cast`.
    """
    tower: Any = deepcopy(model.visual)
    kept = {
        id(each)
        for module in tower.modules()
        if isinstance(module, nn.BatchNorm2d)
        for each in (*module.parameters(), *module.buffers())
    }
    for each in (*tower.parameters(), *tower.buffers()):
        if each.is_floating_point() and id(each) not in kept:
            each.data = each.data.to(dtype)
            if each.dim() == 4:  # as tensor cores read the weights of convolutions
                each.data = each.data.contiguous(memory_format=torch.channels_last)
    return with_tower(model, tower)


def with_tower(model: nn.Module, tower: Any) -> nn.Module:
    """The model with another image tower; all else is shared with it."""
    other = copy(model)
    other._modules = dict(model._modules)
    other.visual = tower
    return other


def _is_multiplied(module: nn.Module, name: str, parameter: Tensor) -> bool:
    known = type(module) in PRODUCTS or type(module).__name__ == "NonDynamicallyQuantizableLinear"
    return parameter.dtype == torch.float32 and (known or name == PROJECTION)
