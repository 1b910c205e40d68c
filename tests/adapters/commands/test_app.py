"""`adapters` as one app: every command is there, and says what it does."""

from __future__ import annotations

from pathlib import Path

from adapters.commands import app as room
from tests.typed import Type

COMMANDS = {
    "fit",
    "sweep",
    "results",
    "predict",
    "evaluate",
    "report",
    "methods",
    "reproduce",
    "export",
}


def test_every_command_of_the_rooms_is_in_the_app() -> None:
    found = {each.callback.__name__ for each in room.app.registered_commands if each.callback}
    assert found == COMMANDS
    assert {each.callback.__name__ for each in room.plot.registered_commands if each.callback} == {
        "flow"
    }
    folder = Path(room.__file__).parent
    shared = {"__init__", "app", "completion", "options", "pictures", "waiting"}
    rooms = {"fit", "sweep", "results", "ask", "report", "reproduce", "export", "methods"}
    assert {path.stem for path in folder.glob("*.py")} - shared == rooms


def test_help_lists_the_commands_with_a_sentence_each(type_in: Type) -> None:
    answer = type_in("adapters -h")
    assert answer.status == 0
    assert "Fit few-shot adapters on cached embeddings." in answer.out
    for command in COMMANDS:
        assert type_in(f"adapters {command} --help").status == 0
        assert f" {command} " in answer.out
    assert "flow" in type_in("adapters plot -h").out


def test_a_command_that_there_is_not_is_refused(type_in: Type) -> None:
    answer = type_in("adapters fitt")
    assert answer.status == 2
    assert "fitt" in answer.err
