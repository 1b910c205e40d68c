"""An entry as its readers see it: features, rows, what is missing and what is damaged."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import numpy as np
import pytest

from featcache.errors import CacheError, DamagedShardError, UnknownNameError
from featcache.store import entry as entries
from featcache.store import shard
from featcache.store.entry import Entry, is_negative, open_entry, reload
from featcache.store.files import ANEW
from featcache.store.writing import amend, put_text
from tests.featcache.store.made import HEADER, half, made


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return made(tmp_path)


def test_words_on_disk_never_change() -> None:
    assert (entries.POOL, entries.EMBEDDING) == ("pool", "embedding")
    assert (entries.PRE_PROJECTION, entries.PATCHES) == ("pre-projection", "patches")
    assert entries.EXTRAS == ("pre-projection", "patches")
    assert (entries.NEGATIVE, entries.PROJECTION_SHARD) == ("negative", "projection.h5")


def test_an_entry_describes_itself(entry: Entry) -> None:
    assert entry.key == "numbers/net/0123"
    assert entry.dataset == "numbers"
    assert entry.backbone == "ViT-B-16-quickgelu:openai"
    assert entry.classnames == ("even", "odd")
    assert entry.logit_scale == 50.0
    assert isinstance(entry.logit_scale, float)
    assert entry.splits == {"train": 10, "test": 3}
    assert entry.banks == ("dataset", "seven")
    assert entry.negative_banks == ("negative", "negative-mine")
    assert entry.extras == ("pre-projection", "patches")
    assert entry.bad == 1
    assert entry.bytes == sum(p.stat().st_size for p in entry.folder.glob("*.h5"))
    assert entry.complete
    os.utime(entry.folder / "manifest.json", (5, 77))
    assert entry.updated == 77


def test_encoded_rows_are_counted_by_feature(entry: Entry) -> None:
    assert entry.encoded("train") == 10
    assert entry.encoded("test") == 3
    assert entry.encoded("val") == 0
    assert entry.encoded("train", "patches") == 10
    assert entry.encoded("test", "patches") == 0


def test_images_are_the_rows_in_order(entry: Entry) -> None:
    images = entry.images("train")
    assert images.embedding.dtype == np.float32
    assert images.embedding.tolist() == [[r, r + 0.5] for r in range(10)]
    assert images.label.tolist() == [r % 2 for r in range(10)]
    assert images.id == tuple(f"train/ä{r}" for r in range(10))
    assert images.valid.tolist() == [r != 6 for r in range(10)]
    assert images.reason == tuple("is empty." if r == 6 else "" for r in range(10))
    assert len(entry.images("test").label) == 3


def test_an_unknown_split_offers_those_there_are(entry: Entry) -> None:
    with pytest.raises(UnknownNameError, match="unknown split 'val'; known are: test, train"):
        entry.images("val")


def test_bad_pictures_are_named_with_their_reasons(entry: Entry) -> None:
    assert entry.bad_pictures() == [("train/ä6", "is empty.")]


def test_bad_pictures_of_a_shard_with_fewer_reasons_are_not_passed_over(entry: Entry) -> None:
    name = "images-train-00001.h5"
    content = shard.read(entry.folder / name)
    written = shard.write(entry.folder / name, {**content, "reason": content["reason"][:1]})
    with amend(entry) as manifest:
        manifest["shards"][name] |= asdict(written)
    with pytest.raises(ValueError, match="shorter"):
        reload(entry).bad_pictures()


def test_views_are_those_of_the_rows_without_the_centre_crop(entry: Entry) -> None:
    views = entry.views("train", np.array([9, 0, 2, 9]))
    assert views is not None
    assert views.dtype == np.float32
    assert views.tolist() == [[[r, 10 * v] for r in (9, 0, 2, 9)] for v in (1, 2, 3)]
    of_views = entry.views("train", np.array([5, 2]), "pre-projection")
    assert of_views is not None
    assert of_views.tolist() == [[[v, r, 0] for r in (5, 2)] for v in (1, 2, 3)]


def test_an_extra_that_was_not_kept_of_views_is_none(entry: Entry) -> None:
    assert entry.views("train", np.array([0]), "patches") is None


def test_rows_without_any_views_are_none(entry: Entry) -> None:
    assert entry.views("train", np.array([1, 3])) is None
    assert entry.views("test", np.array([0])) is None


@pytest.mark.parametrize(("rows", "lacking"), [([0, 1, 3], 2), ([0, 2, 5, 8], 1)])
def test_rows_of_which_only_some_have_views_are_refused(
    entry: Entry, rows: list[int], lacking: int
) -> None:
    with pytest.raises(CacheError) as error:
        entry.views("train", np.array(rows))
    assert str(error.value) == (
        f"numbers/net/0123: {lacking} of {len(rows)} drawn pictures have no cached views; "
        "encode with --views-for all, or fit with --views 0."
    )


def test_the_newest_set_of_views_that_has_the_rows_is_taken(entry: Entry) -> None:
    """A set that was listed and never filled, or holds fewer of the rows, stands back."""
    with amend(entry) as manifest:
        manifest["view_sets"]["train"] = {"new": {}, "empty": {}}
    views = reload(entry).views("train", np.array([0]))
    assert views is not None
    assert views.shape == (3, 1, 2)
    with pytest.raises(CacheError, match="1 of 2 drawn"):
        reload(entry).views("train", np.array([0, 1]))


def test_extras_are_those_of_the_centre_crops(entry: Entry) -> None:
    rows = np.array([9, 3, 3, 4])
    pre = entry.extra("pre-projection", "train", rows)
    assert pre is not None
    assert pre.dtype == np.float32
    assert pre.tolist() == [[r, 0, -r] for r in rows]
    patches = entry.extra("patches", "train", rows)
    assert patches is not None
    assert patches.dtype == np.float16
    assert patches.tolist() == [[[r, 1], [r, 1]] for r in rows]
    assert entry.extra("patches", "test", np.array([0])) is None
    assert entry.extra("patches", "train", np.zeros(0, np.int64)) is None


def test_a_split_that_has_an_extra_in_part_has_none(entry: Entry) -> None:
    with amend(entry) as manifest:
        del manifest["shards"]["patches-train-00002.h5"]
    entry = reload(entry)
    assert entry.extra("patches", "train", np.array([0])) is None
    assert not entry.complete
    assert entry.problems() == [
        "split 'train' has 8 of 10 rows of patches; run the same `featcache encode` again."
    ]


@pytest.mark.parametrize("name", ["patch", "embedding", ""])
def test_another_extra_is_refused(entry: Entry, name: str) -> None:
    words = f"unknown extra feature '{name}'; known are: patches, pre-projection"
    with pytest.raises(UnknownNameError, match=words):
        entry.extra(name, "train", np.array([0]))
    with pytest.raises(UnknownNameError, match=words):
        entry.views("train", np.array([0]), name)


def test_the_projection_is_what_was_kept(entry: Entry, tmp_path: Path) -> None:
    projection = entry.projection()
    assert projection is not None
    assert projection.weight.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert projection.bias.tolist() == [7, 8]
    assert open_entry(tmp_path / "other", HEADER).projection() is None


def test_a_bank_is_ragged_and_masked(entry: Entry) -> None:
    text = entry.text()
    assert text.bank == "seven"
    assert text.classnames == ("even", "odd")
    assert text.prompts == (("seven a",), ("b", "c"))
    assert text.embedding.dtype == np.float32
    assert text.embedding.tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert text.mask.tolist() == [[True, False], [True, True]]
    assert entry.text("negative").prompts == (("negative a",), ("b", "c"))


def test_a_class_may_have_no_prompts(entry: Entry) -> None:
    put_text(entry, "lopsided", half([[1, 2], [3, 4]]), [["a", "b"], []])
    text = reload(entry).text()
    assert text.bank == "lopsided"  # the last of three
    assert text.mask.tolist() == [[True, True], [False, False]]
    assert text.prompts == (("a", "b"), ())


def test_the_bank_encoded_last_is_the_last(entry: Entry) -> None:
    put_text(entry, "dataset", half([[1, 2], [3, 4]]), [["a"], ["b"]])
    again = reload(entry)
    assert again.banks == ("seven", "dataset")
    assert again.text().prompts == (("a",), ("b",))


def test_missing_banks_are_told(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as error:
        entry.text("cupl")
    assert str(error.value) == (
        "unknown prompt bank 'cupl'; known are: dataset, negative, negative-mine, seven. "
        "`featcache encode --prompts cupl` adds a bank."
    )
    bare = made(tmp_path / "bare", text=False)
    assert not bare.complete
    with pytest.raises(CacheError) as none:
        bare.text()
    assert str(none.value) == (
        "numbers/net/0123 holds no prompts yet; run the same `featcache encode`."
    )
    with pytest.raises(UnknownNameError, match="known are: none"):
        bare.text("seven")
    assert bare.problems() == ["no prompts are encoded; run the same `featcache encode` again."]
    put_text(bare, "negative", half([[1, 2], [3, 4]]), [["a"], ["b"]])
    assert not reload(bare).complete
    with pytest.raises(CacheError, match="holds no prompts yet"):
        reload(bare).text()


@pytest.mark.parametrize(
    ("name", "negative"),
    [("negative", True), ("negative-x", True), ("negatives", False), ("dataset", False)],
)
def test_negative_banks_are_known_by_their_names(name: str, negative: bool) -> None:
    assert is_negative(name) is negative


def test_rubbish_from_a_crash_is_not_seen(entry: Entry) -> None:
    (entry.folder / "images-train-00003.h5").write_bytes(b"half a shard")
    (entry.folder / ".images-test-00002.h5.77.tmp").write_bytes(b"less")
    assert entry.problems() == []
    assert len(reload(entry).images("train").label) == 10


def test_an_incomplete_entry_says_what_is_missing(entry: Entry) -> None:
    with amend(entry) as manifest:
        del manifest["shards"]["images-train-00001.h5"]
    entry = reload(entry)
    assert not entry.complete
    with pytest.raises(CacheError) as error:
        entry.images("train")
    assert str(error.value) == (
        "numbers/net/0123 holds 6 of 10 rows of split 'train'; run the same `featcache encode` "
        "again, it goes on where it stopped."
    )
    assert entry.problems() == [
        "split 'train' has 6 of 10 rows; run the same `featcache encode` again."
    ]


def test_a_split_that_nobody_asked_for_is_not_missing(entry: Entry) -> None:
    with amend(entry) as manifest:
        del manifest["shards"]["images-test-00000.h5"]
        manifest["asked"] = ["train"]
    assert reload(entry).complete
    assert reload(entry).problems() == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("delete", "is listed in the manifest but missing"),
        ("cut", "is damaged ("),
        ("flip", "is damaged (SHA-256)"),
        ("swap", "is damaged ("),
    ],
)
def test_every_harm_is_a_problem(entry: Entry, harm: str, told: str) -> None:
    path = entry.folder / "images-train-00001.h5"
    content = bytearray(path.read_bytes())
    if harm == "delete":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[:-9])
    elif harm == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes((entry.folder / "images-test-00000.h5").read_bytes())
    (problem,) = entry.problems()
    assert problem.startswith(f"{path} {told}")
    assert problem.endswith(f"; {ANEW}")
    assert entry.lost() == ([] if harm == "flip" else [path.name])
    if harm != "flip":
        with pytest.raises(CacheError):
            entry.images("train")


def test_a_shard_of_rubbish_is_a_problem_though_its_hash_is_listed(entry: Entry) -> None:
    path = entry.folder / "patches-train-00000.h5"
    path.write_bytes(b"rubbish")
    with amend(entry) as manifest:
        digest = hashlib.sha256(b"rubbish").hexdigest()
        manifest["shards"][path.name] |= {"bytes": 7, "sha256": digest}
    (problem,) = reload(entry).problems()
    assert problem.startswith(f"{path} is damaged (")
    with pytest.raises(DamagedShardError, match="is damaged"):
        reload(entry).extra("patches", "train", np.array([0]))


def test_an_entry_is_opened_as_it_stands_or_begun(entry: Entry, tmp_path: Path) -> None:
    assert open_entry(entry.folder, {"dataset": "another"}).manifest == entry.manifest
    fresh = open_entry(tmp_path / "fresh", {"dataset": {"name": "x"}, "rows": (1, 2)})
    assert fresh.manifest["shards"] == {}
    assert fresh.manifest["rows"] == [1, 2]
    assert not fresh.folder.exists()
    assert reload(fresh).manifest == fresh.manifest
    assert fresh.extras == ()


def test_what_was_read_does_not_change(entry: Entry) -> None:
    projection = entry.projection()
    assert projection is not None
    for read in (entry, entry.images("test"), entry.text(), projection):
        for name in vars(read):
            with pytest.raises(FrozenInstanceError):
                setattr(read, name, None)


def test_reload_sees_what_others_wrote(entry: Entry) -> None:
    with amend(entry) as manifest:
        manifest["asked"] = []
    assert entry.manifest["asked"] == ["train", "test"]
    assert reload(entry).manifest["asked"] == []


def test_reading_imports_neither_torch_nor_open_clip(entry: Entry) -> None:
    script = (
        "import sys; from featcache import FeatureCache\n"
        "entry = FeatureCache(sys.argv[1]).find()\n"
        "assert not {'numpy', 'h5py'} & set(sys.modules)\n"
        "entry.images('train'), entry.text()\n"
        "sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    )
    root = entry.folder.parents[2]
    subprocess.run([sys.executable, "-c", script, str(root)], check=True)


def test_labels_and_ids_are_those_of_the_pictures(entry: Entry) -> None:
    for split in entry.splits:
        images, (label, valid) = entry.images(split), entry.labels(split)
        assert label.tolist() == images.label.tolist()
        assert valid.tolist() == images.valid.tolist()
        assert entry.ids(split) == images.id
    for read in (entry.labels, entry.ids, entry.index):
        with pytest.raises(UnknownNameError, match="split"):
            read("val")
