"""Bongard-HOI: problems of two classes, six pictures and a query each, four lists of them to test.

Settings are chosen once, on the mean of the validation lists, then every problem of every list is
fitted and scored by itself (Jiang et al. 2022, arXiv 2205.13803). The name of the concept is the
answer: no text is shown, unless `text=concept` asks for it, and such rows say `oracle-text`.
"""

from __future__ import annotations

from typing import Any

from adapters.episode import Draw
from adapters.evaluate import mean
from adapters.problems.reading import CONCEPT, concepts, read
from adapters.problems.solving import Asked, Settled, Solved, Solver, settle, solve
from adapters.task import Task
from featcache.errors import EpisodeError
from featcache.store.entry import Entry


def draw(entry: Entry, *_words: Any, **_how: Any) -> Draw:
    """Refused: every problem is a draw of its own."""
    raise EpisodeError(
        f"bongard-hoi has a draw for each problem of {entry.dataset}, and none of them is kept; "
        "fit and score all of them with `adapters fit --task bongard-hoi`."
    )


def solved(entry: Entry, asked: Asked) -> tuple[Settled, tuple[Solved, ...]]:
    """Choose settings on the validation lists, if the policy is to, and solve the test lists.

    Raises `EpisodeError` where the entry has no problems, `MethodError` for scores that are none.
    """
    held = lists(entry, "val") if asked.policy == "full-val" else []
    tests = lists(entry, "test")
    texts = concepts(entry, asked.bank) if asked.text == CONCEPT else None
    read_held, read_tests = ([read(entry, name) for name in names] for names in (held, tests))
    solver = Solver(asked.name, asked.method, entry.logit_scale, asked.seed, texts, asked.device)
    settled = settle(solver, asked.config, asked.fixed, read_held)
    return settled, tuple(solve(solver, settled.config, listed) for listed in read_tests)


def lists(entry: Entry, part: str) -> list[str]:
    """The lists of problems to validate (`val`) or to test. Raises `EpisodeError` without any."""
    found = [name for name in entry.splits if name.partition("-")[0] == part]
    if not (entry.side and found):
        raise EpisodeError(
            f"{entry.dataset} has no problems to {'test' if part == 'test' else 'validate on'}; "
            "encode a set of problems, such as relations or bongard-hoi."
        )
    return found


task = Task(
    draw=draw,
    summary=lambda accuracies: {"target_mean": mean(accuracies.values())},
    solve=solved,
    shots=6,
    policies=("full-val", "none"),
    texts=(CONCEPT,),
)
