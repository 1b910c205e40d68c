"""Heads: what other programs answer is what the adapter answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import adapters
from adapters.compose import get
from adapters.registry import names
from adapters.using import exporting
from adapters.using.exporting import LOGITS, PROBABILITIES, export
from featcache.errors import CacheError, ConfigError, MethodError
from tests.adapters.short import short
from tests.entries import make_entry

ALONE = [name for name in names() if not (get(name).needs or get(name).transductive)]
EXPRESSIONS = ["tip-adapter@taskres", "sum:gda+ncm"]


def fitted(folder: Path, method: str, calibrate: bool = False) -> adapters.Adapter:
    settings = short(method) if method in names() else {}
    entry = make_entry(folder)
    return adapters.fit(
        entry, method, shots=3, policy="none", calibrate=calibrate, **settings
    ).adapter


def queries(n: int = 33) -> torch.Tensor:
    return 3 * torch.randn(n, 8, generator=torch.Generator().manual_seed(5))


@pytest.mark.slow  # ten seconds, most of which is to load what exports
def test_onnxruntime_answers_as_the_adapter(tmp_path: Path) -> None:
    check_onnx(tmp_path, "tip-adapter", PROBABILITIES)


@pytest.mark.slow
@pytest.mark.parametrize("method", [*ALONE, *EXPRESSIONS])
def test_every_method_of_one_embedding_can_be_exported(tmp_path: Path, method: str) -> None:
    check_onnx(tmp_path, method, LOGITS)


def check_onnx(folder: Path, method: str, output: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    adapter = fitted(folder, method, calibrate=output == PROBABILITIES)
    assert export(adapter, folder / "head.onnx", output, {"size": 32}) <= 1e-4
    session = onnxruntime.InferenceSession(folder / "head.onnx")
    for n in (1, 33):  # any number of pictures
        x = queries(n)
        (found,) = session.run(None, {"embedding": x.numpy()})
        own = adapter.probabilities(x) if output == PROBABILITIES else adapter.logits(x)
        np.testing.assert_allclose(found, own.numpy(), rtol=1e-4, atol=1e-4)
    told = json.loads((folder / "head.json").read_text())
    assert told["classes"] == list(adapter.classnames)
    assert (told["output"], told["width"], told["preprocess"]) == (output, 8, {"size": 32})
    assert told["calibrated"] is (output == PROBABILITIES)


def test_torch_answers_as_the_adapter(tmp_path: Path) -> None:
    adapter = fitted(tmp_path, "proker")
    export(adapter, tmp_path / "head.pt2", LOGITS)
    again = torch.export.load(tmp_path / "head.pt2").module()
    for n in (1, 33):
        x = queries(n)
        torch.testing.assert_close(again(x), adapter.logits(x), rtol=1e-4, atol=1e-4)


def test_what_is_no_function_of_one_embedding_is_refused(tmp_path: Path) -> None:
    adapter = fitted(tmp_path, "transclip")
    with pytest.raises(MethodError, match="all pictures together"):
        export(adapter, tmp_path / "head.pt2")
    assert not (tmp_path / "head.pt2").exists()


@pytest.mark.parametrize(("name", "output"), [("head.pkl", LOGITS), ("head.pt2", "answers")])
def test_other_files_and_outputs_are_refused(tmp_path: Path, name: str, output: str) -> None:
    with pytest.raises(ConfigError, match="head"):
        export(fitted(tmp_path, "ncm"), tmp_path / name, output)


def test_without_onnx_the_way_to_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"featcache\[export\]"):
        export(fitted(tmp_path, "ncm"), tmp_path / "head.onnx")


def test_a_head_that_answers_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_pt2", lambda program, asked: (b"", torch.zeros(7, 3)))
    with pytest.raises(CacheError, match="answers otherwise"):
        export(fitted(tmp_path, "ncm"), tmp_path / "head.pt2")
    assert not (tmp_path / "head.pt2").exists()
