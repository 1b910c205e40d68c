"""Single faults: the n-th open, read, write … of a command fails, for every n."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.trust.pool import side_by_side
from tests.trust.scenes import Scene, content, differing, unsound
from tests.trust.warm import KINDS, SHORT, Ended, Fault, Warm

# What a call of a kind may fail with. Each n of a kind meets one of them, in turn, and writes all.
ERRORS: Mapping[str, tuple[str, ...]] = {
    "open": ("EACCES", "EIO", "ENOSPC"),
    "read": ("EIO",),
    "write": ("ENOSPC", "EIO", SHORT),
    "fsync": ("EIO", "ENOSPC"),
    "rename": ("EACCES", "ENOSPC", "EIO"),
    "lock": ("ENOLCK", "EACCES", "EIO"),
    "mkdir": ("EACCES", "ENOSPC"),
}
SAMPLED = {"report": 4}  # of each kind: drawing lasts seconds
RETRY = "--retry-bad"


@dataclass
class Walked:
    """How many runs had a fault, how they ended, and what was wrong with them."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How many faults came."""
        return self.ends.total() - self.ends["not reached"]

    def __str__(self) -> str:
        ends = ", ".join(f"{n} {end}" for end, n in sorted(self.ends.items(), reverse=True))
        return f"{self.ends.total()} faults ({ends}), {len(self.wrong)} wrong"


def every(calls: Mapping[str, int]) -> list[Fault]:
    """The faults of a command that makes so many calls."""
    found = []
    for kind in KINDS:
        for n in range(1, calls[kind] + 1):
            errors = ERRORS[kind] if kind == "write" else (ERRORS[kind][n % len(ERRORS[kind])],)
            found += [Fault(kind, n, error) for error in errors]
    return found


def chosen(scene: Scene) -> list[Fault]:
    """The faults that a scene is put through: every one, but a few of a slow one."""
    calls = scene.whole.calls
    return some(calls, SAMPLED[scene.name], seed=1) if scene.name in SAMPLED else every(calls)


def some(calls: Mapping[str, int], each: int, seed: int) -> list[Fault]:
    """A few faults of each kind."""
    chance, found = random.Random(seed), []
    for _, alike in itertools.groupby(every(calls), lambda fault: fault.kind):
        mine = list(alike)
        found += chance.sample(mine, min(each, len(mine)))
    return found


def walk(scene: Scene, faults: Sequence[Fault], warm: Sequence[Warm], scratch: Path) -> Walked:
    """Run the scene once for each fault, and then again without.

    Where several faults leave the same files, the command goes on from them once for all.
    """
    walked, after = Walked(), dict[str, list[str]]()

    def one(fault: Fault, mine: Warm, folder: Path) -> tuple[str, list[str]]:
        return _one(scene, fault, mine, scene.begin(folder), after)

    ends = side_by_side(one, faults, warm, scratch / f"{scene.name}-faults")
    for fault, (end, wrong) in zip(faults, ends, strict=True):
        walked.ends[end] += 1
        walked.wrong += [f"{scene.name}, {fault}: {each}" for each in wrong]
    return walked


def _one(
    scene: Scene, fault: Fault, warm: Warm, folder: Path, after: dict[str, list[str]]
) -> tuple[str, list[str]]:
    ended = warm.run(scene.line, folder, fault)
    try:
        wrong, state = list(_wrong(scene, ended, folder)), _state(folder)
    except Exception as error:  # whatever it is, it is none that reading should raise
        return "cannot be read", [f"cannot be read afterwards: {error!r} ({ended.err.strip()})"]
    if state not in after:
        # A picture that was not given is bad until that is asked for, as the sentence says.
        more = [RETRY] if RETRY in ended.err else []
        after[state] = going_on(scene, warm, folder, more)
    end = "told" if ended.status else "done all the same"
    return end if ended.fired else "not reached", wrong + after[state]


def going_on(scene: Scene, warm: Warm, folder: Path, more: Sequence[str] = ()) -> list[str]:
    """What is wrong when the same command runs again, undisturbed."""
    again = warm.run([*scene.line, *more], folder)
    if again.status:
        return [f"does not go on afterwards: {again.status} {again.err.strip()}"]
    other = differing(scene, folder)
    return [f"leaves other content when it goes on: {other}"] if other else []


def _state(folder: Path) -> str:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return f"{names} {content(folder)}"


def _wrong(scene: Scene, ended: Ended, folder: Path) -> Iterator[str]:
    """What is wrong with how a run with a fault ended, and with what it left."""
    if ended.status not in (0, 1):
        yield f"ended with status {ended.status}: {ended.err}"
    if ended.status == 1 and not one_sentence(ended.err):
        yield f"is told as {ended.err}"
    if ended.status == 0 and ended.err:
        yield f"done, but said {ended.err}"
    if ended.status == 0 and (other := differing(scene, folder)):
        yield f"done, it said, with other content: {other}"
    yield from (f"{problem} ({ended.err.strip()})" for problem in unsound(folder))
    if RETRY not in ended.err and (partial := half_written(scene, folder)):
        yield f"leaves files that are neither the old nor the new: {partial} ({ended.err.strip()})"


def one_sentence(text: str) -> bool:
    """Whether nothing but one sentence was told."""
    lines = text.splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and lines[0].endswith((".", "?"))


def half_written(scene: Scene, folder: Path) -> list[str]:
    """Names of files that are neither as before nor as an undisturbed run leaves them.

    Manifests, and rows of results, grow; they are looked at apart.
    """
    grows = ("manifest.json", "results.sqlite")
    return [
        name
        for name, found in content(folder).items()
        if not name.endswith(grows) and found not in (scene.before.get(name), scene.left.get(name))
    ]
