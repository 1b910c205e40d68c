"""Processes killed at any moment: the same command goes on, and nothing that was done is lost."""

from __future__ import annotations

import random
import shutil
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.adapter import load
from adapters.results import Results
from featcache import FeatureCache
from tests.trust.pool import side_by_side
from tests.trust.scenes import RESULTS, Scene, differing, unsound
from tests.trust.warm import Ended, Warm

KILLS = {
    "encode": 60,
    "tower": 40,
    "import": 40,
    "fit": 40,
    "sweep": 60,
}  # how often each is killed
IN_A_ROW = 3  # so often a command is killed at most before it is left to end
ANEW = ("import", "fit")  # what is done is done again, with the same end
MISSED = "over before"
KILLED = -signal.SIGKILL


@dataclass
class Killed:
    """How many kills hit their process, and at what it was; and what was wrong afterwards."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many hit."""
        return self.ends.total() - self.ends[MISSED]

    def __str__(self) -> str:
        ends = ", ".join(f"{n} with {end}" for end, n in sorted(self.ends.items()) if end != MISSED)
        return f"{self.kills} kills ({ends}), {len(self.wrong)} wrong"


def kill(scene: Scene, times: int, warm: Sequence[Warm], scratch: Path, seed: int) -> Killed:
    """Kill the scene's command at so many random moments, and let it end in between."""
    chance, killed = random.Random(f"{seed} {scene.name}"), Killed()

    def one(moments: list[float], mine: Warm, folder: Path) -> tuple[list[str], list[str]]:
        return _one(scene, moments, mine, scene.begin(folder), folder.with_name("looked-at"))

    left = times
    while left > 0:
        moments = []
        while sum(map(len, moments)) < left:
            many = min(chance.randint(1, IN_A_ROW), left - sum(map(len, moments)))
            moments.append([chance.uniform(0.01, scene.whole.seconds) for _ in range(many)])
        for ends, wrong in side_by_side(one, moments, warm, scratch / f"{scene.name}-kills"):
            killed.ends.update(ends)
            killed.wrong += [f"{scene.name}: {each}" for each in wrong]
        left = times - killed.kills
    return killed


def _one(
    scene: Scene, moments: list[float], warm: Warm, folder: Path, aside: Path
) -> tuple[list[str], list[str]]:
    ends, wrong, before = [], [], done(scene.start)
    for moment in moments:
        ended = warm.run(scene.line, folder, kill_after=moment)
        if ended.status != KILLED:
            ends.append(MISSED)
            continue
        # Looked at beside it, for reading results tidies up.
        shutil.rmtree(looked := aside.with_name(f"{folder.name}-{aside.name}"), ignore_errors=True)
        shutil.copytree(folder, looked, copy_function=shutil.copy2)
        now = done(looked)
        wrong += [f"killed after {moment:.3f} s: {each}" for each in _wrong(ended, looked)]
        wrong += [f"killed after {moment:.3f} s: {each}" for each in lost(scene, before, now)]
        ends.append("something done" if now != before else "nothing done yet")
        before = now
    again = warm.run(scene.line, folder)
    if again.status:
        wrong.append(f"does not go on after {moments}: {again.status} {again.err}")
    elif other := [name for name in differing(scene, folder) if ".tmp" not in name]:
        wrong.append(f"leaves other content after {moments}: {other}")
    wrong += lost(scene, before, done(folder))
    return ends, wrong


def done(folder: Path) -> dict[str, Any]:
    """What is done, and when it was: listed shards, and rows.

    The times of pictures' files are noted anew when they are looked at again: no work was lost.
    """
    entries, _ = FeatureCache(folder / "cache").look()
    found: dict[str, Any] = {
        f"{entry.key}/{name}": (entry.folder / name).stat().st_mtime_ns
        for entry in entries
        for name, record in entry.manifest["shards"].items()
        if record["kind"] != "pictures"
    }
    for path in folder.rglob(RESULTS):
        for row in Results(path).frame().to_dict("records"):
            found[f"row {row['run']} {row['target']}"] = row["time"]
    return found


def lost(scene: Scene, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was done before and is not, or was done a second time."""
    gone = [f"{name} was lost" for name in before if name not in now]
    if scene.name in ANEW:
        return gone
    return gone + [f"{n} was done twice" for n, when in before.items() if now.get(n, when) != when]


def _wrong(ended: Ended, folder: Path) -> list[str]:
    """What is wrong right after a kill: damage, and what was said and is not so."""
    wrong = unsound(folder)
    for line in ended.out.splitlines():
        if line.startswith("saved in "):
            load(folder / line.removeprefix("saved in "))
        if "of 3 test pictures" in line and not any(
            name.startswith("row") for name in done(folder)
        ):
            wrong.append(f"said {line!r} of a row that is not there")
    return wrong
