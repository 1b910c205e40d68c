"""Features of other projects are fitted like any: the numbers of their files, or the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adapters.compose import get
from adapters.registry import names
from tests.adapters.short import short
from tests.entries import NARROW
from tests.featcache.interchange import layouts
from tests.typed import Type

# A draw of each: what is averaged, kept view by view, and known by its pictures.
DRAWS = {"tip-adapter": (1, 1), "cross-modal": (2, 2), "timo": (2, 3), "proker": (2, 4)}
FIT = "adapters fit --dataset pets --json --method"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATCACHE_HOME", str(tmp_path / "cache"))


def put(project: str, folder: Path, type_in: Type, more: str = "") -> layouts.Held:
    make, seed = layouts.ALL[project]
    held = make(folder / "theirs")
    line = f"featcache import {held.folder} --dataset pets --backbone {NARROW} {more}"
    line += f" --classes {layouts.classes(folder)}" + (f" --seed {seed}" if seed else "")
    answer = type_in(line)
    assert answer.status == 0, answer.err
    return held


def by_hand(held: layouts.Held, shots: int, seed: int) -> float:
    """Per cent of test pictures that are nearest to the mean of their class, by the files alone."""
    (views, labels), (x, y) = (
        held.supports.get((shots, seed)) or held.supports[shots, None],
        held.splits["test"],
    )
    keys = layouts.unit(views.astype(np.float16).astype(float).mean(0))
    means = np.stack([keys[labels == c].mean(0) for c in range(layouts.CLASSES)])
    scores = layouts.unit(x.astype(np.float16).astype(float)) @ layouts.unit(means).T
    return float(100 * (scores.argmax(1) == y).mean())


@pytest.mark.parametrize("project", DRAWS)
def test_nearest_class_means_are_those_of_the_files(
    project: str, tmp_path: Path, type_in: Type
) -> None:
    held, (shots, seed) = put(project, tmp_path, type_in), DRAWS[project]
    fit = type_in(f"{FIT} ncm --policy none --shots {shots} --seed {seed}")
    assert fit.status == 0, fit.err
    assert fit.json["accuracy"] == pytest.approx(by_hand(held, shots, seed))
    assert (fit.json["bank"] is None) is (held.text is None)
    asked = type_in(f"adapters evaluate {fit.json['adapter']} --json")
    assert asked.status == 0, asked.err
    assert asked.json["accuracy"] == fit.json["accuracy"]


def test_where_text_is_there_methods_take_it_and_choose_on_val(
    tmp_path: Path, type_in: Type
) -> None:
    put("tip-adapter", tmp_path, type_in)
    for method in ("tip-adapter", "zero-shot", "cross-modal"):
        fit = type_in(f"{FIT} {method} --shots 2")
        assert fit.status == 0, fit.err
        assert fit.json["bank"] == "imported"


@pytest.mark.parametrize("method", names())
def test_without_text_a_method_runs_or_names_the_way_out(
    method: str, tmp_path: Path, type_in: Type
) -> None:
    put("transclip", tmp_path, type_in)
    words = [word for pair in short(method).items() for word in ("--set", "{}={}".format(*pair))]
    fit = type_in(f"{FIT} {method} --shots 2", *words)
    if get(method).without_text:
        assert fit.status == 0, fit.err
        assert 0 <= fit.json["accuracy"] <= 100
    else:
        assert fit.status == 1
        assert f"{method} needs texts of the classes" in fit.err
        assert "featcache import … --text FILE" in fit.err


def test_text_that_is_added_is_taken(tmp_path: Path, type_in: Type) -> None:
    layouts.save(tmp_path / "text.pt", layouts.unit(np.eye(layouts.CLASSES, layouts.WIDTH)))
    put("transclip", tmp_path, type_in, "--text text.pt")
    assert type_in(f"{FIT} zero-shot --shots 2").status == 0


def test_methods_made_of_such_methods_do_without_text_too(tmp_path: Path, type_in: Type) -> None:
    put("transclip", tmp_path, type_in)
    assert type_in(f"{FIT} sum:ncm+gda --shots 2").status == 0
    assert type_in(f"{FIT} sum:ncm+zero-shot --shots 2").status == 1


def test_new_classes_cannot_be_told_apart_without_text(tmp_path: Path, type_in: Type) -> None:
    put("transclip", tmp_path, type_in)
    fit = type_in(f"{FIT} fma --shots 2 --task base-to-new")
    assert fit.status == 1
    assert "base-to-new tells new classes apart by their names" in fit.err


def test_lengths_that_are_gone_are_not_read(tmp_path: Path, type_in: Type) -> None:
    put("tip-adapter", tmp_path, type_in)
    assert type_in(f"{FIT} ss-text --shots 2").status == 0
    raw = type_in(f"{FIT} ss-text --shots 2 --set embeddings=raw")
    assert raw.status == 1
    assert "were normalised before they were imported" in raw.err


def test_raw_features_keep_theirs(tmp_path: Path, type_in: Type) -> None:
    put("cross-modal", tmp_path, type_in)
    fit = type_in(f"{FIT} ss-text --shots 2 --set embeddings=raw --policy none")
    assert fit.status == 0, fit.err
