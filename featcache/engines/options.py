"""Which engine is asked for, and how it is found by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featcache import catalogue, typed
from featcache.errors import ConfigError, UnknownNameError

LOCAL = "local"
ENCODING = Path(__file__).parents[1] / "encoding" / "engines"


@dataclass(frozen=True)
class EngineOptions:
    """Which engine, and what each of them may want to know; `jobs` 0 is the engine's own choice.

    `address` is that of a Ray cluster, `folder` (on a disk that all nodes see) and `slurm` are for
    Slurm.
    """

    name: str = LOCAL
    jobs: int = 0
    device: str = "auto"
    address: str | None = None
    folder: Path = Path("runs/slurm")
    slurm: Mapping[str, Any] = field(default_factory=dict)


def made(package: str, known: Sequence[str], options: EngineOptions) -> Any:
    """What `engine(options)` gives in the module of that name in a package, if it is `known`.

    Raises `UnknownNameError`, or `ConfigError` where the engine's library is missing or an option
    is another engine's.
    """
    name = options.name
    if name not in known:
        raise UnknownNameError("engine", name, known)
    for option, given, of in (
        ("slurm", options.slurm, "slurm"),
        ("address", options.address, "ray"),
    ):
        if given and name != of:
            raise ConfigError(
                f"--{option} is for --engine {of}, and {name} was asked for; change one of them."
            )
    try:
        module = catalogue.load(package, name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"engine {name} needs {error.name}; install it with `pip install 'featcache[{name}]'`."
        ) from None
    return module.engine(options)


def of_encoding() -> list[str]:
    """The engines of `featcache encode`, by their files, and local, which needs none."""
    return sorted([LOCAL, *catalogue.modules(ENCODING)])


def slurm_words(pairs: Sequence[str]) -> dict[str, Any]:
    """What `--slurm key=value` says; a value is read as JSON where it is JSON, else as text.

    Raises `ConfigError` for a pair without `=`, or a key that stands twice.
    """
    split = typed.split("--slurm", pairs, "key=value such as time=60")
    return {key: typed.literal(value) for key, value in split.items()}
