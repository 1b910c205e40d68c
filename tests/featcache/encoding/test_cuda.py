"""The same pipeline on a real CUDA device: features near those of the CPU, in every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from featcache import FeatureCache, ViewRecipe, encode_dataset, load_backbone
from featcache.encoding.reencode import TOLERANCE
from tests.featcache.encoding.noise import VIEWS, files, noise

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


def test_a_full_device_halves_the_batch(tmp_path: Path) -> None:
    backbone = load_backbone("demo", device="cuda")
    backbone.seeing.to("cuda")
    total = torch.cuda.get_device_properties(0).total_memory
    held = torch.cuda.memory_allocated() + (48 << 20)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(held / total)
    try:
        data = noise(train=2_000)
        cache = FeatureCache(tmp_path)
        report = encode_dataset(data, backbone, cache, views=ViewRecipe(0), batch_size=4_096)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert report.entry.complete
    assert any("at a time from there on" in note for note in report.notes)
