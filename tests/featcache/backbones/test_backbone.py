"""A loaded model describes itself, and what would give wrong numbers is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
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
    weights = load_file(copy / "open_clip_model.safetensors")
    weights["visual.proj"][0, 0] += 1e-6
    save_file(weights, copy / "open_clip_model.safetensors")
    assert load(f"local-dir:{copy}", device="cpu").fingerprint != backbone.fingerprint


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
