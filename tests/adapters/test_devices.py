"""Every method on another device: fits, stacks, choices, answers and files as on the processor.

Without a GPU the device is pretended (`tests.adapters.pretended`); with one the same tests run on
it, `-k cuda`. Chance is drawn on the processor, so that a fit differs by rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from adapters import compose, registry
from adapters.adapter import Adapter, load
from adapters.configure import configure
from adapters.devices.device import moved, name_of, steady
from adapters.episode import Episode, Target
from adapters.expression import leaves
from adapters.fitting import fit
from adapters.method import Method, State
from adapters.problems.reading import Listed, Problems
from adapters.problems.solving import Solver, solve
from adapters.scoring import score_target
from adapters.selection import chance, select
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Chunk
from adapters.sweeping.stacking import fit_all
from adapters.sweeping.worker import Worker
from featcache.store.cache import FeatureCache
from tests.adapters import synthetic
from tests.adapters.pretended import PLACE, back, pretended
from tests.entries import make_entry

CUDA = pytest.param(
    "cuda",
    marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA"),
)
NAMES = [*registry.names(), "fma@clip-adapter", "fma@cocoop", "sum:gda+taskres"]
ADJOINT = {"solver": "rk4", "adjoint": True}
DOPRI5 = {"solver": "dopri5", "iterations": 1}
# Beside the defaults, what has code of its own for pictures, prototypes or chance.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "clap": [{"distance": "cosine", "multipliers": "mean"}],
    "clip-adapter": [{"side": "both"}],
    "fma": [
        {"preset": "closed-form", "landmarks": 7},
        {"preset": "paper", "blocks": 1, "width": 8, "epochs": 1, "readout": "ensemble"},
        {"solver": "midpoint"},
    ],
    "lathadapter": [{"attention": True, "model": "lorentz", "start": "random"}],
    "lp++": [{"variant": "code"}],
    "node-adapter": [{"field": "local", "mix": "class"}, DOPRI5, ADJOINT],
    "proker": [{"exact_rows": 8, "landmarks": 6, "views": 2}],
    "ss-text": [{"preset": "searched"}],
    "timo": [{"preset": "s"}],
    "transclip": [{"support_weight": 0.0}],
}
CASES = [(name, own) for name in NAMES for own in ({}, *VARIANTS.get(name, []))]
SHORT = {"iterations": 2, "epochs": 1, "steps": 3}  # the first that a method has are its steps
# Rounding alone is the gradient of biases of keys, which attention does not see, and of attributes
# that no triplet pulls at; AdamW makes steps of it as of any other. Noise of 5e-7 in lathadapter's
# distances moves its attributes by 2e-3 on the processor too.
QUICK = {
    "fma": {"blocks": 1, "steps": 2},
    "lathadapter": {"steps": 2},
    "node-adapter": {"steps": 1, "episodes": 1},
    "transclip": {"rounds": 2, "steps": 2},
}
ROUNDING = ("attention.in.bias", "attributes")
UNCUT = {"linear-probe", "transclip"}  # whose iterations are no training
# Where what is drawn next depends on what was learned, a GPU has to be waited for.
WAITING = {"lathadapter", "proto-clip-f"}
EPISODE, TEST = synthetic.extended(*synthetic.episode(4, views=2))
LACKING = 2  # a class that stands by its text


@dataclass(frozen=True)
class Place:
    """A device, and what the host has waited for on one that is pretended."""

    device: torch.device
    waited: list[str]

    def to(self, value: Any) -> Any:
        return moved(value, self.device)


@contextmanager
def on(device: str) -> Iterator[Place]:
    with ExitStack() as ending:
        if device == "cuda":
            ending.enter_context(steady(torch.device("cuda")))
            yield Place(torch.device("cuda"), [])
        else:
            yield Place(PLACE, ending.enter_context(pretended()))


@pytest.fixture(params=["pretended", CUDA])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with on(request.param) as found:
        yield found


def told(case: tuple[str, dict[str, Any]]) -> str:
    name, own = case
    return name + "".join(f"-{value}" for value in own.values())


def configured(name: str, **own: Any) -> tuple[Method, Any]:
    """With the shortest trainings that are any."""
    method = compose.get(name)
    settings = {f"{name}.{key}": value for key, value in own.items()}
    for leaf in leaves(name):
        config = compose.get(leaf).config()
        for key, most in {**SHORT, **QUICK.get(leaf, {})}.items():
            if leaf != "linear-probe" and hasattr(config, key):
                settings.setdefault(f"{leaf}.{key}", most)
    return method, configure(name, method, settings)[0]


def fitted(name: str, episode: Episode, **own: Any) -> State:
    """With the chance of the first seed."""
    method, config = configured(name, **own)
    return method.fit(episode, config, chance(EPISODE))


@cache
def here(name: str, *own: tuple[str, Any]) -> State:
    return fitted(name, EPISODE, **dict(own))


def close(there: Tensor, here: Tensor) -> None:
    """Up to rounding, which an optimiser that scales gradients up makes larger."""
    found, wanted = back(there).detach().cpu(), here.detach()
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    if wanted.is_floating_point():
        gap = (found - wanted).double().norm()
        assert gap <= 5e-3 * wanted.double().norm() + 1e-5, float(gap)
    else:
        assert torch.equal(found, wanted)


def alike(there: State, here: State) -> None:
    assert there.keys() == here.keys()
    for key, value in here.items():
        if not key.endswith(ROUNDING):
            close(there[key], value)


@pytest.mark.parametrize("case", CASES, ids=told)
def test_fits_and_answers_there_are_those_here(
    case: tuple[str, dict[str, Any]], place: Place
) -> None:
    name, own = case
    if own == ADJOINT and place.device == PLACE:
        pytest.skip("gradients by the adjoint equation are made where nothing can be pretended")
    method, config = configured(name, **own)
    state = fitted(name, place.to(EPISODE), **own)
    known = here(name, *own.items())
    if method.parts:  # spectra and directions of one part are the other's data
        assert state.keys() == known.keys()
    elif "basis" not in known:  # eigenvectors have any sign
        alike(state, known)
    x, there = method.input(TEST.query), method.input(place.to(TEST.query))
    close(method.logits(state, config, there), method.logits(known, config, x))
    axes = {key: values[:3] for key, values in method.space(config).logits.items()}
    both = method.scores(state, config, there, axes), method.scores(known, config, x, axes)
    for (one, found), (other, wanted) in zip(*both, strict=True):
        assert one == other
        close(found, wanted)
    for function in (method.features, method.trajectory):
        if function is not None:
            close(function(state, config, there), function(known, config, x))
    if method.class_vectors is not None:
        close(method.class_vectors(state, config), method.class_vectors(known, config))
    if method.with_text is not None:
        text = EPISODE.text.of(range(3))
        changed = (
            method.with_text(state, config, place.to(text)),
            method.with_text(known, config, text),
        )
        logits = [method.logits(s, config, q) for s, q in zip(changed, (there, x), strict=True)]
        close(*logits)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_chosen_there_is_chosen_here(name: str, place: Place, tmp_path: Path) -> None:
    """With a class that has no picture, and its adapter scored, saved and loaded."""
    method, config = configured(name)
    fixed = frozenset({"steps", "learning_rate", "C", "beta"})  # a fit each
    kept = EPISODE.support.labels != LACKING
    few = lacking(EPISODE, kept)
    wanted = select(method, few, config, TEST, fixed)
    found = select(method, place.to(few), config, place.to(TEST), fixed)
    assert found.tried == wanted.tried
    if wanted.score is not None:
        assert found.score == pytest.approx(wanted.score, rel=5e-3)
    names, about = EPISODE.text.classnames, {"extras": sorted(method.extras & EPISODE.holds)}
    adapter = Adapter(name, found.config, found.state, names, about)
    assert adapter.device.type == place.device.type
    logits = adapter.logits(TEST.query)  # which lies here
    if found.config == wanted.config:
        with torch.inference_mode():
            close(logits, method.logits(wanted.state, wanted.config, method.input(TEST.query)))
    columns = Target("some", replace(TEST, labels=TEST.labels % 2), columns=(3, 1))
    for target in (Target("all", TEST), columns):
        score = score_target(adapter, target)
        assert score.n_test == len(TEST.labels)
        assert 0 <= score.accuracy <= 100
    if place.device == PLACE:  # which no file takes
        adapter = replace(adapter, state={key: back(value) for key, value in found.state.items()})
    again = load(adapter.save(tmp_path / "adapter"))
    assert again.device.type == "cpu"
    close(again.to(place.device).logits(place.to(TEST.query)), back(logits).cpu())


def lacking(episode: Episode, kept: Tensor) -> Episode:
    s = episode.support
    assert s.pre is not None
    assert s.patches is not None
    ids = tuple(one for one, keep in zip(s.ids, kept.tolist(), strict=True) if keep)
    few = replace(
        s, views=s.views[:, kept], labels=s.labels[kept], ids=ids, pre=s.pre[:, kept],
        patches=s.patches[kept],
    )  # fmt: skip
    return replace(episode, support=few)


@pytest.mark.parametrize("name", [n for n in NAMES if compose.get(n).prepare])
def test_stacked_there_is_alone_there(name: str, place: Place) -> None:
    method, config = configured(name)
    episodes = {seed: synthetic.episode(4, views=2, seed=seed)[0] for seed in (1, 2)}
    runs = {
        (seed, rate): replace(config, learning_rate=rate * config.learning_rate)
        for seed in episodes
        for rate in (1.0, 0.7)
    }
    assert method.prepare is not None
    trainings = {
        run: method.prepare(place.to(episodes[run[0]]), own, chance(episodes[run[0]]))
        for run, own in runs.items()
    }
    found = fit_all({run: t for run, t in trainings.items() if t is not None}, "on", {})
    assert found.fitted.keys() == runs.keys()
    assert not found.alone
    for run, each in found.fitted.items():
        alone = method.fit(episodes[run[0]], runs[run], chance(episodes[run[0]]))
        alike(each.state, alone)


@pytest.mark.parametrize("name", registry.names())
def test_no_step_and_no_choice_waits(name: str) -> None:
    """What the host waits for does not grow with the steps, nor with the settings tried."""
    method, config = configured(name)
    field = next((key for key in SHORT if hasattr(config, key) and name not in UNCUT), None)
    waited = []
    for times in (1, 2):
        longer = replace(config, **{field: times * SHORT[field]}) if field else config
        with on("pretended") as place:
            state = method.fit(place.to(EPISODE), longer, chance(EPISODE))
            waited.append(len(place.waited))
            if times == 2:
                there = place.to(TEST)
                axes = method.space(config).logits
                del place.waited[:]
                list(method.scores(state, config, method.input(there.query), axes))
                assert len(place.waited) <= 1
    if name not in WAITING:
        assert waited[0] == waited[1]


@pytest.mark.parametrize("name", [n for n in registry.names() if compose.get(n).without_text])
def test_problems_are_solved_there(name: str, place: Place) -> None:
    method, config = configured(name)
    g = Generator().manual_seed(0)
    x = torch.randn(3, 2, 4, 16, generator=g) + torch.randn(3, 2, 1, 16, generator=g)
    labels, concept = torch.arange(2).expand(3, 2).clone(), torch.zeros(3, dtype=torch.long)
    listed = Listed("made", Problems(x[:, :, :-1], x[:, :, -1], concept), labels)
    found = [
        solve(Solver(name, method, 100.0, 1, device=str(device)), config, listed)
        for device in (place.device, "cpu")
    ]
    assert found[0].accuracy == pytest.approx(found[1].accuracy, abs=100 / 6)


@pytest.mark.parametrize("stack", ["off", "on"])
def test_rows_of_a_sweep_there_are_those_here(place: Place, stack: str, tmp_path: Path) -> None:
    make_entry(tmp_path)
    settings = {"fma.steps": 3, "fma.width": 8, "fma.gamma": 0.5}
    words = {"method": ["gda", "fma"], "shots": 2, "seed": [1, 2], "settings": settings}
    runs = grid(FeatureCache(tmp_path / "cache"), **words, policy=["none", "few-shot-val"])
    found, wanted = (
        [row for rows in Worker(str(device)).rows(Chunk(tuple(runs), stack)) for row in rows]
        for device in (place.device, "cpu")
    )
    assert [row["run"] for row in found] == [row["run"] for row in wanted]
    for there, here in zip(found, wanted, strict=True):
        assert there["status"] == "done", there["reason"]
        assert (there["device"], here["device"]) == (name_of(place.device), "cpu")
        assert there["stacked"] == here["stacked"]
        assert there["accuracy"] == pytest.approx(here["accuracy"], abs=100 / here["n_test"])


def test_an_experiment_there_leaves_its_adapter_there(place: Place, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    outcome = fit(entry, "taskres", shots=2, device=str(place.device), epochs=1)
    assert outcome.adapter.device.type == place.device.type
    assert outcome.row["device"] == name_of(place.device)
    assert outcome.row["accuracy"] == pytest.approx(
        fit(entry, "taskres", shots=2, epochs=1).row["accuracy"], abs=100 / outcome.row["n_test"]
    )


@pytest.mark.parametrize("device", [CUDA])
@pytest.mark.parametrize("case", CASES, ids=told)
def test_the_same_bytes_again(case: tuple[str, dict[str, Any]], device: str) -> None:
    name, own = case
    with on(device) as place:
        both = [fitted(name, place.to(EPISODE), **own) for _ in range(2)]
    for key, value in both[0].items():
        assert torch.equal(both[1][key], value), key
