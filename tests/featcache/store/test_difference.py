"""What differs between two entries, by brute force on small ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import MissingShardError
from featcache.store import shard
from featcache.store.difference import ALIKE, cosine, difference, unlike
from featcache.store.entry import Entry, reload
from featcache.store.writing import amend, put_text
from tests.featcache.store.made import half, made


def changed(entry: Entry, name: str, **arrays: object) -> Entry:
    """The entry with other arrays in one of its shards."""
    content = shard.read(entry.folder / name) | {k: np.asarray(v) for k, v in arrays.items()}
    written = shard.write(entry.folder / name, content)
    with amend(entry) as manifest:
        manifest["shards"][name] |= asdict(written)
    return reload(entry)


def test_an_entry_is_the_same_as_its_copy(tmp_path: Path) -> None:
    found = difference(made(tmp_path / "a"), made(tmp_path / "b"))
    assert found.same
    assert found.manifest == {}
    assert found.rows["train"].cosines.common == 9  # one could not be read
    assert set(found.prompts) == {"dataset", "negative", "seven", "negative-mine"}
    for part in (*found.rows.values(), *found.prompts.values()):
        assert part.cosines.quantiles == dict.fromkeys(("min", "1%", "50%", "max"), 1.0)


def test_every_kind_of_difference_is_found(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    ids = [f"train/ä{r}" for r in (4, 5)] + ["train/new", "train/ä7"]
    b = changed(
        b,
        "images-train-00001.h5",  # rows 4 to 7, of which 6 cannot be read in A
        id=shard.strings(ids),
        label=[0, 0, 0, 1],
        valid=[True, True, True, False],
        embedding=half([[4, 4.5], [5.5, -5], [6, 6.5], [0, 0]]),
    )
    with amend(b) as manifest:
        manifest["backbone"]["precision"] = "bf16"
        manifest["asked"] = ["train"]
    put_text(b, "seven", half([[1, 2], [-4, 3], [1, 1]]), [["seven a"], ["b", "d"]])
    found = difference(a, reload(b))
    assert not found.same
    assert found.manifest == {
        "asked": (["train", "test"], ["train"]),
        "backbone.precision": (None, "bf16"),
    }
    rows = found.rows["train"]
    assert rows.only_a == ["train/ä6"]
    assert rows.only_b == ["train/new"]
    assert rows.relabelled == [("train/ä5", "odd", "even")]
    assert rows.unreadable == ["train/ä7"]
    x, y = np.array([5, 5.5]), np.array([5.5, -5])
    least = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert rows.cosines.common == 8
    assert rows.cosines.quantiles["min"] == pytest.approx(least)
    assert rows.cosines.quantiles["50%"] == 1
    assert (rows.cosines.below, [name for name, _ in rows.cosines.worst]) == (1, ["train/ä5"])
    assert found.rows["test"].cosines.quantiles["min"] == 1
    seven = found.prompts["seven"]
    assert (seven.only_a, seven.only_b) == (["odd: c"], ["odd: d"])
    assert seven.cosines.quantiles["min"] == pytest.approx(0)


def test_rows_are_found_wherever_they_lie(tmp_path: Path) -> None:
    """Another order of rows, classes and shards changes nothing but what the manifests say."""
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    for name in [n for n in b.manifest["shards"] if n.startswith("images-train")]:
        content = shard.read(b.folder / name)
        content["label"] = 1 - content["label"]
        b = changed(b, name, **{k: v[::-1].copy() for k, v in content.items()})
    with amend(b) as manifest:
        manifest["dataset"]["classnames"] = ["odd", "even"]
    found = difference(a, reload(b))
    assert list(found.manifest) == ["dataset.classnames"]
    assert (found.classes_a, found.classes_b) == ([], [])
    rows = found.rows["train"]
    assert (rows.only_a, rows.only_b, rows.relabelled, rows.unreadable) == ([], [], [], [])
    assert rows.cosines.quantiles["min"] == 1


def test_other_widths_and_rows_not_encoded_are_not_compared(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    b = changed(b, "images-test-00000.h5", embedding=half([[1, 2, 3]] * 3))
    assert difference(a, b).rows["test"].cosines.quantiles == {}
    with amend(b) as manifest:
        del manifest["shards"]["images-test-00000.h5"]
    found = difference(a, reload(b))
    assert len(found.rows["test"].only_a) == 3
    assert found.manifest["encoded.test"] == (3, 0)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    (b.folder / "images-test-00000.h5").unlink()
    with pytest.raises(MissingShardError):
        difference(a, b)


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=5),
    st.integers(1, 5),
)
def test_cosines(rows: list[list[int]], scale: int) -> None:
    x = np.array(rows, np.float16)
    np.testing.assert_array_equal(cosine(x, x), np.ones(len(x)))
    some = np.abs(x).sum(1) > 0
    np.testing.assert_allclose(cosine(x, -scale * x)[some], -1)
    np.testing.assert_allclose(cosine(x, np.roll(x, 1, 1)), cosine(np.roll(x, 1, 1), x))
    assert (cosine(x[some], np.zeros_like(x[some])) < ALIKE).all()


def test_unlike_are_paths_and_both_values() -> None:
    a, b = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "e": None}
    assert unlike(a, b) == {"a.c": (2, 3), "d": ([1], None)}
