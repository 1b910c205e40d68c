"""Tab: the right names at once, nothing heavy imported, and never an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache import terminal
from featcache.backbones.backbone import DTYPES
from featcache.commands import completion
from tests.entries import make_entry
from tests.featcache.store.made import made
from tests.tab import complete, offered


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("featcache encode --dataset dig", ["digits"]),
        ("featcache encode --backbone ViT-L-14-3", ["ViT-L-14-336", "ViT-L-14-336-quickgelu"]),
        ("featcache encode --split train,v", ["train,val"]),
        ("featcache info numb", ["numbers/net/0123"]),
        ("featcache ver", ["verify"]),
        ("featcache rm numb", ["numbers/net/0123"]),
    ],
)
def test_a_shell_is_offered_names(line: str, names: list[str], tmp_path: Path) -> None:
    made(tmp_path)
    assert offered(line, tmp_path) == names


def test_a_damaged_cache_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    (made(tmp_path).folder / "manifest.json").write_text("{")
    assert offered("featcache info numb", tmp_path) == []


def test_names_that_are_always_the_same() -> None:
    assert complete(completion.banks, "se") == ["seven"]
    banks = ["single", "dataset", "seven", "eighty", "ensemble", "negative"]
    assert complete(completion.banks, "") == banks
    assert complete(completion.precisions, "") == ["auto", "fp32", "bf16", "fp16"]
    assert complete(completion.views_for, "a") == ["all"]
    assert complete(completion.classes, "p") == ["present"]
    assert complete(completion.layouts, "do") == ["domains"]
    assert complete(completion.precisions, "fp32,b") == []
    assert set(completion.PRECISIONS) == {"auto", *DTYPES}


def test_a_list_goes_on_after_a_comma_without_what_it_has() -> None:
    assert complete(completion.splits, "") == ["train", "val", "test"]
    assert complete(completion.splits, "train,t") == ["train,test"]
    assert complete(completion.splits, "train,val,") == ["train,val,test"]
    assert complete(completion.extras, "patches,") == [
        "patches,pre-projection",
        "patches,text-tower",
    ]


def test_data_sets_and_backbones_by_name() -> None:
    assert "eurosat" in complete(completion.datasets, "")
    assert complete(completion.datasets, "shapes-p") == ["shapes-pairs"]
    known = complete(completion.backbones, "")
    assert known[0] == "demo"
    assert known[1:] == sorted(known[1:])
    assert {"ViT-B-16", "RN50", "ViT-B-16-SigLIP"} <= set(known)


def test_without_open_clip_there_is_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "find_spec", lambda name: None)
    assert complete(completion.backbones, "") == ["demo"]


def test_what_is_cached_comes_from_the_cache_that_is_given(tmp_path: Path) -> None:
    made(tmp_path)
    assert complete(completion.keys, "n", cache=tmp_path) == ["numbers/net/0123"]
    assert complete(completion.cached_datasets, "", cache=tmp_path) == ["numbers"]
    found = complete(completion.cached_backbones, "ViT", cache=tmp_path)
    assert found == ["ViT-B-16-quickgelu:openai"]
    assert complete(completion.keys, "", cache=tmp_path / "nowhere") == []


def test_a_name_of_two_data_sets_is_offered_as_keys(tmp_path: Path) -> None:
    keys = [make_entry(tmp_path, {"train": n, "test": 9}).key for n in (24, 30)]
    make_entry(tmp_path, name="cars")
    found = complete(completion.cached_datasets, "", cache=tmp_path / "cache")
    assert found == sorted([*keys, "cars"])


def test_whatever_goes_wrong_gives_no_names() -> None:
    def fail(context: object) -> list[str]:
        raise MemoryError

    assert complete(terminal.completing(fail), "") == []
    assert complete(completion.keys, "", cache=object()) == []
