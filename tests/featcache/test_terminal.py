"""What commands show: text for people, one document for programs, and nothing mixed up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from featcache import terminal
from featcache.errors import FeatcacheError


@dataclass
class Thing:
    name: str
    parts: tuple[int, ...]


def test_people_read_beside_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.people(False).print("alone", markup=False)
    terminal.people(True).print("beside", markup=False)
    assert capsys.readouterr() == ("alone\n", "beside\n")


def test_a_document_is_one_line_and_only_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.document(False, {"a": 1})
    terminal.document(True, {"ä": Path("x"), "list": [1, None]})
    out = capsys.readouterr().out
    assert out == '{"ä": "x", "list": [1, null]}\n'
    assert json.loads(out)


def test_a_dataclass_is_a_mapping() -> None:
    assert terminal.as_mapping(Thing("a", (1, 2))) == {"name": "a", "parts": (1, 2)}


def shown(heads: tuple[str, ...], rows: list[tuple[str, ...]], width: int = 60) -> list[str]:
    console = Console(width=width, record=True, highlight=False, soft_wrap=True)
    with console.capture() as capture:
        terminal.table(console, heads, rows)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_table_leaves_out_what_no_row_has() -> None:
    lines = shown(("name", "size", "state"), [("a", "1", ""), ("b[0]", "2", "")])
    assert lines[0].split() == ["name", "size"]
    assert [line.split() for line in lines[2:4]] == [["a", "1"], ["b[0]", "2"]]
    assert shown(("name", "x"), [("", "")])[0].split() == ["name"]
    assert shown(("name", "x"), [])[0].split() == ["name"]


def test_names_stay_in_one_piece_however_narrow_it_is() -> None:
    lines = shown(("name", "what"), [("a-long-name-of-a-thing", "many words to say of it")], 30)
    assert any(line.startswith("a-long-name-of-a-thing") for line in lines)


def test_numbers_stay_in_one_piece_however_narrow_it_is() -> None:
    heads = ("key", *(f"column {n}" for n in range(9)), "accuracy")
    for width in range(30, 90, 8):
        lines = shown(heads, [("a/b", *("train:899 val:359" for _ in range(9)), "91.84")], width)
        said = " ".join(lines).split()
        assert {"91.84", "train:899", "val:359"} <= {*said}, width


@pytest.mark.parametrize(("text", "part"), [("1/1", (1, 1)), ("2/16", (2, 16)), ("9/3", (9, 3))])
def test_a_part_is_two_numbers(text: str, part: tuple[int, int]) -> None:
    assert terminal.part(text) == part


@pytest.mark.parametrize("text", ["two", "1", "1/", "/2", "-1/2", "1/2/3", "1.5/2", ""])
def test_another_part_is_refused(text: str) -> None:
    with pytest.raises(FeatcacheError) as error:
        terminal.part(text)
    assert str(error.value) == f"--shard takes i/N such as 2/4, got {text!r}."


def test_one_of_some_words() -> None:
    terminal.one_of("--x", "b", ("a", "b"))
    with pytest.raises(FeatcacheError) as error:
        terminal.one_of("--x", "c", ("a", "b"))
    assert str(error.value) == "--x takes a or b, got 'c'."


def test_a_bar_is_for_terminals_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal.progress("crops") as update:
        update(0, 10)
        update(5, 10)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(
        terminal, "people", lambda as_json: Console(stderr=True, force_terminal=True, width=120)
    )
    with terminal.progress("crops") as update:
        update(5, 10)
    out, err = capsys.readouterr()
    assert out == ""
    assert "encoding" in err
    assert "5/10" in err
    assert "crops" in err


def test_a_bar_in_a_notebook_needs_no_widgets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    with terminal.progress("steps", "fitting") as update:
        update(3, 10)
    assert "3/10" in capsys.readouterr().err


def test_apps_complete_and_answer_to_h() -> None:
    assert terminal.APP["add_completion"] is True
    assert terminal.APP["no_args_is_help"] is True
    assert terminal.APP["context_settings"] == {"help_option_names": ["-h", "--help"]}


def test_what_is_piped_is_not_wrapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("method", " ".join(["a reason of some length"] * 9))]
    monkeypatch.delenv("COLUMNS", raising=False)
    terminal.table(terminal.people(False), ("name", "reason"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].rstrip().split(None, 1) == [*rows[0]]
    monkeypatch.setenv("COLUMNS", "60")
    terminal.table(terminal.people(False), ("name", "reason"), rows)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
