"""What is to be fitted: an experiment, spelt out and configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.compose import get
from adapters.configure import configure
from adapters.expression import field_of, with_base
from adapters.method import Method
from featcache import drawn
from featcache.draws import ALL, BALANCED, KINDS, POOL_TRAIN, Shots, some, whole

if TYPE_CHECKING:
    from featcache.store.entry import Entry


@dataclass(frozen=True)
class Experiment:
    """A method with settings, on a draw of a task, under a policy.

    `shots` may be `all`; `draw` says whether K a class are drawn, `balanced`, or as many in all as
    classes occur, `natural`; or it is a file that lists pictures, of which `shots` are `all`.
    `views` limits the cached views a picture (None: all). `transfer` is the entry whose validation
    chooses under policy `transfer`. `on` are the entries of other sets to be scored on, for tasks
    that take them. `text` is which text is shown where a task shows none unless it is asked for.
    """

    method: str = "fma"
    shots: Shots = 16
    seed: int = 1
    policy: str = "few-shot-val"
    settings: Mapping[str, Any] = field(default_factory=dict)
    bank: str | None = None
    views: int | None = None
    transfer: Entry | None = None
    task: str = "few-shot"
    draw: str = BALANCED
    on: tuple[Entry, ...] = ()
    text: str | None = None

    @property
    def drawn(self) -> str:
        """The draw in a word: `balanced`, `natural`, or `all`, which is the same either way.

        Of a file its name and a digest of its content. Raises `ConfigError` where it is no draw.
        """
        if self.draw not in KINDS:
            return drawn.read(Path(self.draw)).told
        return ALL if self.shots == ALL else self.draw

    @property
    def way(self) -> dict[str, str]:
        """How the draw differs from CoOp's, as a keyword of a task's `draw`."""
        return {} if self.drawn in (BALANCED, ALL) else {"kind": self.draw}


@dataclass(frozen=True)
class Configured:
    """An experiment spelt out, its method, the config it asks for, and which fields that fixes."""

    experiment: Experiment
    method: Method
    config: Any
    fixed: frozenset[str]

    @property
    def searched(self) -> Iterator[str]:
        """The fields that a policy may choose; those of a part with the part's field and a dot."""
        return _searched(self.method, self.config)


def configured(experiment: Experiment) -> Configured:
    """Read the experiment's words. Raises `UnknownNameError`, `ConfigError` or `MethodError`."""
    experiment = _counted(spelt_out(experiment))
    method = get(experiment.method)
    config, fixed = configure(experiment.method, method, experiment.settings)
    return Configured(experiment, method, config, fixed)


def pictures(entry: Entry, experiment: Experiment) -> int:
    """How many pictures are drawn to fit on, about."""
    shots, classes = experiment.shots, len(entry.classnames)
    if isinstance(shots, str):
        return entry.splits.get("train", POOL_TRAIN * classes)
    return shots * classes


def spelt_out(experiment: Experiment) -> Experiment:
    """`fma` with the setting `base=taskres` (or `fma.base`) is the method `fma@taskres`."""
    name = experiment.method
    bases = [key for key in experiment.settings if key == "base" or key.endswith(".base")]
    if not bases:
        return experiment
    # What carries no name before a dot belongs to the method that was asked for.
    settings = {
        key if "." in key or key == "base" else f"{name}.{key}": value
        for key, value in experiment.settings.items()
    }
    for key in bases:
        owner = key.removesuffix("base").removesuffix(".") or name
        name = with_base(name, owner, str(settings.pop(key)))
    return replace(experiment, method=name, settings=settings)


def _counted(words: Experiment) -> Experiment:
    """The words with plain numbers where NumPy's stood, which a results file would not take."""
    views = None if words.views is None else whole("views", words.views)
    return replace(words, shots=some(words.shots), seed=whole("seed", words.seed), views=views)


def _searched(method: Method, config: Any) -> Iterator[str]:
    space = method.space(config)
    yield from (*space.fit, *space.logits)
    for part, inner in method.parts.items():
        name = field_of(part)
        for each in _searched(inner, getattr(config, name)):
            yield f"{name}.{each}"
