"""Embeddings are open_clip's, raw and in order."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from featcache.backbones.backbone import Backbone, load
from featcache.backbones.forward import encode_pictures, encode_prompts
from featcache.pictures.decode import decode
from featcache.pictures.preprocess import fit_square
from tests.featcache.backbones.models import write_folder


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
    backbone: Backbone, quick_folder: Path, shared_data: Path
) -> None:
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        files = [name for name in archive.namelist() if name.endswith(".jpg")][::1500]
        contents = [archive.read(name) for name in files]
    assert cosine(by_us(backbone, contents), by_open_clip(quick_folder, contents)).min() >= 0.9999


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_stays_near(precision: str, backbone: Backbone, quick_folder: Path) -> None:
    low = load(f"local-dir:{quick_folder}", device="cpu", precision=precision)
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


@pytest.mark.parametrize(("pictures", "threads"), [(1, 1), (3, 2)])
def test_a_batch_that_is_small_for_its_tower_has_one_thread(
    backbone: Backbone, pictures: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pictures are made the least that is worth more."""
    weights = sum(each.numel() for each in backbone.model.get_submodule("visual").parameters())
    monkeypatch.setattr("featcache.threads.LARGE", 3 * weights)
    monkeypatch.setattr("featcache.threads._chosen", lambda count: False)
    seen = list[int]()
    hook = backbone.model.get_submodule("visual").register_forward_pre_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    before, side = torch.get_num_threads(), backbone.preprocess.size
    torch.set_num_threads(2)
    try:
        encode_pictures(backbone, np.zeros((pictures, side, side, 3), np.uint8))
        assert (seen, torch.get_num_threads()) == ([threads], 2)
    finally:
        torch.set_num_threads(before)
        hook.remove()
