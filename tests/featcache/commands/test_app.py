"""The `featcache` command: its names, its help, and how little it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from featcache.commands.app import app
from tests.typed import Type

NAMES = [
    *("encode", "doctor", "ls", "info", "diff", "verify", "rm", "gc"),
    *("datasets", "backbones", "import", "export", "merge"),
]


def test_the_commands_are_these() -> None:
    assert [c.name or c.callback.__name__ for c in app.registered_commands] == NAMES  # type: ignore[union-attr]
    assert app.info.help == "Encode pictures and prompts once, into a cache."


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(type_in: Type, name: str, flag: str) -> None:
    text = type_in("featcache", name, flag).out
    assert f"Example: featcache {name}" in text
    assert "--json" in text
    assert name in type_in("featcache", flag).out


def test_without_a_command_there_is_help(type_in: Type) -> None:
    answer = type_in("featcache")
    assert "Encode pictures and prompts once, into a cache." in answer.out + answer.err


def test_an_unknown_command_is_told_with_the_nearest(type_in: Type) -> None:
    answer = type_in("featcache encod")
    assert answer.status == 2
    assert "No such command 'encod'" in answer.err


def test_help_and_listing_import_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom featcache.commands.app import app\n"
        "for words in (['-h'], ['encode', '-h'], ['ls'], ['datasets']):\n"
        "    try: app(words)\n    except SystemExit as end: assert not end.code, words\n"
        "    heavy = {'torch', 'open_clip', 'pandas', 'numpy', 'h5py'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "FEATCACHE_HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", script]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
