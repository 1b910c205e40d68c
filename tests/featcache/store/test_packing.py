"""An entry in one file: all that is listed, checked, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.store.entry import Entry, reload
from featcache.store.packing import ABOUT, called, listed_in, pack
from featcache.store.writing import amend
from tests.featcache.store.made import made


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return made(tmp_path / "cache")


def test_all_that_is_listed_is_in_it_as_it_lies(entry: Entry, tmp_path: Path) -> None:
    packed = pack(entry, tmp_path / "x.zip")
    with zipfile.ZipFile(packed.path) as archive:
        names = archive.namelist()
        assert names[:2] == [ABOUT, "manifest.json"]
        assert names[2:] == sorted(entry.manifest["shards"])
        for name in names[1:]:
            assert archive.read(name) == (entry.folder / name).read_bytes()
        about = json.loads(archive.read(ABOUT))
    assert about["key"] == entry.key
    assert about["provenance"]["backbone"] == entry.backbone
    assert about["provenance"]["logit_scale"] == 50
    for name, record in {**about["shards"], "manifest.json": about["manifest"]}.items():
        content = (entry.folder / name).read_bytes()
        assert record == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    content = packed.path.read_bytes()
    assert (packed.bytes, packed.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert packed.shards == len(names) - 2


def test_the_same_entry_gives_the_same_bytes(entry: Entry, tmp_path: Path) -> None:
    one, other = (pack(entry, tmp_path / name).path.read_bytes() for name in ("a.zip", "b.zip"))
    assert one == other


def test_a_folder_gets_a_file_called_after_the_key(entry: Entry, tmp_path: Path) -> None:
    assert pack(entry, tmp_path).path == tmp_path / "numbers-net-0123.zip"
    assert called(entry) == "numbers-net-0123.zip"


def test_shards_that_are_about_to_give_way_come_along(entry: Entry, tmp_path: Path) -> None:
    with amend(entry) as manifest:
        manifest["older"] = {"images-test-00000.h5": manifest["shards"].pop("images-test-00000.h5")}
    found = reload(entry)
    assert list(listed_in(found.manifest)) == sorted(entry.manifest["shards"])
    with zipfile.ZipFile(pack(found, tmp_path / "x.zip").path) as archive:
        assert "images-test-00000.h5" in archive.namelist()
        assert json.loads(archive.read(ABOUT))["provenance"]["complete"] is False


def test_damage_is_not_passed_on(entry: Entry, tmp_path: Path) -> None:
    shard = entry.folder / "patches-train-00001.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedShardError, match="patches-train-00001"):
        pack(entry, tmp_path / "x.zip")
    shard.unlink()
    with pytest.raises(MissingShardError, match="patches-train-00001"):
        pack(entry, tmp_path / "x.zip")
    (entry.folder / "manifest.json").unlink()
    with pytest.raises(CacheError, match="cannot be read now"):
        pack(entry, tmp_path / "x.zip")
    assert not list(tmp_path.glob("*x.zip*"))
