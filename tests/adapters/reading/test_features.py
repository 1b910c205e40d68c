"""Features that methods need: what is not cached is named with what adds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.compose import get
from adapters.drawing import draw
from adapters.episode import TEXT_TOWER
from adapters.experiment import Experiment
from adapters.fitting import draw_for, fit, run
from adapters.reading.features import ADDED_BY, adding
from adapters.registry import names
from featcache.errors import MethodError
from featcache.store.entry import Entry
from tests.entries import make_entry


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("fitting"))


NEEDING = [name for name in names() if get(name).needs]


@pytest.mark.parametrize("name", NEEDING)
def test_what_a_method_needs_and_is_not_cached_is_named(entry: Entry, name: str) -> None:
    entry = replace(entry, manifest={**entry.manifest, "source": "encoded"})
    with pytest.raises(MethodError) as refusal:
        fit(entry, name, shots=1)
    missing = [need for need in ADDED_BY if need in get(name).needs]
    said = str(refusal.value)
    assert said.startswith(f"{name} needs {' and '.join(missing)}, which animals has not cached")
    options = " ".join(ADDED_BY[need] for need in missing)
    assert said.endswith(
        f"`featcache encode --dataset animals --backbone {entry.backbone} {options}`."
    )


def test_what_features_from_elsewhere_lack_is_not_encoded_beside_them(tmp_path: Path) -> None:
    """`featcache encode --dataset theirs` knows no such data set."""
    theirs = make_entry(tmp_path)
    own = replace(theirs, manifest={**theirs.manifest, "source": "encoded"})
    assert adding(own, [TEXT_TOWER], "X") == "`featcache encode X --extra text-tower`"
    assert adding(theirs, [TEXT_TOWER]) == "`featcache import … --text-tower`"
    with pytest.raises(MethodError, match=r"PICTURES --extra pre-projection`, as animals/.* was"):
        fit(theirs, "prolip", shots=1)


def test_every_need_has_an_option_that_fills_it() -> None:
    assert {need for name in names() for need in get(name).needs} <= {*ADDED_BY}
    assert ADDED_BY["patches"] == "--extra patches"


def test_a_need_that_another_set_lacks_is_asked_of_that_set(rich: Entry, tmp_path: Path) -> None:
    poor = make_entry(tmp_path, name="pests")
    words = Experiment("prolip", 2, task="domain-generalization", on=(poor,))
    with pytest.raises(MethodError, match="pre-projection, which pests has not cached") as told:
        run(rich, words)
    assert "as pests/" in str(told.value)
    with pytest.raises(MethodError, match="which animals has not cached"):
        run(make_entry(tmp_path / "own"), words)


def test_a_draw_without_what_the_method_reads_is_made_anew(rich: Entry) -> None:
    words = Experiment("prolip", 2, settings={"steps": 2})
    assert draw_for(rich, words).episode.holds == {"views", "pre-projection", "negative prompts"}
    lacking = draw(rich, 2, 1, views=0)
    row = run(rich, words, lacking).row
    assert (row["extras"], row["views"]) == (["pre-projection"], 3)
    kept = run(rich, Experiment("ncm", 2), lacking).row
    assert (kept["extras"], kept["views"]) == ([], 0)
