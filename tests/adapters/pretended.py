"""A device that is not there: tensors that lie on `meta` and have their numbers all the same.

What a GPU refuses is refused here, on a machine without one. PyTorch's own means see a part of it
each: fake tensors know no gradient where there is no CUDA, tensors on `meta` mix with others in
products and indices, and both take the processor's generators. Here tensors of two devices that
meet raise, as do generators of another device, and what the host waits for is noted. Gradients,
optimisers and `torch.vmap` work, and numbers are those of the processor. It says nothing of speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

PLACE = torch.device("meta")
ATEN = torch.ops.aten
COPIES = {ATEN._to_copy, ATEN.copy_}
INDICES = {ATEN.index, ATEN.index_put, ATEN.index_put_, ATEN._index_put_impl_}
# Of how many something is, a GPU has to tell the host before it can go on.
WAITS = {ATEN._local_scalar_dense, ATEN.nonzero, ATEN.equal, ATEN._unique2, ATEN.masked_select}
MADE = {torch.tensor, torch.as_tensor, Tensor.new_tensor}
# Where optimisers look up which devices their fused steps are made for.
FUSED = "torch.optim.adam", "torch.optim.sgd", "torch.optim.optimizer"


class There(Tensor):
    """A tensor on the device that is not there, around one on the processor."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> There:
        found: There = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=PLACE,
        )  # fmt: skip
        found.held = held
        return found

    def __repr__(self, *_: object, **__: object) -> str:
        return f"There({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {}, [])


@contextmanager
def pretended() -> Iterator[list[str]]:
    """The device is there for the block; the list fills with what the host waited for."""
    noted: list[str] = []
    with ExitStack() as ending:
        for name in FUSED:
            where = f"{name}._get_fused_kernels_supported_devices"
            ending.enter_context(mock.patch(where, return_value=[PLACE.type, "cpu"], create=True))
        # Views of what was made outside of it need another kind of tensor.
        ending.enter_context(mock.patch("torch.inference_mode", torch.no_grad))
        ending.enter_context(_Made(noted))
        ending.enter_context(_Run(noted))
        yield noted


def back(value: Tensor) -> Tensor:
    """The tensor on the processor, with nothing noted."""
    return value.held if isinstance(value, There) else value


class _Made(TorchFunctionMode):
    """Bare numbers and tensors of them: PyTorch drops the numbers of those on `meta`."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self.noted = noted

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.tolist and isinstance(args[0], There):
            self.noted.append("tolist")
            return args[0].held.tolist()
        if func not in MADE:
            return func(*args, **kwargs)
        like = args[0] if func is Tensor.new_tensor else None
        place = kwargs.pop("device", None) or (like.device if like is not None else "cpu")
        if like is not None:
            kwargs = {"dtype": like.dtype, **kwargs}
        made = torch.tensor(*args[like is not None :], **kwargs)
        return made.to(place)


class _Run(TorchDispatchMode):
    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self.noted = noted

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {}, self.noted)


def _call(func: Any, args: Any, kwargs: dict[str, Any], noted: list[str]) -> Any:
    packet = func.overloadpacket
    given = [*_tensors(args), *_tensors([*kwargs.values()])]
    away = any(isinstance(each, There) for each in given)
    asked = kwargs.get("device")
    there = away if asked is None else torch.device(asked) == PLACE
    if packet in COPIES:
        there = there if packet is ATEN._to_copy else isinstance(args[0], There)
    elif away:
        _check(func, args, given)
    if away and (packet in WAITS or not there or _by_mask(packet, args)):
        noted.append(str(func))
    generator = kwargs.get("generator")
    if there and generator is not None:
        raise RuntimeError(f"expected a generator of {PLACE}, found one of {generator.device}")
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    inner = {name: _each(back, value) for name, value in kwargs.items()}
    found = func(*_each(back, args), **inner)
    if not there:
        return found
    if torch.Tag.inplace_view in func.tags:  # the outside has a shape of its own
        with no_dispatch():
            func(*args, **kwargs)
    known = {id(each.held): each for each in given if isinstance(each, There)}
    return _each(lambda each: _outer(each, known), found)


def _tensors(values: Any) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The value with its tensors changed; several times as fast as PyTorch's own trees."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_each(change, each) for each in value)
    return value


def _check(func: Any, args: Any, given: list[Tensor]) -> None:
    """Refuse tensors of two devices as CUDA does: but for bare numbers, and indices."""
    if func.overloadpacket in INDICES:
        given = [args[0], *(each for each in args[2:3])]
    one_by_one = torch.Tag.pointwise in func.tags
    for each in given:
        if not isinstance(each, There) and (each.dim() or not one_by_one):
            raise RuntimeError(f"tensors of {PLACE} and {each.device} meet in {func}")


def _by_mask(packet: Any, args: Any) -> bool:
    return packet in INDICES and any(i is not None and i.dtype == torch.bool for i in args[1])


def _outer(each: Tensor, known: dict[int, There]) -> Tensor:
    return known[id(each)] if id(each) in known else There(each)
