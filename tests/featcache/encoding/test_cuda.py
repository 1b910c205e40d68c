"""The same pipeline on a real CUDA device: features near those of the CPU, in every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from featcache import FeatureCache, encode_dataset, load_backbone, load_dataset
from featcache.encoding import plan
from featcache.encoding.reencode import TOLERANCE
from tests.featcache.encoding.noise import VIEWS, files, noise
from tests.featcache.pictures.test_card import jpeg

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", ["demo", "tiny"])
def test_features_are_those_of_the_cpu(
    tmp_path: Path, tiny_folder: Path, name: str, precision: str
) -> None:
    source = "demo" if name == "demo" else f"local-dir:{tiny_folder}"
    extras = ["pre-projection", "patches"]
    entries = []
    for device, wanted in (("cpu", "fp32"), ("cuda", precision)):
        backbone = load_backbone(source, device=device, precision=wanted)
        cache = FeatureCache(tmp_path / device)
        entries.append(encode_dataset(noise(), backbone, cache, views=VIEWS, extras=extras).entry)
    cpu, cuda = entries
    for split in cpu.splits:
        a, b = (e.images(split).embedding.astype(np.float32) for e in (cpu, cuda))
        apart = np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)
        assert apart.max() < TOLERANCE[precision]
    rows = np.arange(8)
    one, other = (e.views("train", rows) for e in entries)
    assert one is not None
    assert other is not None
    assert np.abs(one - other).max() < 10 * TOLERANCE[precision] * np.abs(one).max()


def test_a_run_that_is_cut_short_ends_with_the_same_bytes(
    tmp_path: Path, tiny_folder: Path
) -> None:
    backbone = load_backbone(f"local-dir:{tiny_folder}", device="cuda")
    whole, parts = FeatureCache(tmp_path / "whole"), FeatureCache(tmp_path / "parts")
    encode_dataset(noise(), backbone, whole, views=VIEWS)
    for i in (2, 1):
        encode_dataset(noise(), backbone, parts, views=VIEWS, part=(i, 2))
    assert files(parts) == files(whole)


def test_a_full_device_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of 2,048 takes 32 MB of buffers and some 150 MB on its way through the tower."""
    monkeypatch.setattr(plan, "SHARD_ROWS", 2_048)
    backbone = load_backbone("demo", device="cuda")
    assert backbone.seeing is not backbone.model
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved() + (100 << 20)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        cache = FeatureCache(tmp_path)
        report = encode_dataset(noise(train=2_048), backbone, cache, batch_size=2_048)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert report.entry.complete
    assert any("at a time from there on" in note for note in report.notes)


def test_a_card_decodes_what_a_cpu_decodes(tmp_path: Path) -> None:
    for i in range(20):
        path = tmp_path / "images" / ("ant", "bee")[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(60 + i, 80))
    data = load_dataset(str(tmp_path / "images"))
    backbone, cache = load_backbone("demo", device="cuda", precision="fp32"), FeatureCache(tmp_path)
    here = encode_dataset(data, backbone, cache, views=VIEWS).entry
    there = encode_dataset(data, backbone, cache, views=VIEWS, decode_in="card").entry
    assert here.key != there.key
    for split in here.splits:
        one, other = here.images(split).embedding, there.images(split).embedding
        apart = np.linalg.norm(one - other, axis=1) / np.linalg.norm(one, axis=1)
        assert apart.max() < 0.05
