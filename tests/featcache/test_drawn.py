"""Draws from files: every form gives the same pictures, and what is not there is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.drawn import Drawn, kept, read, rows_listed, rows_of, way
from featcache.draws import SEEDS, SHOTS
from featcache.errors import ConfigError, EpisodeError, UnknownNameError

TRAIN, VAL = ("cat/0.jpg", "dog/ä 1.jpg"), ("cat/7.jpg",)
INDEX = {
    "train": {"data": [{"impath": i, "label": 0, "classname": "x"} for i in TRAIN], "indices": []},
    "val": {"data": [{"impath": i, "label": 0, "classname": "x"} for i in VAL], "indices": []},
}
LINES = [{"id": i, "split": "train"} for i in TRAIN] + [{"id": i, "split": "Val"} for i in VAL]


def write(folder: Path, content: Any, name: str = "draw") -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    "content",
    [
        INDEX,
        {"train": list(TRAIN), "val": list(VAL)},
        {"train": [{"path": i} for i in TRAIN], "val": {"data": list(VAL)}},
        LINES,
        "\n".join(json.dumps(line) for line in LINES),
        "\ufeffSplit,ID\r\n" + "\r\n".join(f"{line['split']},{line['id']}" for line in LINES),
        "\n".join(["label;file;split", *(f"0;{line['id']};{line['split']}" for line in LINES)]),
        "\n".join(["path\tsplit", *(f"{line['id']}\t{line['split']}" for line in LINES)]),
    ],
)  # fmt: skip
def test_all_forms_say_the_same(tmp_path: Path, content: Any) -> None:
    path = write(tmp_path, content)
    found = read(path)
    assert (found.train, found.val) == (TRAIN, VAL)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert found.told == f"file:draw@{digest}"


@pytest.mark.parametrize(
    "content",
    [
        list(TRAIN),
        {"train": list(TRAIN)},
        {"format": 3, "about": {"support": list(TRAIN)}},
        {"support": list(TRAIN)},
        "\n\n".join(TRAIN),
        "\n".join(map(json.dumps, TRAIN)),
        "\n".join(["id", *TRAIN]),
    ],
)
def test_ids_alone_train(tmp_path: Path, content: Any) -> None:
    found = read(write(tmp_path, content))
    assert (found.train, found.val) == (TRAIN, ())


def test_one_line_of_json_is_a_draw_of_one(tmp_path: Path) -> None:
    assert read(write(tmp_path, {"id": "a", "split": "train"})).train == ("a",)


def test_ids_of_lines_may_hold_what_parts_columns(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a,b.jpg\nc;d.jpg")).train == ("a,b.jpg", "c;d.jpg")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "lists no training pictures"),
        ([], "lists no training pictures"),
        ({"val": ["a"]}, "has no train"),
        ({"train": 3}, "is no list of pictures"),
        ({"train": [3]}, "names no picture"),
        ([{"label": 3}], "names no picture"),
        ([{"id": "a", "split": "test"}], "'test' is no split that is drawn from"),
        ({"train": ["a", "b", "a"]}, "lists 'a' twice"),
        ({"train": ["a"], "val": ["a"]}, "lists 'a' twice"),
        ({"train": ["a\nb"]}, "not one line"),
        ('{"id": "a"}\n{"id": ', "neither JSON nor lines"),
        ("id,split\na", "row 2 has not 2 columns"),
        ("[" * 99_999, "nested too deep"),
        ("a\0b", "is no text"),
    ],
)
def test_what_is_no_draw_is_refused(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as told:
        read(write(tmp_path, content))
    assert "draw" in str(told.value)


class Trap:
    """Opening its pickle would leave a file."""

    def __reduce__(self) -> Any:
        return open, ("trapped", "w")


def test_pickles_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shot_1-seed_1.pkl").write_bytes(pickle.dumps(Trap(), 0))
    Path("other").write_bytes(pickle.dumps(Trap()))
    with zipfile.ZipFile("tensors", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Trap()))
    for name in ("shot_1-seed_1.pkl", "other", "tensors"):
        with pytest.raises(ConfigError, match="is a pickle, and to open one is to run it"):
            read(Path(name))
    assert not Path("trapped").exists()


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the draw"):
        read(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(ConfigError, match="is no text"):
        read(tmp_path / "latin")


ids = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), min_size=1, unique=True
)


@given(ids, st.randoms(use_true_random=False))
def test_ids_that_are_there_are_their_rows(held: list[str], rng: Any) -> None:
    wanted = rng.sample(held, rng.randint(1, len(held)))
    assert [held[row] for row in rows_of(wanted, held, "x")] == wanted


@given(ids, st.sampled_from(["./data/", "/home/me/", "C:\\data\\", "../"]))
def test_longer_paths_are_met_by_their_ends(held: list[str], root: str) -> None:
    """Of ids that all end a path, the longest is meant: no other has as much of it."""
    wanted = [f"{root}{id_}" for id_ in held]
    found = [held[row] for row in rows_of(wanted, held, "x")]
    assert found == held


def test_the_end_of_a_path_will_do_where_there_is_one() -> None:
    held = ["train/cat/1.jpg", "train/dog/1.jpg", "train/dog/2.jpg"]
    assert rows_of(["2.jpg", "cat/1.jpg"], held, "x") == [2, 0]
    with pytest.raises(EpisodeError, match="1 of 2 pictures of the draw are there under several"):
        rows_of(["2.jpg", "1.jpg"], held, "x")
    with pytest.raises(EpisodeError, match="not there"):
        rows_of(["at/1.jpg"], held, "x")  # folders count whole


def test_what_is_missing_is_counted_and_named() -> None:
    with pytest.raises(EpisodeError) as told:
        rows_of([f"{i}.jpg" for i in range(9)], ["cat/0.jpg", "cat/8.jpg"], "train of pets")
    assert "7 of 9 pictures of the draw are not there in train of pets: '1.jpg'" in str(told.value)
    assert "and 2 more; ids there are such as 'cat/0.jpg'" in str(told.value)
    with pytest.raises(EpisodeError, match="not there"):
        rows_of(["a"], [], "x")


def test_two_spellings_of_one_picture_are_refused() -> None:
    with pytest.raises(EpisodeError, match="are one picture of x"):
        rows_of(["a/b.jpg", "data/a/b.jpg"], ["a/b.jpg"], "x")
    assert rows_of(["e\u0301.jpg"], ["\u00e9.jpg"], "x") == [0]


@pytest.mark.parametrize("shots", SHOTS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["eurosat", "dtd"])
def test_index_files_of_others_give_their_rows(
    shared_data: Path, name: str, shots: int, seed: int
) -> None:
    """The rows that their `indices` say of CoOp's list, found by paths alone."""
    path = shared_data / "draws" / name / f"shot_{shots}-seed_{seed}.json"
    lists = _lists(shared_data, name)
    found, told = read(path), json.loads(path.read_text())
    for split, wanted in (("train", found.train), ("val", found.val)):
        held = [id_ for id_, _, _ in lists[split]]
        assert rows_of(wanted, held, split) == told[split]["indices"]


def _lists(shared_data: Path, name: str) -> Any:
    if name == "dtd":
        path = shared_data / "draws" / "dtd" / "split_zhou_DescribableTextures.json"
        return json.loads(path.read_text())
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        return json.loads(archive.read("eurosat/split_zhou_EuroSAT.json"))


def test_a_draw_is_a_value() -> None:
    assert Drawn("a", "b", ("c",)) == Drawn("a", "b", ("c",), ())


def test_a_way_to_draw_is_a_kind_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, list(TRAIN), "balance")
    assert [way("natural"), way("balance")] == ["natural", str(tmp_path / "balance")]
    with pytest.raises(UnknownNameError, match="unknown draw"):
        way("ballanced")
    write(tmp_path, [], "none")
    with pytest.raises(ConfigError, match="lists no training pictures"):
        way("none")


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, ["a", "b"])
    assert read(path).train == ("a", "b")
    write(tmp_path, ["a"])
    assert read(path).train == ("a",)


def test_what_validates_is_looked_for_in_its_list_or_among_the_rest() -> None:
    both = Drawn("x", "", ("a", "b"), ("c",))
    assert rows_listed(both, ["b", "a"], ["c"], "e") == ([1, 0], [0])
    assert rows_listed(both, ["c", "b", "a"], None, "e") == ([2, 1], [0])
    assert rows_listed(Drawn("x", "", ("a",)), ["b", "a"], ["c"], "e") == ([1], None)
    with pytest.raises(EpisodeError, match="val split of e"):
        rows_listed(both, ["a", "b", "c"], [], "e")


def test_an_entry_of_some_draws_has_these_alone() -> None:
    draws = {"1-1": {"train": [0], "val": [1]}}
    assert kept(draws, "1-1", "e") == ([0], [1])
    with pytest.raises(EpisodeError, match="and not of 2-1"):
        kept(draws, "2-1", "e")
