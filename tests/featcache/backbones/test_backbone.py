"""A loaded model describes itself, and what would give wrong numbers is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file, save_file

from featcache.backbones import backbone as loading
from featcache.backbones.backbone import Backbone, load
from featcache.errors import BackboneError


def test_a_loaded_backbone_describes_itself(backbone: Backbone, quick_folder: Path) -> None:
    assert backbone.name == f"local-dir:{quick_folder}"
    assert backbone.slug == "local-dir_tiny"
    assert (backbone.width, backbone.context_length) == (32, 16)
    assert (backbone.activation, backbone.precision) == ("quick_gelu", "fp32")
    assert backbone.logit_scale == pytest.approx(1 / 0.07)
    assert backbone.preprocess.size == 32
    assert backbone.preprocess.mean == (0.4, 0.5, 0.6)
    assert not backbone.model.training
    assert not any(p.requires_grad for p in backbone.model.parameters())


def test_the_fingerprint_is_of_the_weights(
    backbone: Backbone, quick_folder: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(quick_folder, tmp_path / "another name")
    same = load(f"local-dir:{copy}", device="cpu", precision="bf16")
    assert same.fingerprint == backbone.fingerprint
    assert same.precision == "bf16"
    assert same.identity != backbone.identity
    weights = load_file(copy / "open_clip_model.safetensors")
    weights["visual.proj"][0, 0] += 1e-6
    save_file(weights, copy / "open_clip_model.safetensors")
    changed = load(f"local-dir:{copy}", device="cpu")
    assert changed.fingerprint != backbone.fingerprint
    assert changed.weights != backbone.weights


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("vision_cfg", "head_width", 8),
        ("vision_cfg", "pool_type", "avg"),
        ("text_cfg", "heads", 1),
        ("text_cfg", "no_causal_mask", True),
    ],
)
def test_the_fingerprint_is_of_the_configuration(
    quick_folder: Path, backbone: Backbone, tmp_path: Path, part: str, field: str, value: object
) -> None:
    """The same weights put together otherwise give other features."""
    copy = shutil.copytree(quick_folder, tmp_path / "other")
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"][part][field] = value
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    other = load(f"local-dir:{copy}", device="cpu")
    assert other.weights == backbone.weights
    assert other.fingerprint != backbone.fingerprint
    assert other.identity != backbone.identity


def test_the_fingerprint_is_of_the_tokeniser() -> None:
    """A word of the vocabulary that no probe has, and a rule that no vocabulary shows."""
    plain = SimpleTokenizer(context_length=16)
    told = loading._fingerprint("w", {}, plain)
    assert loading._fingerprint("w", {}, SimpleTokenizer(context_length=16)) == told
    others = [
        SimpleTokenizer(context_length=17),
        SimpleTokenizer(context_length=16, clean="whitespace"),
        SimpleTokenizer(context_length=16, additional_special_tokens=["<rare>"]),
    ]
    assert len({told, *(loading._fingerprint("w", {}, other) for other in others)}) == 4


def test_an_activation_that_is_not_the_weights_is_refused(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_activation", lambda model: "gelu")
    monkeypatch.setattr(loading, "wants_quick_gelu", lambda name: True)
    with pytest.raises(BackboneError, match="without the QuickGELU"):
        load(f"local-dir:{quick_folder}", device="cpu")


def test_devices_and_precisions_that_are_not_here(quick_folder: Path) -> None:
    with pytest.raises(BackboneError, match="the device warp cannot be used"):
        load(f"local-dir:{quick_folder}", device="warp")
    with pytest.raises(BackboneError, match="precision int4 is not known"):
        load(f"local-dir:{quick_folder}", device="cpu", precision="int4")


def accelerator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: name != "")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(name))


def test_auto_takes_cuda_then_what_torch_has_then_the_cpu(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerator("", monkeypatch)
    assert loading._fastest().type == "cpu"
    accelerator("xpu", monkeypatch)
    assert loading._fastest().type == "xpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert loading._fastest().type == "cuda"


def test_a_model_that_does_not_run_on_an_accelerator_runs_on_the_cpu_and_says_so(
    quick_folder: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerator("mps", monkeypatch)  # which torch names, and this machine has not
    with pytest.warns(UserWarning, match=r"does not run on mps .*; it runs on the CPU"):
        found = load(f"local-dir:{quick_folder}")
    assert (found.device.type, found.precision) == ("cpu", "fp32")
    assert found.identity == backbone.identity
    monkeypatch.setattr(loading, "_device", torch.device)
    with pytest.raises(BackboneError, match=r"does not run on mps .*; take --device cpu"):
        load(f"local-dir:{quick_folder}", device="mps")
