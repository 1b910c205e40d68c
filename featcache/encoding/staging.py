"""Where crops wait for the model, and the model run on them: in turn, without waiting for it.

On CUDA the buffers are pinned, each with its place on the device; bytes go there on a stream of
their own, and what the model makes of them stays there until it is asked for. A buffer is used
again when the batch that was in it is done, so that at most so many batches are under way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featcache.backbones import compiling
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import features_of
from featcache.backbones.memory import is_out_of_memory
from featcache.encoding.sizes import padded
from featcache.errors import BackboneError
from featcache.pictures.card import OnCard

AT_ONCE = 2  # buffers that are being filled: of centre crops, of views
IN_TURN = AT_ONCE + 3  # and those whose batches are under way


@dataclass
class Buffer:
    """Room for a batch `[b, s, s, 3]`: in memory, on the device, and whether that is free again."""

    host: Tensor
    there: Tensor
    done: Any = None
    pixels: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.pixels = self.host.numpy()


@dataclass(frozen=True)
class Made:
    """What came of a batch, by feature, on the device; `span` are events around it there."""

    features: dict[str, Tensor]
    seconds: float = 0.0
    span: tuple[Any, Any] | None = None


class Staging:
    """Buffers and a model for batches of at most `size`; `notes` says what became of that."""

    def __init__(self, backbone: Backbone, size: int, compiled: bool = False) -> None:
        self.backbone, self.size, self.notes = backbone, size, list[str]()
        self.overlaps = backbone.device.type == "cuda"
        self.on_card = isinstance(backbone.preprocess, OnCard)  # crops are there already
        self._compiles = compiled
        self._free: list[Buffer] = []
        self._made = False

    def take(self) -> Buffer:
        """A buffer to write crops into, of `size` and perhaps more."""
        while not self._made:
            try:
                self._free = [self._buffer() for _ in range(IN_TURN if self.overlaps else AT_ONCE)]
                self._made = True
            except RuntimeError as error:
                self._make_room(error)
        buffer = self._free.pop(0)
        if buffer.done is not None:
            buffer.done.synchronize()
        return buffer

    def put(self, buffer: Buffer, place: int, crop: NDArray[np.uint8] | Tensor) -> None:
        """Write a crop `[s, s, 3]` into its place; on the device where those are made there."""
        if self.on_card:
            buffer.there[place].copy_(torch.as_tensor(crop))
        else:
            buffer.pixels[place] = crop

    def run(self, buffer: Buffer, count: int, extras: Sequence[str] = ()) -> Made:
        """Run the model on the first `count` pictures and have the buffer back when that is done.

        Raises `BackboneError` where there is no room for a single one.
        """
        rest = count % self.size  # more than one batch where that was halved since it was begun
        rows = min(len(buffer.pixels), count - rest + padded(rest, self.size))
        (buffer.there if self.on_card else buffer.host)[count:rows] = 0
        began = time.perf_counter()
        if not self.overlaps:
            if buffer.there is not buffer.host and not self.on_card:
                buffer.there[:rows].copy_(buffer.host[:rows])
            found = self._features(buffer.there, count, extras)
            self._free.append(buffer)
            return Made(found, time.perf_counter() - began)
        computing = torch.cuda.current_stream(self.backbone.device)
        if not self.on_card:
            with torch.cuda.stream(self._copying):
                buffer.there[:rows].copy_(buffer.host[:rows], non_blocking=True)
            computing.wait_stream(self._copying)
        span = _event(), _event()
        span[0].record(computing)
        found = self._features(buffer.there, count, extras)
        span[1].record(computing)
        buffer.done = span[1]
        self._free.append(buffer)
        return Made(found, span=span)

    def collected(
        self, made: Sequence[Made], out: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, NDArray[Any]], float]:
        """What came of these batches, row by row in the types of `out`, and the model's seconds.

        On CUDA it comes back on a stream of its own; this waits for these batches and for nothing
        that was begun later.
        """
        if not self.overlaps:
            return _joined(made, out), sum(each.seconds for each in made)
        stream = _stream(self.backbone.device)
        with torch.cuda.stream(stream):
            for each in made:
                assert each.span is not None
                each.span[1].synchronize()
            found = _joined(made, out)
        spans = [each.span for each in made if each.span]
        return found, sum(start.elapsed_time(end) for start, end in spans) / 1000

    @cached_property
    def _copying(self) -> Any:
        return _stream(self.backbone.device)

    @cached_property
    def _compiled(self) -> torch.nn.Module | None:
        return compiling.compiled(self.backbone.seeing) if self._compiles else None

    def _buffer(self) -> Buffer:
        side = self.backbone.preprocess.size
        shape = (self.size, side, side, 3)
        host = torch.empty(shape, dtype=torch.uint8, pin_memory=self.overlaps)
        device = self.backbone.device
        there = host if device.type == "cpu" else torch.empty_like(host, device=device)
        return Buffer(host, there)

    def _features(self, pixels: Tensor, count: int, extras: Sequence[str]) -> dict[str, Tensor]:
        """Of the first `count`, in batches that have room."""
        found: list[dict[str, Tensor]] = []
        done = 0
        while done < count:
            part = min(self.size, count - done)
            try:
                made = self._forward(pixels[done : done + padded(part, self.size)], extras)
            except RuntimeError as error:
                self._make_room(error)
                continue
            found.append({name: tensor[:part] for name, tensor in made.items()})
            done += part
        if len(found) == 1:
            return found[0]
        return {name: torch.cat([each[name] for each in found]) for name in found[0]}

    def _forward(self, pixels: Tensor, extras: Sequence[str]) -> dict[str, Tensor]:
        # What is read on the way is read by hooks, which a compiled tower does not ask.
        if self._compiled is not None and not extras and len(pixels) == self.size:
            try:
                return features_of(self.backbone, pixels, extras, self._compiled)
            except Exception as error:  # whatever a compiler does not like, or that there is none
                if is_out_of_memory(error):
                    raise
                compiling.told(error)
                self._compiled = None
        return features_of(self.backbone, pixels, extras)

    def _make_room(self, error: RuntimeError) -> None:
        """Halve the batch, if that is what the error asks for; raise it where it is not."""
        name, device = self.backbone.name, self.backbone.device
        if not is_out_of_memory(error):
            raise error
        if self.size == 1:
            raise BackboneError(
                f"{name} has no room on {device} for a single picture; make room there, or take "
                "--device cpu."
            ) from error
        self.size //= 2
        if self.overlaps:
            with suppress(RuntimeError):
                torch.cuda.empty_cache()
        self.notes.append(
            f"{device} had no room for {self.size * 2} pictures at once through {name}; "
            f"{self.size} at a time from there on (--batch-size {self.size})."
        )


def _event() -> Any:
    # To wait for a blocking event takes no core from decoding.
    return torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]


def _stream(device: torch.device) -> Any:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _joined(made: Sequence[Made], out: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One batch after the other, for the device may have no room for all once more."""
    found = {}
    for name, array in out.items():
        kind = torch.float16 if array.dtype == np.float16 else torch.float32
        found[name] = torch.cat([each.features[name].cpu() for each in made]).to(kind).numpy()
    return found
