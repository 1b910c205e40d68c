from __future__ import annotations

import io
import json
import pickle
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from featcache.fetch import CONFIG
from featcache.images import decode, fit_square
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from featcache import backbones
from featcache.backbones import Backbone, encode_pictures, encode_prompts, load
from featcache.errors import BackboneError

TINY = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}
PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic"}


def write_folder(folder: Path, seed: int = 0, **preprocess: Any) -> Path:
    folder.mkdir(parents=True)
    config = {"model_cfg": TINY, "preprocess_cfg": {**PREPROCESS, **preprocess}}
    (folder / CONFIG).write_text(json.dumps(config))
    torch.manual_seed(seed)
    save_file(open_clip.CLIP(**TINY).state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def backbone(tiny: Path) -> Backbone:
    return load(f"local-dir:{tiny}", device="cpu")


def test_a_loaded_backbone_describes_itself(backbone: Backbone, tiny: Path) -> None:
    assert backbone.name == f"local-dir:{tiny}"
    assert backbone.slug == "local-dir_tiny"
    assert (backbone.width, backbone.context_length) == (32, 16)
    assert (backbone.activation, backbone.precision) == ("quick_gelu", "fp32")
    assert backbone.logit_scale == pytest.approx(1 / 0.07)
    assert backbone.preprocess.size == 32
    assert backbone.preprocess.mean == (0.4, 0.5, 0.6)
    assert not backbone.model.training
    assert not any(p.requires_grad for p in backbone.model.parameters())


def test_the_fingerprint_is_of_the_weights(backbone: Backbone, tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "another name")
    same = load(f"local-dir:{copy}", device="cpu", precision="bf16")
    assert same.fingerprint == backbone.fingerprint
    assert same.precision == "bf16"
    weights = load_file(copy / "open_clip_model.safetensors")
    weights["visual.proj"][0, 0] += 1e-6
    save_file(weights, copy / "open_clip_model.safetensors")
    assert load(f"local-dir:{copy}", device="cpu").fingerprint != backbone.fingerprint


def pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    out = []
    for kind, (height, width) in zip(
        ["JPEG", "PNG", "JPEG", "PNG"], [(120, 90), (33, 70), (40, 200), (20, 24)], strict=True
    ):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, kind)
        out.append(buffer.getvalue())
    return out


def by_open_clip(folder: Path, contents: list[bytes]) -> NDArray[np.float32]:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    batch = torch.stack([preprocess(Image.open(io.BytesIO(c))) for c in contents])
    with torch.inference_mode():
        return model.eval().encode_image(batch).numpy()


def by_us(backbone: Backbone, contents: list[bytes]) -> NDArray[np.float32]:
    batch = np.stack([fit_square(decode(c), backbone.preprocess) for c in contents])
    return encode_pictures(backbone, batch)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(1) / lengths)


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_embeddings_are_open_clips(mode: str, interpolation: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", resize_mode=mode, interpolation=interpolation)
    ours = load(f"local-dir:{folder}", device="cpu")
    assert (ours.preprocess.resize_mode, ours.preprocess.interpolation) == (mode, interpolation)
    embedding, theirs = by_us(ours, pictures()), by_open_clip(folder, pictures())
    assert embedding.dtype == np.float32
    assert cosine(embedding, theirs).min() >= 0.9999
    np.testing.assert_allclose(embedding, theirs, rtol=0.05, atol=0.02)  # raw lengths, too


def test_embeddings_of_real_pictures_are_open_clips(
    backbone: Backbone, tiny: Path, shared_data: Path
) -> None:
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        files = [name for name in archive.namelist() if name.endswith(".jpg")][::1500]
        contents = [archive.read(name) for name in files]
    assert cosine(by_us(backbone, contents), by_open_clip(tiny, contents)).min() >= 0.9999


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_stays_near(precision: str, backbone: Backbone, tiny: Path) -> None:
    low = load(f"local-dir:{tiny}", device="cpu", precision=precision)
    assert cosine(by_us(low, pictures()), by_us(backbone, pictures())).min() >= 0.999
    prompts = ["a cat", "a dog"]
    assert encode_prompts(low, prompts).dtype == np.float32
    assert cosine(encode_prompts(low, prompts), encode_prompts(backbone, prompts)).min() >= 0.999


def test_prompts_are_embedded_raw_and_in_order(backbone: Backbone) -> None:
    prompts = ["a photo of a cat.", "", "a dog", "Schönes Bild", "x"]
    embedding = encode_prompts(backbone, prompts, batch_size=2)
    tokens = open_clip.tokenize(prompts, context_length=16)
    with torch.inference_mode():
        theirs = backbone.model.encode_text(tokens).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(embedding, theirs, atol=1e-5)
    assert encode_prompts(backbone, []).shape == (0, 32)


def test_prompts_that_are_cut_are_told(
    backbone: Backbone, recwarn: pytest.WarningsRecorder
) -> None:
    encode_prompts(backbone, ["a cat " * 7, "a cat"])  # 14 words, start and end: just fits
    assert not recwarn
    long = ["fits", "a cat " * 7 + "sat", "a cat " * 50]
    with pytest.warns(UserWarning, match="2 of 3 prompts are longer than the 16 tokens") as told:
        embedding = encode_prompts(backbone, long)
    assert told[0].filename == __file__
    with torch.inference_mode():
        tokens = open_clip.tokenize(long, context_length=16)
        theirs = backbone.model.encode_text(tokens).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(embedding, theirs, atol=1e-5)


def test_incomplete_folders_are_refused(tiny: Path, tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(BackboneError, match=message):
            load(f"local-dir:{tmp_path / 'm'}", device="cpu")

    refused("there is no folder")
    (tmp_path / "m").mkdir()
    refused(f"has no {CONFIG}")
    (tmp_path / "m" / CONFIG).write_text("{}")
    refused("has no weights")
    shutil.copy(tiny / "open_clip_model.safetensors", tmp_path / "m" / "a.safetensors")
    refused("cannot be loaded: .*missing 'model_cfg'")
    shutil.copy(tiny / CONFIG, tmp_path / "m")
    assert load(f"local-dir:{tmp_path / 'm'}", device="cpu").width == 32
    shutil.copy(tiny / "open_clip_model.safetensors", tmp_path / "m" / "b.safetensors")
    refused("has 2 weight files; name the right one")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was-here"),)


def test_pickles_with_code_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "m"
    folder.mkdir()
    shutil.copy(tiny / CONFIG, folder)
    (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"state_dict": Evil()}))
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load(f"local-dir:{folder}", device="cpu")
    torch.save({"x": Evil()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        load(f"local-dir:{folder}", device="cpu")
    assert not Path("was-here").exists()


def test_weights_of_another_model_are_refused(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "m")
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
    backbone: Backbone, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo, commit = tmp_path / "models--org--repo", "0" * 40
    shutil.copytree(tiny, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    cached = load("hf-hub:org/repo", device="cpu")
    assert cached.name == "hf-hub:org/repo"
    assert cached.fingerprint == backbone.fingerprint
    assert cached.preprocess == backbone.preprocess
    (repo / "snapshots" / commit / "open_clip_model.safetensors").unlink()
    with pytest.raises(BackboneError, match="cannot be reached"):
        load("hf-hub:org/repo", device="cpu")


def test_an_activation_that_is_not_the_weights_is_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "_activation", lambda model: "gelu")
    monkeypatch.setattr(backbones, "wants_quick_gelu", lambda name: True)
    with pytest.raises(BackboneError, match="without the QuickGELU"):
        load(f"local-dir:{tiny}", device="cpu")


def test_devices_and_precisions_that_are_not_here(tiny: Path) -> None:
    with pytest.raises(BackboneError, match="the device warp cannot be used"):
        load(f"local-dir:{tiny}", device="warp")
    with pytest.raises(BackboneError, match="precision int4 is not known"):
        load(f"local-dir:{tiny}", device="cpu", precision="int4")
