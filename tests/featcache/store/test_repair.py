"""Damage is taken off the list, what is sound stays, and what needs no model is rebuilt."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from featcache.errors import CacheError, DamagedShardError
from featcache.store import entry as entries
from featcache.store.entry import Entry, reload
from featcache.store.repair import damage, rebuild, take_off
from featcache.store.writing import amend
from tests.featcache.store.made import made


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return made(tmp_path)


def harm(entry: Entry) -> set[str]:
    """Flip, cut and delete a shard each."""
    flipped, cut, gone = "images-train-00001.h5", "patches-train-00000.h5", "projection.h5"
    content = bytearray((entry.folder / flipped).read_bytes())
    content[-3] ^= 8
    (entry.folder / flipped).write_bytes(content)
    (entry.folder / cut).write_bytes((entry.folder / cut).read_bytes()[:-1])
    (entry.folder / gone).unlink()
    return {flipped, cut, gone}


def test_damage_and_nothing_else_is_taken_off(entry: Entry) -> None:
    assert take_off(entry) == {}
    harmed = harm(entry)
    assert set(damage(entry)) == harmed
    told = take_off(entry)
    assert set(told) == harmed
    assert "missing" in told["projection.h5"]
    left = reload(entry)
    assert set(left.manifest["shards"]) == set(entry.manifest["shards"]) - harmed
    assert (entry.folder / "images-train-00001.h5").exists()
    assert left.problems() == [
        "split 'train' has 6 of 10 rows; run the same `featcache encode` again.",
        "split 'train' has 6 of 10 rows of patches; run the same `featcache encode` again.",
        "the projection is not there; run the same `featcache encode` again.",
    ]
    assert take_off(left) == {}


def test_a_bank_that_is_lost_keeps_its_place(entry: Entry) -> None:
    (entry.folder / entry.manifest["texts"]["dataset"]).unlink()
    take_off(entry)
    left = reload(entry)
    assert left.banks == ("seven",)
    assert not left.complete
    assert left.problems() == [
        "the prompts 'dataset' are not there; run `featcache encode --prompts dataset` again, "
        "or the same `featcache import`."
    ]


def test_what_the_system_does_not_give_is_not_taken_off(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(entries, "sha256", refuse)
    with pytest.raises(CacheError, match="cannot be read now"):
        take_off(entry)
    assert reload(entry).manifest == entry.manifest


def test_shards_of_before_gain_sums(entry: Entry) -> None:
    with amend(entry) as manifest:
        for record in manifest["shards"].values():
            del record["sums"]
    old = reload(entry)
    assert rebuild(old) == len(entry.manifest["shards"])
    assert reload(entry).manifest == entry.manifest
    assert rebuild(reload(entry)) == 0


def test_damage_is_given_no_sums(entry: Entry) -> None:
    name = "images-train-00001.h5"
    with amend(entry) as manifest:
        del manifest["shards"][name]["sums"]
    harm(entry)
    with pytest.raises(DamagedShardError, match="SHA-256"):
        rebuild(reload(entry))
    assert "sums" not in reload(entry).manifest["shards"][name]
