"""Dividing a data set without splits of its own: each picture by a hash of its id alone."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from featcache.datasets.dataset import SPLITS
from featcache.errors import ConfigError

FRACTIONS = (0.5, 0.2, 0.3)  # train, val, test: as CoOp divides the sets it splits itself


def divide(
    classes: Sequence[Sequence[str]], seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> dict[str, list[list[str]]]:
    """Divide the ids of each class into train, val and test, order kept.

    Where a picture goes depends on its id and the seed, so that adding or removing others does not
    move it; the shares are as near as chance brings them. One exception gives each class of two or
    more at least one picture in train and one in test: where chance left one of them empty, the
    picture nearest to it by its hash fills it. Raises ConfigError for fractions that are negative
    or do not add up to 1.
    """
    if not (min(fractions) >= 0 and abs(sum(fractions) - 1) < 1e-6):  # not (…): NaN fails too
        raise ConfigError(f"the fractions {fractions} must not be negative and must add up to 1.")
    splits: dict[str, list[list[str]]] = {split: [] for split in SPLITS}
    for members in classes:
        place = {member: _place(member, seed) for member in members}
        went = {member: _split(u, fractions) for member, u in place.items()}
        if len(members) > 1:
            _fill(went, sorted(members, key=lambda member: (place[member], member)))
        for split in SPLITS:
            splits[split].append([member for member in members if went[member] == split])
    return splits


def _place(member: str, seed: int) -> float:
    """A number in [0, 1) that is the same on every machine."""
    digest = blake2b(f"{seed} {member}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def _split(u: float, fractions: tuple[float, float, float]) -> str:
    train, val, _ = fractions
    return "train" if u < train else "val" if u < train + val else "test"


def _fill(went: dict[str, str], rising: Sequence[str]) -> None:
    if "train" not in went.values():
        went[rising[0]] = "train"
    if "test" not in went.values():
        went[rising[-1]] = "test"
