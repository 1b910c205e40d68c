"""Rows encoded anew are those that were kept, and what was changed since is found."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.reencode import TOLERANCE, reencode
from featcache.errors import CacheError
from featcache.store import shard
from featcache.store.entry import Entry, reload
from featcache.store.writing import amend
from tests.entries import make_entry
from tests.featcache.encoding.noise import noise, spoil


def files(root: Path, rows: int = 6) -> Dataset:
    """A data set of files of noise, so that they can change."""
    rng = np.random.default_rng(0)
    splits = {}
    for split in ("train", "test"):
        items = []
        for i in range(rows):
            path = root / f"{split}{i}.png"
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
            items.append(Item(path.name, path, i % 2))
        splits[split] = tuple(items)
    return Dataset("files", ("even", "odd"), splits)


@pytest.fixture
def entry(tmp_path: Path, tiny: Backbone) -> tuple[Entry, Dataset]:
    data = files(tmp_path)
    return encode_dataset(data, tiny, FeatureCache(tmp_path / "cache")).entry, data


def test_all_rows_of_an_entry_are_within_the_tolerance(tmp_path: Path, tiny: Backbone) -> None:
    """All of several shards, but the one that could not be read."""
    data, _ = spoil(noise(), tmp_path)
    made = encode_dataset(data, tiny, FeatureCache(tmp_path / "cache"), batch_size=5).entry
    found = reencode(made, data, tiny, 1000)
    assert len(found.rows) == 90 + 21 + 21 - 1
    assert found.beyond == []
    assert {(row.split, row.id) for row in found.rows} == {
        (split, item.id) for split, held in data.splits.items() for item in held
    } - {("train", "train/40")}
    assert max(row.difference for row in found.rows) < 2**-10
    assert min(row.cosine for row in found.rows) > 1 - 1e-6


def test_rows_are_chosen_by_the_seed(entry: tuple[Entry, Dataset], tiny: Backbone) -> None:
    def chosen(seed: int) -> list[str]:
        return [row.id for row in reencode(*entry, tiny, 5, seed).rows]

    assert chosen(1) == chosen(1)
    assert len({*chosen(1)}) == 5
    assert len({tuple(chosen(seed)) for seed in range(5)}) > 1


def test_pictures_that_changed_are_found(entry: tuple[Entry, Dataset], tiny: Backbone) -> None:
    held, data = entry
    paths = {item.id: item.source for items in data.splits.values() for item in items}
    assert isinstance(paths["train1.png"], Path)
    Image.new("RGB", (40, 40), "red").save(paths["train1.png"])
    assert isinstance(paths["test2.png"], Path)
    paths["test2.png"].write_text("no picture")
    fewer = replace(data, splits={**data.splits, "test": data.splits["test"][1:]})
    beyond = {row.id: row for row in reencode(held, fewer, tiny, 99).beyond}
    assert set(beyond) == {"train1.png", "test2.png", "test0.png"}
    assert beyond["train1.png"].difference > TOLERANCE["fp32"]
    assert beyond["train1.png"].reason == "its bytes are not those that were encoded"
    assert "no picture of a known kind" in beyond["test2.png"].reason
    assert beyond["test0.png"].reason == "its picture is not in the data set any more"


def test_other_bytes_than_were_encoded_are_told(
    entry: tuple[Entry, Dataset], tiny: Backbone
) -> None:
    """Also where nothing can be seen of it: a byte after the picture's end."""
    held, data = entry
    path = Path(str(data.splits["train"][3].source))
    path.write_bytes(path.read_bytes() + b"!")
    rows = {row.id: row for row in reencode(held, data, tiny, 99).rows}
    changed = rows.pop("train3.png")
    assert changed.reason == "its bytes are not those that were encoded"
    assert changed.difference < TOLERANCE["fp32"]
    assert {row.reason for row in rows.values()} == {""}


def test_other_embeddings_are_found(entry: tuple[Entry, Dataset], tiny: Backbone) -> None:
    held, data = entry
    (name,) = (n for n in held.manifest["shards"] if n.startswith("images-test"))
    arrays = shard.read(held.folder / name)
    arrays["embedding"][2] *= np.float16(1 + 4 * TOLERANCE["fp32"])
    written = shard.write(held.folder / name, arrays)
    with amend(held) as manifest:
        manifest["shards"][name] |= asdict(written)
    (row,) = reencode(reload(held), data, tiny, 99).beyond
    assert row.id == "test2.png"
    assert row.cosine == pytest.approx(1, abs=1e-5)


def test_other_backbones_and_imports_are_refused(
    entry: tuple[Entry, Dataset], tiny: Backbone, tmp_path: Path
) -> None:
    held, data = entry
    for what, other in (
        ("weights", replace(tiny, weights="0")),
        ("configuration", replace(tiny, fingerprint="0")),
        ("activation", replace(tiny, activation="quick_gelu")),
        ("preprocessing", replace(tiny, preprocess=replace(tiny.preprocess, fill_color=9))),
        ("precision", replace(tiny, precision="bf16")),
    ):
        with pytest.raises(CacheError, match=f"with other {what} than"):
            reencode(held, data, other, 1)
    with pytest.raises(CacheError, match="was imported"):
        reencode(make_entry(tmp_path / "imported"), data, tiny, 1)
