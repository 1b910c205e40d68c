"""Heads: an adapter as a file that other programs run, raw embedding in, classes out.

`.onnx` is for onnxruntime and whatever else reads ONNX, `.pt2` for torch without this package.
Beside it lies a JSON file of the same name: classes, backbone, how its pictures are prepared.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters.adapter import Adapter
from adapters.compose import get
from featcache import files
from featcache.errors import CacheError, ConfigError, MethodError
from featcache.quiet import quiet

SUFFIXES = (".onnx", ".pt2")
LOGITS, PROBABILITIES = "logits", "probabilities"
INPUT = "embedding"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4  # of logits by their largest, or of probabilities


class Head(nn.Module):
    """An adapter's answer to raw embeddings `x [q, d]`, its state as buffers."""

    def __init__(self, adapter: Adapter, output: str = PROBABILITIES) -> None:
        super().__init__()
        self.method, self.config = get(adapter.method), adapter.config
        self.heat, self.output = adapter.temperature, output
        self.names = list(adapter.state)
        for place, tensor in enumerate(adapter.state.values()):  # names may hold dots
            self.register_buffer(f"state_{place}", tensor.detach().cpu().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities, or logits, `[q, c]`; both are calibrated where the adapter is."""
        state = {name: getattr(self, f"state_{i}") for i, name in enumerate(self.names)}
        logits = self.method.logits(state, self.config, self.method.input(x)) / self.heat
        return logits.softmax(1) if self.output == PROBABILITIES else logits


def export(
    adapter: Adapter,
    path: Path | str,
    output: str = PROBABILITIES,
    preprocess: Mapping[str, Any] | None = None,
) -> float:
    """Write a head and the JSON beside it; how far at most it is from the adapter's own answers.

    `output` is `probabilities` or `logits`, `preprocess` how pictures are prepared for the
    backbone. Raises `MethodError` where the answer is no function of one embedding or cannot be
    traced, `ConfigError` for another suffix or output or where onnx is not installed, `CacheError`
    where the file answers otherwise than the adapter.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"a head is written as {' or '.join(SUFFIXES)}, and {path} is neither.")
    if output not in (LOGITS, PROBABILITIES):
        raise ConfigError(f"a head gives {LOGITS} or {PROBABILITIES}, and no {output}.")
    if path.suffix == ".onnx":
        _check_installed()
    _check_alone(adapter)
    width = int(adapter.told("width"))
    head = Head(adapter.to(torch.device("cpu")), output).eval()
    asked = torch.randn(7, width, generator=torch.Generator().manual_seed(0))
    with quiet(), torch.no_grad():
        program = _traced(adapter.method, head, asked)
        content, answer = (_onnx if path.suffix == ".onnx" else _pt2)(program, asked)
        own = head(asked)
    apart = float((answer - own).abs().max() / (own.abs().max() if output == LOGITS else 1))
    if not apart <= TOLERANCE:
        raise CacheError(
            f"the exported head of {adapter.method} answers otherwise than the adapter (by "
            f"{apart:.1e}, {TOLERANCE:g} is allowed), so nothing was written; use the adapter."
        )
    told = json.dumps(card(adapter, output, preprocess), indent=1, ensure_ascii=False) + "\n"
    files.replace(path, content)
    files.replace(path.with_suffix(".json"), told)
    return apart


def card(adapter: Adapter, output: str, preprocess: Mapping[str, Any] | None) -> dict[str, Any]:
    """What lies beside a head: all that is to be known to ask it and to read its answers."""
    about = adapter.about
    return {
        "input": INPUT,
        "width": adapter.told("width"),
        "output": output,
        "classes": list(adapter.classnames),
        "calibrated": adapter.temperature != 1,
        "method": adapter.method,
        **{key: about.get(key) for key in ("dataset", "backbone", "fingerprint")},
        "preprocess": None if preprocess is None else dict(preprocess),
    }


def _check_installed() -> None:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(
            f"heads for ONNX need {' and '.join(missing)}; `pip install 'featcache[export]'`, or "
            "write .pt2."
        )


def _check_alone(adapter: Adapter) -> None:
    """Raise `MethodError` where answers are no function of one embedding."""
    if get(adapter.method).transductive:
        raise MethodError(
            f"{adapter.method} looks at all pictures together, so that its answer to one is no "
            "function of that one's embedding; take a method that is not transductive."
        )
    if adapter.extras:
        raise MethodError(
            f"{adapter.method} was fitted on {' and '.join(adapter.extras)} beside embeddings, and "
            "a head is given embeddings alone; take a method that does without (gda, fma, …)."
        )


def _traced(method: str, head: Head, asked: Tensor) -> torch.export.ExportedProgram:
    rows = torch.export.Dim("rows")
    try:
        return torch.export.export(head, (asked,), dynamic_shapes=({0: rows},))
    except Exception as error:  # torch has its own for each reason, of no common kind
        reason = " ".join(str(error).split())[:160]
        raise MethodError(
            f"{method} cannot be written down as a function of one embedding ({reason}); ask the "
            "adapter itself, or take another method."
        ) from None


def _onnx(program: torch.export.ExportedProgram, asked: Tensor) -> tuple[bytes, Tensor]:
    """The file and what onnxruntime answers by it."""
    import onnxruntime

    made = torch.onnx.export(program, dynamo=True, input_names=[INPUT], verbose=False)
    assert made is not None
    content: bytes = made.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: asked.numpy()})
    return content, torch.from_numpy(found)


def _pt2(program: torch.export.ExportedProgram, asked: Tensor) -> tuple[bytes, Tensor]:
    held = io.BytesIO()
    torch.export.save(program, held)
    held.seek(0)
    found: Tensor = torch.export.load(held).module()(asked)
    return held.getvalue(), found
