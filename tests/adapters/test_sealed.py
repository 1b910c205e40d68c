"""No label of a target is looked at before its scores are there: all methods, tasks, policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters import fitting, registry, scoring
from adapters.adapter import Adapter
from adapters.compose import get
from adapters.episode import Draw
from adapters.experiment import Experiment
from adapters.fitting import draw_for, run
from featcache.store.entry import Entry
from tests.adapters.short import short
from tests.adapters.speaking import Speaking, speaking
from tests.enriched import enriched
from tests.entries import make_entry

# Problems are solved, which tests/adapters/problems/test_solving.py has the same test for.
DRAWN = [name for name in registry.task_names() if registry.task(name).solve is None]
PEEK = "a label of a target was looked at"


class Sealed(Tensor):
    """Labels that raise at whatever is done with them, until the seal is broken."""

    broken = False

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if not Sealed.broken and getattr(function, "__name__", "") != "__get__":
            raise AssertionError(PEEK)
        return super().__torch_function__(function, types, args, kwargs or {})

    def __len__(self) -> int:
        if not Sealed.broken:
            raise AssertionError(PEEK)
        return super().__len__()


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, Entry, Entry]:
    folder = tmp_path_factory.mktemp("sealed")
    names = ("animals", "beasts", "pests")
    return tuple(enriched(make_entry(folder / name, name=name)) for name in names)  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def seal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Labels may be looked at while answers are seen, and from the last to the end of a score."""
    real_answer, real_score = Adapter.answer, scoring.score_target

    def answer(self: Adapter, x: Any, see: Callable[[slice, Tensor], Any]) -> list[Tensor]:
        def seen(rows: slice, logits: Tensor) -> Any:
            Sealed.broken = True
            # What was made of labels is no label.
            found = [each.as_subclass(Tensor) for each in see(rows, logits)]
            Sealed.broken = False
            return found

        found = real_answer(self, x, seen)
        Sealed.broken = True
        return found

    def score_target(*asked: Any) -> Any:
        try:
            return real_score(*asked)
        finally:
            Sealed.broken = False

    def kept(entry: Entry) -> Speaking:
        return speaking(entry.classnames, torch.from_numpy(entry.text().embedding).mean(1))

    monkeypatch.setattr("adapters.drawing.kept_tower.kept", kept)
    monkeypatch.setattr(Adapter, "answer", answer)
    monkeypatch.setattr("adapters.fitting.score_target", score_target)
    real_unknown = fitting._unknown  # which asks for scores once more, and needs no label

    def unknown(*asked: Any) -> Any:
        found = real_unknown(*asked)
        Sealed.broken = False
        return found

    monkeypatch.setattr("adapters.fitting._unknown", unknown)
    Sealed.broken = False
    yield
    Sealed.broken = False


def sealed(drawn: Draw) -> Draw:
    """The draw with labels of its targets that nobody may look at yet."""
    targets = tuple(
        replace(t, pictures=replace(t.pictures, labels=t.pictures.labels.as_subclass(Sealed)))
        for t in drawn.targets
    )
    return replace(drawn, targets=targets)


def asked(entries: tuple[Entry, Entry, Entry], method: str, task: str, policy: str) -> Experiment:
    source = entries[2] if policy == "transfer" else None
    on = (entries[1],) if registry.task(task).others else ()
    return Experiment(method, 2, 1, policy, short(method), transfer=source, task=task, on=on)


@pytest.mark.parametrize("method", registry.names())
def test_labels_of_targets_are_sealed_until_they_are_scored(
    entries: tuple[Entry, Entry, Entry], method: str
) -> None:
    done = 0
    for task in DRAWN:
        if registry.task(task).new_classes and get(method).with_text is None:
            continue
        drawn = None
        for policy in (each for each in registry.POLICIES if each != "oracle-test"):
            words = asked(entries, method, task, policy)
            drawn = drawn or draw_for(entries[0], words)
            rows = run(entries[0], words, sealed(drawn)).rows
            assert all(0 <= row["accuracy"] <= 100 for row in rows)
            done += len(rows)
    assert done >= 3 * 4


@pytest.mark.parametrize("task", DRAWN)
def test_the_seal_holds_against_the_policy_that_looks(
    entries: tuple[Entry, Entry, Entry], task: str
) -> None:
    method = "proker" if not registry.task(task).new_classes else "clip-adapter"
    words = asked(entries, method, task, "oracle-test")
    drawn = draw_for(entries[0], words)
    with pytest.raises(AssertionError, match=PEEK):
        run(entries[0], words, sealed(drawn))
    # And it looks at the test pictures of the data set alone, of no other set.
    own = sealed(drawn).targets
    run(entries[0], words, replace(drawn, targets=(drawn.targets[0], *own[1:])))


def test_a_sealed_label_is_a_label_once_the_seal_is_broken() -> None:
    labels = torch.tensor([1, 2]).as_subclass(Sealed)
    for peek in (lambda: labels + 1, lambda: labels.numpy(), lambda: len(labels), labels.tolist):
        with pytest.raises(AssertionError, match=PEEK):
            peek()
    Sealed.broken = True
    assert labels.tolist() == [1, 2]
