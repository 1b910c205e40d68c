"""Mutation testing: which small mistakes in the core rooms would their own tests not notice?

    python tests/mutants.py --sample 115 --seed 1 [--rooms FILE ...] [--jobs 2] [--show]

A mutant is a room with one operator, comparison, condition or constant changed. It is killed when
the room's tests fail or hang, and survives when they pass: then a test is missing, or the change
makes no difference and belongs in equivalent_mutants.txt, which says why.

This process imports the heavy libraries once, and nothing of the project. Each mutant is tested in
a fork of it, inside a copy of the tree, so it pays for neither imports nor for its neighbours.
"""

from __future__ import annotations

import argparse
import importlib
import math
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")

# Room -> its tests; none named: the file that mirrors it, tests/a/test_b.py for a/b.py.
CORE: dict[str, tuple[str, ...]] = {
    "featcache/store/files.py": (),
    "featcache/store/sums.py": (),
    "featcache/store/shape.py": (),
    "featcache/store/repair.py": (),
    "featcache/store/cleaning.py": (),
    "featcache/store/shard.py": (
        "tests/featcache/store/test_shard.py",
        "tests/featcache/store/test_shard_checked.py",
    ),
    "featcache/store/rows.py": (),
    "featcache/store/manifest.py": (),
    "featcache/store/entry.py": (),
    "featcache/store/sameness.py": (),
    "featcache/store/cache.py": (),
    "featcache/store/writing.py": (),
    "featcache/draws.py": (),
    "featcache/files.py": (),
    "featcache/interchange/arrays.py": (),
    "featcache/interchange/rows.py": (),
    "featcache/interchange/widths.py": (),
    "featcache/interchange/importing.py": (),
    "featcache/interchange/exporting.py": (),
    "featcache/interchange/files.py": (),
    "featcache/interchange/formats/npz.py": (),
    "featcache/interchange/formats/safetensors.py": (),
    "adapters/episode.py": (),
    "adapters/drawing.py": (),
    "adapters/reading/parts.py": (),
    "adapters/reading/pictures.py": (),
    "adapters/reading/supports.py": (),
    "adapters/task.py": (),
    "adapters/tasks/few_shot.py": (),
    "adapters/tasks/base_to_new.py": (),
    "adapters/selection.py": (
        "tests/adapters/test_selection.py",
        "tests/adapters/choosing/test_left_out.py",
    ),
    "adapters/evaluate.py": (),
    "adapters/run_identity.py": (
        "tests/adapters/test_run_identity.py",
        "tests/adapters/test_run_features.py",
    ),
    "adapters/results.py": (),
    "adapters/opening.py": (),
    "adapters/card.py": (),
    "adapters/methods/node_adapter.py": (),
    "adapters/methods/fma.py": (),
    "adapters/methods/lathadapter.py": (),
}

# Only swaps that a person could make by mistake: `a << b` for `a + b` dies of its type, and
# would make any tests look good.
SWAPS = {
    "Binary": "Add>Sub Add>Mul Sub>Add Sub>Mul Mul>Div Mul>Add Div>Mul Div>FloorDiv FloorDiv>Div "
    "FloorDiv>Mul Mod>FloorDiv Pow>Mul LShift>RShift RShift>LShift BitOr>BitAnd BitAnd>BitOr",
    "Comparison": "Eq>NotEq NotEq>Eq Lt>LtE Lt>GtE LtE>Lt LtE>Gt Gt>GtE Gt>LtE GtE>Gt GtE>Lt "
    "Is>IsNot IsNot>Is",
    "Unary": "Delete>Not Delete>USub Delete>Invert",
}
OPERATORS = [
    *("NumberReplacer", "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse"),
    *("ReplaceFalseWithTrue", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *(
        f"Replace{kind}Operator_{swap.replace('>', '_')}"
        for kind, swaps in SWAPS.items()
        for swap in swaps.split()
    ),
]

# What rooms and tests import; forks find it loaded.
HEAVY = """
    numpy torch torchvision torchdiffeq pandas h5py scipy.stats sklearn.linear_model open_clip
    safetensors.torch pydantic PIL.Image hypothesis.extra.numpy matplotlib.figure typer rich
"""
MEMORY = 8 << 30  # bytes a mutant may take: one that allocates without end must not end us


@dataclass(frozen=True)
class Mutant:
    """The `occurrence`-th change of a room by an operator of cosmic-ray."""

    room: str
    operator: str
    occurrence: int

    @cached_property
    def text(self) -> str:
        """The whole room, changed."""
        original = (ROOT / self.room).read_text()
        return str(mutate_code(original, _operator(self.operator), self.occurrence))

    @cached_property
    def change(self) -> tuple[int, str, str]:
        """Number of the first changed line, the text there before and after, spaces squeezed."""
        old, new = (ROOT / self.room).read_text().splitlines(), self.text.splitlines()
        blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        _, a, b, c, d = next(block for block in blocks if block[0] != "equal")
        return a + 1, " ".join(" ".join(old[a:b]).split()), " ".join(" ".join(new[c:d]).split())

    def __str__(self) -> str:
        line, before, after = self.change
        return f"{self.room}:{line} {self.operator}\n    - {before}\n    + {after}"


def _operator(name: str) -> Any:
    return get_operator(f"core/{name}")()


def places(room: str) -> list[list[Mutant]]:
    """The mutants of a room, those of the same place in the text together."""
    nodes = list(ast_nodes(get_ast((ROOT / room).read_text())))
    found: dict[Any, list[Mutant]] = defaultdict(list)
    for name in OPERATORS:
        positions = _operator(name).mutation_positions
        everywhere = ((node, where) for node in nodes for where in positions(node))
        for occurrence, (node, where) in enumerate(everywhere):
            if not _idle(node):
                found[where].append(Mutant(room, name, occurrence))
    return list(found.values())


def _idle(node: Any) -> bool:
    """Whether nothing runs there (annotations, imports for types) or a change is no Python."""
    if node.type == "operator" and node.parent.type in ("parameters", "dictorsetmaker"):
        return True  # f(*, a), {**b}
    while node.parent:
        if node.type == "if_stmt":
            condition = node.children[1]
            if condition.type == "namedexpr_test" or "TYPE_CHECKING" in condition.get_code():
                return True
        before = node.get_previous_sibling()
        if (before == ":" and node.parent.type in ("annassign", "tfpdef")) or before == "->":
            return True
        node = node.parent
    return False


def sample(rooms: list[str], size: int, seed: int) -> list[Mutant]:
    """So many mutants, each room's share that of its places, one mutant a place."""
    pool: list[Mutant] = []
    for room in rooms:
        chance = random.Random(f"{seed} {room}")
        here = [chance.choice(place) for place in places(room)]
        chance.shuffle(here)
        pool += here
    size = min(size, len(pool))
    return [pool[i * len(pool) // size] for i in range(size)]


def equivalent() -> set[tuple[str, str, str]]:
    """Room, text before and text after of the mutants known to make no difference."""
    _, *blocks = EQUIVALENT.read_text().strip().split("\n\n")
    parts = (block.splitlines() for block in blocks)
    return {(room, before[2:], after[2:]) for room, before, after, _reason in parts}


class Verdict(NamedTuple):
    """How the tests of a room ended; the status of those that a signal ended is negative."""

    status: int
    seconds: float
    output: str


def judge(folder: Path, task: tuple[str, str, int]) -> Verdict:
    """Run a room's tests with the given text in its place, at most so many seconds."""
    room, text, limit = task
    slot = folder / str(os.getpid())  # one copy of the tree for each process of the pool
    if not slot.exists():
        left_out = (".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "demo-results")
        shutil.copytree(ROOT, slot, ignore=shutil.ignore_patterns(*left_out))
    original, begun = (slot / room).read_text(), time.monotonic()
    (slot / room).write_text(text)
    child = os.fork()
    if child == 0:
        _become_pytest(slot, tests(room), limit)
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whatever the tests had started
    (slot / room).write_text(original)
    output = slot.with_suffix(".txt").read_text(errors="replace")
    return Verdict(os.waitstatus_to_exitcode(status), time.monotonic() - begun, output)


def _become_pytest(slot: Path, files: tuple[str, ...], limit: int) -> NoReturn:
    os.setsid()
    signal.alarm(limit)  # handled by nobody, so it ends this process wherever that hangs
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    output = os.open(slot.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(slot)
    # The copy first, for this process and those it starts, and no editable install beside it.
    sys.path[0] = os.environ["PYTHONPATH"] = str(slot)
    sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in f"{f}"]
    scratch = f"--basetemp={slot.with_suffix('.scratch')}"
    status = 1
    try:
        status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", scratch, *files])
        sys.stdout.flush()
    finally:
        os._exit(status)


def tests(room: str) -> tuple[str, ...]:
    """The test files of a room."""
    path = Path(room)
    return CORE.get(room) or (str("tests" / path.with_name(f"test_{path.name}")),)


def warm_up() -> None:
    """Import what rooms and tests import, and have Hypothesis draw the same for each mutant."""
    # One thread a job. No compiled files: those of a mutant could pass for those of the next,
    # whose size and second are the same.
    os.environ.update(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
    os.environ.setdefault("FEATCACHE_SHARED", str(ROOT.parent / "shared" / "data"))
    sys.dont_write_bytecode = True
    for name in HEAVY.split():
        importlib.import_module(name)
    settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    settings.load_profile("mutants")


def main() -> int:
    """Sample, judge and count; 1 where fewer were killed than asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=115, help="mutants, over all rooms")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rooms", nargs="+", default=list(CORE), metavar="FILE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=85, help="per cent to be killed")
    parser.add_argument("--show", action="store_true", help="the killed, too, and what killed them")
    asked = parser.parse_args()
    files = [file for room in asked.rooms for file in (room, *tests(room))]
    if gone := [file for file in files if not (ROOT / file).is_file()]:
        parser.error(f"there is no {', '.join(gone)}.")
    drawn, known = sample(asked.rooms, asked.sample, asked.seed), equivalent()
    tried = [mutant for mutant in drawn if (mutant.room, *mutant.change[1:]) not in known]
    ends: Counter[str] = Counter()
    warm_up()
    # Not multiprocessing's Pool: its daemons, and so the tests, may start no processes.
    jobs = ProcessPoolExecutor(asked.jobs, multiprocessing.get_context("fork"))
    with tempfile.TemporaryDirectory() as folder, jobs:
        judged = partial(judge, Path(folder))
        limits: dict[str, int] = {}
        unchanged = [(room, (ROOT / room).read_text(), 600) for room in asked.rooms]
        for (room, *_), verdict in zip(unchanged, jobs.map(judged, unchanged), strict=True):
            if verdict.status:
                sys.exit(f"{verdict.output}\nThe tests of {room} fail without any change.")
            print(f"{room} is tested in {verdict.seconds:.1f} s", flush=True)
            limits[room] = math.ceil(10 * verdict.seconds + 20)
        tasks = [(mutant.room, mutant.text, limits[mutant.room]) for mutant in tried]
        for mutant, verdict in zip(tried, jobs.map(judged, tasks), strict=True):
            end = {0: "survived", -signal.SIGALRM: "timed out"}.get(verdict.status, "killed")
            ends[end] += 1
            if asked.show or end == "survived":
                print(f"{end} {mutant}", flush=True)
            if asked.show:
                print(*re.findall("^(?:FAILED|ERROR).*\n", verdict.output, re.MULTILINE), end="")
    killed = 100 * (1 - ends["survived"] / max(1, len(tried)))
    print(
        f"{len(drawn)} sampled: {ends['killed']} killed, {ends['timed out']} timed out, "
        f"{ends['survived']} survived, {len(drawn) - len(tried)} known to be equivalent. "
        f"{killed:.1f} per cent were killed or timed out; at least {asked.least:g} are asked for."
    )
    return int(killed < asked.least)


if __name__ == "__main__":
    sys.exit(main())
