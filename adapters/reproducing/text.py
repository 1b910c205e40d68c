"""Prompt banks by name: what a bank is called of what was typed, and what adds one that is named.

`featcache encode --prompts single+CuPL.json` makes the bank `single-cupl`: parts joined, files by
their stems, in lower case with `-` between words.
"""

from __future__ import annotations

import functools
import json
import re
from itertools import groupby
from pathlib import Path

from featcache.errors import ConfigError
from featcache.resources import data_path
from featcache.store.entry import is_negative

OWN_TEXT = "dataset"  # the bank of a set's own templates
FILES = (".json", ".txt")
JOIN = "+"


@functools.cache
def shipped() -> frozenset[str]:
    """The banks that need no file."""
    held = json.loads(data_path("templates.json").read_text(encoding="utf-8"))
    return frozenset({OWN_TEXT, "ensemble", *held})


def called(typed: str) -> str:
    """The name of the bank that `featcache encode --prompts` makes of the same words."""
    whole = JOIN not in typed or Path(typed).is_file()
    return _name("-".join(_stem(part) for part in ([typed] if whole else typed.split(JOIN))))


def asked(typed: str | None) -> str:
    """The bank to take in place of a table's text; none where nothing was typed.

    Raises `ConfigError` for a file, which may be another for each data set, and for prompts that
    say what is not in a picture.
    """
    if not typed:
        return ""
    bank = called(typed)
    if not all(_name(part) for part in typed.split(JOIN)):
        raise ConfigError(
            f"--prompts {typed} names no bank; take one such as seven, or seven+cupl."
        )
    if is_negative(bank):
        raise ConfigError(
            f"--prompts {typed} says what is not in a picture, which is the text of no table; take "
            "a bank that says what is there, such as --prompts seven. Methods that read negative "
            "prompts find those beside it by themselves, once `featcache encode --prompts "
            "negative` has added them."
        )
    if any(_is_file(part) for part in typed.split(JOIN)):
        raise ConfigError(
            f"--prompts takes a bank by its name, not its file; add {typed} with `featcache "
            f"encode --prompts {typed}`, and take --prompts {bank}."
        )
    return bank


def words(bank: str) -> str:
    """What `featcache encode --prompts` takes to make a bank of that name.

    What does not ship is a file: one that lies here, else one of that name, joined with what ships.
    """
    if bank in shipped() or (file := _here(bank)):
        return bank if bank in shipped() else file
    groups = groupby(bank.split("-"), key=lambda word: word in shipped())
    parts = [part for ships, own in groups for part in (own if ships else [_file("-".join(own))])]
    return JOIN.join(parts)


def _file(name: str) -> str:
    return _here(name) or f"{name}{FILES[0]}"


def _here(name: str) -> str:
    """The file in this folder that makes a bank of that name, if there is one."""
    found = sorted(path.name for path in Path().iterdir() if _is_file(path.name))
    return next((each for each in found if _name(Path(each).stem) == name), "")


def _stem(part: str) -> str:
    return _name(Path(part).stem) if _is_file(part) else part


def _is_file(part: str) -> bool:
    return Path(part).suffix.lower() in FILES


def _name(text: str) -> str:
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")
