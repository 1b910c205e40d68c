"""`adapters reproduce`: what is needed, ours beside theirs, and all of it on the worlds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.report.published import read
from adapters.reproducing import tables
from tests.adapters.reproducing.small import small
from tests.entries import make_entry
from tests.typed import Type

__all__ = ["small"]


def test_the_tables_are_listed(type_in: Type) -> None:
    answer = type_in("adapters reproduce list")
    assert answer.status == 0
    assert all(table.name in answer.out for table in tables.tables())
    listed = type_in("adapters reproduce list --json").json
    assert [each["table"] for each in listed] == [table.name for table in tables.tables()]


def test_of_an_empty_cache_what_is_needed_is_said(type_in: Type) -> None:
    answer = type_in("adapters reproduce maple-base-to-new --dry-run")
    assert answer.status == 0
    line = "featcache encode --dataset eurosat --backbone ViT-B-16:openai --views 20 --extra"
    assert line in answer.out
    assert "maple: cannot be fitted here: it trains parameters inside both towers" in answer.out
    assert "0 runs can be done" in answer.out
    answer = type_in("adapters reproduce maple-base-to-new --json")
    assert answer.status == 1
    assert answer.err.endswith(
        "error: there is nothing to run for maple-base-to-new: the commands above add what is "
        "lacking, and --encode runs them.\n"
    )
    assert {need["entry"] for need in answer.json["needs"]} == {None}


def test_what_cannot_be_run_has_its_published_rows(type_in: Type) -> None:
    answer = type_in("adapters reproduce bongard-hoi")
    assert answer.status == 0
    assert "cannot be run here: it needs the problems of Bongard-HOI" in answer.out
    assert "72.62" in answer.out
    told = type_in("adapters reproduce bongard-hoi --json").json
    assert len(told["published"]) == 8
    assert {each["method"] for each in told["published"]} >= {"human", "svm-mimic"}


@pytest.mark.parametrize("words", ["--encode", "--out ours.json"])
def test_of_what_cannot_be_run_there_is_nothing_to_write(type_in: Type, words: str) -> None:
    answer = type_in(f"adapters reproduce bongard-hoi {words}")
    assert (answer.status, answer.out) == (1, "")
    assert "leave --encode and --out away" in answer.err


@pytest.mark.usefixtures("small")
def test_other_text_may_be_taken(type_in: Type, tmp_path: Path) -> None:
    make_entry(tmp_path, name="animals")
    own = type_in("adapters reproduce small --dry-run --prompts imported --json").json["needs"]
    assert [need["lacks"] for need in own] == [[], ["everything"]]
    other = type_in("adapters reproduce small --dry-run --prompts cupl --json").json["needs"]
    assert other[0]["lacks"] == ["prompts cupl"]
    assert "--prompts cupl.json" in other[0]["command"]  # no bank of that name ships
    assert "--prompts seven " in type_in("adapters reproduce small --dry-run --prompts seven").out
    none = type_in("adapters reproduce small --jobs 1 --prompts cupl --out ours.json")
    assert (none.status, (tmp_path / "ours.json").exists()) == (1, False)
    assert "there is nothing to run for small" in none.err
    file = type_in("adapters reproduce small --prompts some/CuPL.json")
    assert file.status == 1
    assert file.err.endswith("and take --prompts cupl.\n")
    (tmp_path / "My CuPL.txt").write_text("a {}.")
    joined = type_in("adapters reproduce small --dry-run --prompts seven+single-my-cupl --json")
    assert joined.json["needs"][0]["lacks"] == ["prompts seven-single-my-cupl"]
    assert "--prompts 'seven+single+My CuPL.txt' " in joined.json["needs"][0]["command"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("bank", ["negative", "negative-mine", "negative+negative-mine.txt"])
def test_text_of_what_is_not_there_is_refused(type_in: Type, tmp_path: Path, bank: str) -> None:
    """It was said to be lacking, also once it had been encoded."""
    make_entry(tmp_path, name="animals")
    answer = type_in(f"adapters reproduce small --dry-run --prompts {bank}")
    assert (answer.status, answer.out) == (1, "")
    assert "such as --prompts seven" in answer.err
    assert "Traceback" not in answer.err


def test_an_unknown_table_is_one_sentence(type_in: Type) -> None:
    answer = type_in("adapters reproduce tip-rn51")
    assert answer.status == 1
    assert answer.err.startswith("error: unknown table 'tip-rn51'")


@pytest.mark.usefixtures("small")
def test_ours_stand_beside_theirs_with_the_reasons_below(type_in: Type, tmp_path: Path) -> None:
    for name in ("animals", "beasts"):
        make_entry(tmp_path, name=name)
    answer = type_in("adapters reproduce small --jobs 1 --out ours.json")
    assert answer.status == 0
    blocks = answer.out.split("gda: ours by policy full-val, published by oracle-test")
    assert len(blocks) == 2  # the mean, which is by other policies, has a table of its own
    assert "gda: ours by policy full-val, published by several" in answer.out
    assert "chosen on test" not in blocks[0].partition("zero-shot: ours")[2]
    assert "policy: chosen on test there, full-val here" in blocks[1]
    # What was done is there, so that nothing is done twice.
    again = type_in("adapters reproduce small --jobs 1 --json").json
    assert again["runs"] == 12
    rows = [r for r in again["rows"] if (r["method"], r["dataset"]) == ("gda", "animals")]
    for row in rows:
        assert row["difference"] == pytest.approx(row["ours"] - row["published"])
        assert bool(row["reasons"]) == (abs(row["difference"]) > 1)
    written = read((tmp_path / "ours.json").read_text())
    assert [line.method for line in written] == ["zero-shot", "gda"]
    assert "No number yet" not in answer.out
    some = type_in("adapters reproduce small --jobs 1 --method gda --shots 2 --json").json
    assert some["runs"] == 4


@pytest.mark.usefixtures("small")
def test_a_mean_waits_for_its_sets(type_in: Type, tmp_path: Path) -> None:
    make_entry(tmp_path, name="beasts")
    answer = type_in("adapters reproduce small --jobs 1 --method zero-shot")
    assert answer.status == 0
    assert "No number yet: a published mean waits until all of its sets are cached." in answer.out


@pytest.mark.slow
def test_the_embedded_worlds_give_their_table_again(type_in: Type, tmp_path: Path) -> None:
    """From nothing to the last number; the published ones are this project's own."""
    answer = type_in("adapters reproduce demo --encode --jobs 1 --json")
    assert answer.status == 0, answer.err
    assert [need["lacks"] for need in answer.json["needs"]] == [[], []]
    rows = answer.json["rows"]
    assert len(rows) == 3 + 3 * 6
    # Other processors round otherwise, and a picture or two of hundreds may change sides.
    assert max(abs(row["difference"]) for row in rows) < 0.5
    assert not any(row["reasons"] for row in rows)
    before = (tmp_path / "runs" / "results.sqlite").stat().st_mtime_ns
    again = type_in("adapters reproduce demo --jobs 1 --json")
    assert again.json["rows"] == json.loads(json.dumps(rows))
    assert (tmp_path / "runs" / "results.sqlite").stat().st_mtime_ns == before
