"""On which device fits run, and how what they need gets there."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from featcache.errors import ConfigError


def device_of(name: str) -> torch.device:
    """The device of that name; `auto` is the processor, where every method is tested.

    Raises `ConfigError` for one that there is not.
    """
    try:
        found = torch.device("cpu" if name == "auto" else name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return found


def moved(value: Any, device: torch.device) -> Any:
    """The value with every tensor in it moved to the device."""
    if device.type == "cpu":
        return value
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: moved(getattr(value, each.name), device) for each in fields(value)}
        return replace(value, **parts)
    return value
