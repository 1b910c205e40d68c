"""Folders, the hub and its cache; pickles that run code are refused."""

from __future__ import annotations

import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from featcache.backbones.backbone import Backbone, load
from featcache.backbones.fetching import CONFIG
from featcache.errors import BackboneError


def test_incomplete_folders_are_refused(quick_folder: Path, tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(BackboneError, match=message):
            load(f"local-dir:{tmp_path / 'm'}", device="cpu")

    refused("there is no folder")
    (tmp_path / "m").mkdir()
    refused(f"has no {CONFIG}")
    (tmp_path / "m" / CONFIG).write_text("{}")
    refused("has no weights")
    shutil.copy(quick_folder / "open_clip_model.safetensors", tmp_path / "m" / "a.safetensors")
    refused("cannot be loaded: .*missing 'model_cfg'")
    shutil.copy(quick_folder / CONFIG, tmp_path / "m")
    assert load(f"local-dir:{tmp_path / 'm'}", device="cpu").width == 32
    shutil.copy(quick_folder / "open_clip_model.safetensors", tmp_path / "m" / "b.safetensors")
    refused("has 2 weight files; name the right one")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was-here"),)


def test_pickles_with_code_are_refused(
    quick_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "m"
    folder.mkdir()
    shutil.copy(quick_folder / CONFIG, folder)
    (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"state_dict": Evil()}))
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load(f"local-dir:{folder}", device="cpu")
    torch.save({"x": Evil()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load(f"local-dir:{folder}", device="cpu")
    assert not Path("was-here").exists()


def test_weights_of_another_model_are_refused(quick_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(quick_folder, tmp_path / "m")
    weights = load_file(folder / "open_clip_model.safetensors")
    del weights["visual.proj"]
    save_file(weights, folder / "open_clip_model.safetensors")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load(f"local-dir:{folder}", device="cpu")
    (folder / "open_clip_model.safetensors").write_bytes(b"cut short")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load(f"local-dir:{folder}", device="cpu")


@pytest.mark.parametrize(
    ("spelling", "repo"),
    [
        ("ViT-B/32", "timm/vit_base_patch32_clip_224.openai"),
        ("hf-hub:timm/ViT-B-16-SigLIP", "timm/ViT-B-16-SigLIP"),
    ],
)
def test_without_network_one_sentence_comes_at_once(
    spelling: str, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    began = time.perf_counter()
    with pytest.raises(BackboneError, match="cannot be reached") as error:
        load(spelling, device="cpu")
    assert time.perf_counter() - began < 6
    for part in (repo, "open_clip_model.safetensors", str(tmp_path), "HF_HUB_OFFLINE=1"):
        assert part in str(error.value)
    assert not constants.HF_HUB_OFFLINE
    assert capfd.readouterr() == ("", "")


def test_without_network_the_hubs_cache_is_used(
    backbone: Backbone, quick_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo, commit = tmp_path / "models--org--repo", "0" * 40
    shutil.copytree(quick_folder, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    cached = load("hf-hub:org/repo", device="cpu")
    assert cached.name == "hf-hub:org/repo"
    assert cached.fingerprint == backbone.fingerprint
    assert cached.preprocess == backbone.preprocess
    (repo / "snapshots" / commit / "open_clip_model.safetensors").unlink()
    with pytest.raises(BackboneError, match="cannot be reached"):
        load("hf-hub:org/repo", device="cpu")
