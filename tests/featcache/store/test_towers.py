"""A kept tower is what was written, or it is told what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.store import towers
from featcache.store.entry import Entry
from featcache.store.writing import amend

ABOUT = {
    "backbone": "made",
    "fingerprint": "0123456789abcdef0123",
    "config": {
        "layers": 1, "heads": 2, "context": 8, "activation": "gelu", "epsilon": 1e-5,
        "dtype": "float16",
    },
    "tokenizer": "clip-bpe",
}  # fmt: skip
WEIGHTS = {"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.ones(4, np.float32)}
MERGES = "h i</w>\n# e\n"


def beside(entry: Entry) -> towers.TowerFiles:
    """A tower beside an entry, that says to be of it; of one that is made by hand."""
    with amend(entry) as manifest:
        manifest["text_tower"] = ABOUT["fingerprint"]
    return written(entry.root)


def written(root: Path) -> towers.TowerFiles:
    return towers.write(root, ABOUT, WEIGHTS, MERGES)


def found(root: Path) -> towers.TowerFiles:
    kept = towers.find(root, ABOUT["fingerprint"])
    assert kept is not None
    return kept


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert towers.find(tmp_path, ABOUT["fingerprint"]) is None
    assert towers.problems(tmp_path, ABOUT["fingerprint"]) == []
    written(tmp_path)
    kept = found(tmp_path)
    assert kept.about == written(tmp_path).about
    assert {**kept.config} == ABOUT["config"]
    read = kept.weights()
    assert read.keys() == WEIGHTS.keys()
    for name, each in WEIGHTS.items():
        assert read[name].dtype == each.dtype
        assert np.array_equal(read[name], each)
    assert kept.tokenizer().ranks == {("h", "i</w>"): 0, ("#", "e"): 1}
    assert kept.size == sum((kept.folder / name).stat().st_size for name in kept.about["files"])
    assert kept.problems() == []
    assert [p for p in kept.folder.iterdir() if p.name.startswith(".")] == []


def test_the_same_tower_gives_the_same_bytes(tmp_path: Path) -> None:
    kept = [written(tmp_path / each) for each in "ab"]
    for name in (towers.ABOUT, *kept[0].about["files"]):
        assert (kept[0].folder / name).read_bytes() == (kept[1].folder / name).read_bytes()


@pytest.mark.parametrize("name", [towers.WEIGHTS, towers.MERGES, towers.ABOUT])
def test_a_changed_byte_is_told(tmp_path: Path, name: str) -> None:
    path = written(tmp_path).folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert any(str(path) in told for told in towers.problems(tmp_path, ABOUT["fingerprint"]))
    with pytest.raises(CacheError, match="--extra text-tower"):
        _ = found(tmp_path).weights(), found(tmp_path).tokenizer()


def test_a_lost_file_and_one_that_says_nonsense_are_told(tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    (folder / towers.MERGES).unlink()
    with pytest.raises(MissingShardError, match="missing"):
        found(tmp_path).tokenizer()
    about = json.loads((folder / towers.ABOUT).read_text())
    for other in ([], {**about, "config": {}}, {**about, "sum": ""}, {"sum": 1}):
        (folder / towers.ABOUT).write_text(json.dumps(other))
        with pytest.raises(DamagedShardError, match="damaged"):
            found(tmp_path)


def test_tolerance_goes_by_the_precision_of_the_entry() -> None:
    assert towers.tolerance({"backbone": {"precision": "bf16"}}) == 1e-2
    assert towers.tolerance({"backbone": {"precision": "unknown"}}) == 1e-3
    x = np.array([[3.0, 4.0]])
    assert towers.difference(x, 10 * x) == pytest.approx(0)
    assert towers.difference(x, np.array([[3.0, 0.0]])) == pytest.approx(0.8)
