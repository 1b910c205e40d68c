"""Devices by name, how what a fit needs gets there, and what is set while it runs there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
import torch.utils.deterministic as deterministic
from torch.nn.attention import SDPBackend, sdpa_kernel

from featcache.errors import ConfigError

CPU = torch.device("cpu")
# Without it cuBLAS promises no fixed order of sums; it is read when CUDA starts.
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def device_of(name: str) -> torch.device:
    """The device of that name; `auto`, where nobody has chosen, is the processor.

    Raises `ConfigError` for one that there is not, or that has no float64, which fits take where
    float32 would cancel.
    """
    if name.startswith("cuda"):
        os.environ.setdefault(*WORKSPACE)
    try:
        found = torch.device("cpu" if name == "auto" else name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used: {_brief(error)}; take --device {_other()}."
        ) from None
    try:
        torch.empty(0, device=found, dtype=torch.float64)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used for fits, which take float64 in places: "
            f"{_brief(error)}; take --device {_other(found.type)} (encoding does not need it)."
        ) from None
    return found


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def _other(than: str = "") -> str:
    """What there is instead."""
    # To ask for what is not there raises in older torch.
    there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if there is None or there.type == than:
        return CPU.type
    return f"{there.type} or {CPU.type}"


def name_of(device: torch.device) -> str:
    """What rows call the device: the model of a GPU, else the type."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def moved(value: Any, device: torch.device) -> Any:
    """The value with every tensor in it on the device; itself where all of them are."""
    if isinstance(value, torch.Tensor):
        return value if value.device == device else value.to(device)
    if isinstance(value, tuple):
        if value and isinstance(value[0], str):
            return value  # ids of 50,000 pictures took longer to look at than a fit
        parts = tuple(moved(each, device) for each in value)
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    if is_dataclass(value) and not isinstance(value, type):
        there = {each.name: moved(getattr(value, each.name), device) for each in fields(value)}
        same = all(part is getattr(value, name) for name, part in there.items())
        return value if same else replace(value, **there)
    return value


@contextmanager
def steady(device: torch.device) -> Iterator[None]:
    """The same numbers each time, for the block, as far as the device can.

    Products of float32 are of float32 (no TF32), sums are in a fixed order, and attention is plain
    products. PyTorch warns of an operation that has no fixed order. The processor needs none of it.
    """
    if device.type == "cpu":
        yield
        return
    precision = torch.get_float32_matmul_precision()
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with ExitStack() as ending:
        ending.callback(torch.set_float32_matmul_precision, precision)
        ending.callback(torch.use_deterministic_algorithms, before, warn_only=warned)
        ending.callback(setattr, deterministic, "fill_uninitialized_memory", filled)
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(True, warn_only=True)
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        ending.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def wait(device: torch.device) -> None:
    """Until the device has done what it was given, so that clocks tell the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
