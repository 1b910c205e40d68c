"""What is found of a data set on disk: how many pictures there are, and what is odd about them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from featcache.pictures.decode import unopened

SAMPLE = 200  # pictures that are looked into unless all are to be


@dataclass(frozen=True)
class Finding:
    """One kind of thing that is odd: what, which files, what to do; `wrong` if it must not stay."""

    what: str
    way: str
    paths: tuple[str, ...] = ()
    wrong: bool = True


@dataclass
class Checkup:
    """What there is of a data set, and what is expected of it; None where nothing says that.

    `there`, `listed` and `published` count pictures by split; `viewed` are the training pictures
    that few-shot draws can use, `opened` those that were looked into.
    """

    name: str
    folder: str
    there: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    classes: int = 0
    published_classes: int | None = None
    viewed: int = 0
    opened: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.wrong for finding in self.findings)

    def add(self, what: str, way: str, paths: Iterable[str] = (), wrong: bool = True) -> None:
        """Take a finding."""
        self.findings.append(Finding(what, way, tuple(paths), wrong))

    def look_into(self, pictures: Sequence[Path], all_of_them: bool = False) -> None:
        """Read the heads of pictures that are there, of 200 by chance or of all."""
        empty = {path: True for path in pictures if path.is_file() and not path.stat().st_size}
        if empty:
            self.add(f"{len(empty)} pictures are empty", "fetch them again", map(str, empty))
        left = [path for path in pictures if path not in empty]
        if not all_of_them and len(left) > SAMPLE:
            left = random.Random(0).sample(left, SAMPLE)
        self.opened = len(left)
        bad = {str(path): why for path in left if (why := unopened(path))}
        if bad:
            self.add(
                f"{len(bad)} of {len(left)} pictures that were looked into cannot be read: the "
                f"first {next(iter(bad.values()))}",
                "fetch them again",
                bad,
            )
