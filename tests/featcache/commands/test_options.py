"""Options that commands share: where they read, and what Tab offers for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featcache.commands import completion, options
from tests.featcache.datasets.ponds import pond
from tests.typed import Type


def _about(option: Any) -> Any:
    return option.__metadata__[0]


def test_keys_are_offered_at_tab() -> None:
    for option in (options.Key, options.EveryKey):
        assert _about(option).autocompletion is completion.keys
    assert _about(options.EveryKey).help == "An entry's key; all if left out."


@pytest.mark.parametrize("said", ["option", "environment"])
def test_the_root_is_an_option_or_of_the_environment(
    type_in: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Found there, the data set is read, and only then is the backbone looked for."""
    pond(tmp_path / "data" / "eurosat", "2750", "split_zhou_EuroSAT.json")
    line = "featcache encode --dataset eurosat --backbone local-dir:nowhere"
    assert "say with --root or FEATCACHE_DATA" in type_in(line).err
    if said == "option":
        answer = type_in(line, "--root", str(tmp_path / "data"))
    else:
        monkeypatch.setenv("FEATCACHE_DATA", str(tmp_path / "data"))
        answer = type_in(line)
    assert answer.status == 1
    assert "nowhere" in answer.err
    assert "eurosat" not in answer.err


@pytest.mark.parametrize("command", ["encode", "verify", "doctor"])
def test_folders_are_walked_by_the_same_options(type_in: Type, command: str) -> None:
    told = type_in(f"featcache {command} -h").out
    for option in ("--recursive", "--follow-links", "--root"):
        assert option in told
    for option in (options.Recursive, options.FollowLinks, options.MaxPixels):
        assert _about(option).help in told or command == "doctor"
