"""A grid as people write it: words with one value or a list of them, on a command line or in YAML.

method, dataset, backbone, shots, draw, seed, policy, task, on, prompts, text, views, transfer,
set
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from featcache.draws import Shots, some, whole
from featcache.errors import ConfigError, UnknownNameError
from featcache.typed import literal, split

WORDS = (
    "method", "dataset", "backbone", "shots", "draw", "seed", "policy", "task", "on", "prompts",
    "text", "views", "transfer", "set",
)  # fmt: skip

Values = Any  # one value or a list of them


def read(path: Path) -> list[dict[str, Any]]:
    """The blocks of a grid file: keywords of `grid` each, words that stand above them included.

    Raises `ConfigError` where the file is none, `UnknownNameError` for a word it does not know.
    """
    import yaml

    try:
        document = _document(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the grid file {path} cannot be read: {reason}.") from None
    if not isinstance(document, dict):
        raise ConfigError(f"the grid file {path} holds no `word: values` lines.")
    shared = {key: value for key, value in document.items() if key != "grids"}
    blocks = document.get("grids", [{}])
    if not (isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks)):
        raise ConfigError(f"`grids` in {path} is not a list of blocks of `word: values` lines.")
    return [_keywords(path, shared, block) for block in blocks]


def _document(text: str) -> Any:
    """YAML without tags of Python, each key once: of two equal ones the first would be lost."""
    import yaml

    class Once(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for key in scalars:
                if key.value == "on":  # which YAML takes for yes
                    key.tag = "tag:yaml.org,2002:str"
            keys = [key.value for key in scalars]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"{twice!r} stands twice in the block at line {line}")
            return super().construct_mapping(node, deep)

    return yaml.load(text, Once)


def typed(text: str) -> list[Any]:
    """Values as typed on the command line: `2,6,12`, or JSON lists `[1,2],[3,4]`."""
    try:
        return list(json.loads(f"[{text}]"))
    except ValueError:
        return [literal(part.strip()) for part in text.split(",")]


def axes(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """`key=value,value` pairs as a mapping.

    Raises `ConfigError` for a pair without `=`, or a key that stands twice.
    """
    given = split("--set", pairs, "key=value or key=value,value", "write {key}=value,value")
    return {key: typed(values) for key, values in given.items()}


def _keywords(path: Path, shared: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**shared, **block}
    for word in merged:
        named(f"word in {path}", str(word), (*WORDS, "grids"))
    settings: dict[str, Any] = {}
    for each in (shared.get("set"), block.get("set")):
        if not isinstance(each, dict | None):
            raise ConfigError(f"`set` in {path} takes `setting: values` lines, not {each!r}.")
        settings |= each or {}
    # YAML reads 1e-3 as text; the command line reads it as a number, and so does a grid file.
    numbers = {str(k): [_number(value) for value in listed(v)] for k, v in settings.items()}
    return {**{k: v for k, v in merged.items() if k != "set"}, "settings": numbers}


def _number(value: Any) -> Any:
    return literal(value) if isinstance(value, str) else value


def named(kind: str, name: Any, known: Iterable[str]) -> str:
    """The name, if it is one of those known. Raises `UnknownNameError`."""
    if name not in (known := tuple(known)):
        raise UnknownNameError(kind, str(name), known)
    return str(name)


def listed(values: Values) -> list[Any]:
    """The values as a list, if they are not one already.

    Raises `ConfigError` for a list of none.
    """
    found = list(values) if isinstance(values, list | tuple | range) else [values]
    if not found:
        raise ConfigError("a word or setting of the grid has no values; give one or leave it out.")
    return found


def names(word: str, values: Values) -> list[str | None]:
    """The values of a word that names something, numbers as text; None means what is usual.

    Raises `ConfigError` for a value that is no name.
    """
    found = listed(values)
    for value in found:
        if value == "" or isinstance(value, bool) or not isinstance(value, str | int | None):
            raise ConfigError(f"{word} takes a name or a list of them, got {value!r}.")
    return [None if value is None else str(value) for value in found]


def some_shots(values: Values) -> list[Shots]:
    """Numbers of shots; `all` is every picture there is. Raises what `numbers` raises."""
    return [some(value) for value in listed(values)]


def numbers(word: str, values: Values, least: int, usual: bool = False) -> list[Any]:
    """The values of a word that counts; None, for what is usual, where `usual` allows it.

    Raises `ConfigError` for a value that is no whole number of at least that.
    """
    return [
        None if usual and value is None else whole(word, value, least) for value in listed(values)
    ]
