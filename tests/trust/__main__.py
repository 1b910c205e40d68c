"""`make trust`: every fault, flip and kill, and their counts into docs/trust.md."""

from __future__ import annotations

import platform
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.trust.conftest import SIDE_BY_SIDE
from tests.trust.faults import SAMPLED, chosen, walk
from tests.trust.flips import flip, prepare
from tests.trust.kills import KILLS, kill
from tests.trust.scenes import LINES, scene
from tests.trust.warm import NEEDED, ROOT, Warm, can

PAGE = ROOT / "docs" / "trust.md"
FLIPS, SEED = 2000, 1


def main() -> int:
    """Run all and write the table; 1 where something was wrong, and then nothing is written."""
    if not can():
        sys.exit(f"needs {NEEDED}")
    rows, wrong = [], []
    with tempfile.TemporaryDirectory() as name, ExitStack() as ending:
        scratch = Path(name)
        warm = [ending.enter_context(Warm(scratch)) for _ in range(SIDE_BY_SIDE)]
        scenes = {each: scene(each, warm[0], scratch) for each in LINES}
        for each, seen in scenes.items():
            walked = walk(seen, chosen(seen), warm, scratch)
            how = "single faults, a sample" if each in SAMPLED else "single faults, all"
            rows.append(("faults", each, how, f"{walked}"))
            wrong += walked.wrong
            print(*rows[-1], flush=True)
        (scratch / "flips").mkdir()
        prepare(warm[0], scratch / "flips")
        flipped = flip(scratch / "flips", FLIPS, SEED)
        rows.append(("flips", "reading", "flipped bits", f"{flipped}"))
        wrong += flipped.wrong
        print(*rows[-1], flush=True)
        for each, times in KILLS.items():
            killed = kill(scenes[each], times, warm, scratch, SEED)
            rows.append(("kills", each, "kills", f"{killed}"))
            wrong += killed.wrong
            print(*rows[-1], flush=True)
    print(*wrong, sep="\n")
    if not wrong:
        _write([row[1:] for row in rows])
    return int(bool(wrong))


def _write(rows: list[tuple[str, ...]]) -> None:
    lines = [
        f"Linux, Python {platform.python_version()}, seed {SEED}:",
        "",
        "| command | what was done to it | counts |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    text = "\n".join(("<!-- counts: make trust -->", *lines, "<!-- end of counts -->"))
    page = re.sub("<!-- counts.*<!-- end of counts -->", text, PAGE.read_text(), flags=re.S)
    PAGE.write_text(page)


if __name__ == "__main__":
    sys.exit(main())
