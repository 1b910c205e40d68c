"""A pack becomes the same entry elsewhere, and nothing else ever does."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from featcache.errors import CacheError, FeatcacheError
from featcache.store import unpacking
from featcache.store.cache import FeatureCache
from featcache.store.cleaning import rubbish
from featcache.store.entry import Entry, reload
from featcache.store.manifest import checksum
from featcache.store.packing import ABOUT, pack
from featcache.store.unpacking import unpack
from featcache.store.writing import amend
from tests.featcache.store.made import made


class Made(NamedTuple):
    entry: Entry
    pack: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("here")
    entry = made(folder / "cache")
    return Made(entry, pack(entry, folder / "pack.zip").path)


@pytest.fixture
def there(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "there")


def state(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".lock"}


def nothing(cache: FeatureCache) -> bool:
    return not cache.root.exists() or not list(cache.root.rglob("*"))


def test_an_entry_arrives_as_it_was(whole: Made, there: FeatureCache) -> None:
    found = unpack(whole.pack, there)
    assert found.entry.key == whole.entry.key
    assert state(found.entry.folder) == state(whole.entry.folder)
    assert found.entry.problems() == []
    assert rubbish(there, 0) == []
    assert (len(found.placed), found.held) == (len(whole.entry.manifest["shards"]), 0)
    assert [each.key for each in there.entries()] == [whole.entry.key]


def test_a_second_time_there_is_nothing_to_do(whole: Made, there: FeatureCache) -> None:
    unpack(whole.pack, there)
    again = unpack(whole.pack, there)
    assert (again.placed, again.held) == ((), len(whole.entry.manifest["shards"]))


def test_what_was_lost_since_is_put_back(whole: Made, there: FeatureCache) -> None:
    folder = unpack(whole.pack, there).entry.folder
    (folder / "projection.h5").unlink()
    (folder / "images-test-00000.h5").write_bytes(b"x")
    assert unpack(whole.pack, there).placed == ("images-test-00000.h5", "projection.h5")
    assert state(folder) == state(whole.entry.folder)


def test_an_entry_with_other_content_is_kept(whole: Made, there: FeatureCache) -> None:
    entry = unpack(whole.pack, there).entry
    with amend(entry) as manifest:
        del manifest["shards"]["images-test-00000.h5"]
    before = state(entry.folder)
    with pytest.raises(CacheError, match=r"other content .*`featcache rm numbers/net/0123` first"):
        unpack(whole.pack, there)
    assert state(entry.folder) == before


def test_one_that_was_killed_goes_on(
    whole: Made, there: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed one leaves is no entry, and is taken for what it is."""
    left = iter(range(5))

    def killed(*given: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        place(*given)

    place = unpacking.place
    monkeypatch.setattr(unpacking, "place", killed)
    monkeypatch.setattr(unpacking, "_take_away", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        unpack(whole.pack, there)
    assert there.entries() == []
    monkeypatch.undo()
    found = unpack(whole.pack, there)
    assert found.held == 5
    assert state(found.entry.folder) == state(whole.entry.folder)


def test_without_room_nothing_is_begun(
    whole: Made, there: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CacheError, match=r"has 0\.0 MB left; make room"):
        unpack(whole.pack, there)
    assert nothing(there)


def rewritten(
    source: Path,
    target: Path,
    change: Callable[[dict[str, bytes]], None] = lambda _: None,
    head: Callable[[zipfile.ZipInfo], None] = lambda _: None,
) -> Path:
    """The same members written anew, changed, and with other heads."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            head(info)
            archive.writestr(info, content)
    return target


def about(members: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads(members[ABOUT])
    change(found)
    members[ABOUT] = json.dumps(found).encode()


def vouched(members: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, with all its sums and those of the pack put right again."""
    found = json.loads(members["manifest.json"])
    found.pop("checksum")
    change(found)
    found["checksum"] = checksum(found)
    content = members["manifest.json"] = json.dumps(found).encode()
    record = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    about(members, lambda told: told.update(manifest=record))


def moved(members: dict[str, bytes], name: str) -> None:
    """The projection under another name, in both lists."""
    members[name] = members.pop("projection.h5")

    def renamed(told: dict[str, Any]) -> None:
        told["shards"][name] = told["shards"].pop("projection.h5")

    vouched(members, renamed)
    about(members, renamed)


def grown(members: dict[str, bytes]) -> None:
    def larger(told: dict[str, Any]) -> None:
        told["shards"]["projection.h5"]["bytes"] += 1

    vouched(members, larger)
    about(members, larger)


HOSTILE: Mapping[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "an extra": (lambda m: m.update({"more.h5": b"x"}), "holds 'more.h5', which it does not list"),
    "a lack": (lambda m: m.pop("projection.h5"), "lacks 'projection.h5', which it lists"),
    "a way out": (lambda m: m.update({"../x.h5": b"x"}), "is no plain file name"),
    "a root": (lambda m: m.update({"/etc/x.h5": b"x"}), "is no plain file name"),
    "a drive": (lambda m: m.update({"C:x.h5": b"x"}), "is no plain file name"),
    "a folder": (lambda m: m.update({"x/": b""}), "is no plain file name"),
    "a hidden file": (lambda m: m.update({".lock": b""}), "is no plain file name"),
    "no list": (lambda m: m.pop(ABOUT), "lacks pack.json or manifest.json"),
    "no manifest": (lambda m: m.pop("manifest.json"), "lacks pack.json or manifest.json"),
    "no JSON": (lambda m: m.update({ABOUT: b"{"}), "is not JSON"),
    "too deep": (lambda m: m.update({ABOUT: b"[" * 99_999}), "is not JSON"),
    "another shape": (lambda m: m.update({ABOUT: b"[]"}), "is not what it should be"),
    "no sizes": (lambda m: about(m, lambda a: a["shards"].update(x=3)), "is not what it should be"),
    "a later format": (lambda m: about(m, lambda a: a.update(format=2)), "has format 2"),
    "another key": (lambda m: about(m, lambda a: a.update(key="dogs/net/0123")), "no pack of"),
    "a long key": (lambda m: about(m, lambda a: a.update(key="numbers/net/1/2")), "no pack of"),
    "a key out": (lambda m: about(m, lambda a: a.update(key="numbers/../0123")), "no pack of"),
    "other lists": (
        lambda m: vouched(m, lambda a: a["shards"]["projection.h5"].update(sha256="0")),
        "lists other shards than its manifest",
    ),
    "another manifest": (
        lambda m: m.update({"manifest.json": m["manifest.json"].replace(b"odd", b"ODD")}),
        "its manifest is not what the pack lists",
    ),
    "a forged manifest": (
        lambda m: (
            m.update({"manifest.json": m["manifest.json"].replace(b'"odd"', b'"ODD"')}),
            about(
                m,
                lambda a: a["manifest"].update(
                    sha256=hashlib.sha256(m["manifest.json"]).hexdigest()
                ),
            ),
        ),
        "is none that was written so",
    ),
    "other bytes": (
        lambda m: m.update({"projection.h5": m["projection.h5"][:-1] + b"?"}),
        "projection.h5 is not what the pack lists",
    ),
    "another size": (grown, "projection.h5 has another size than the pack lists"),
    "no shard": (lambda m: moved(m, "run.sh"), "'run.sh' are no names of shards"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_as_listed_is_refused(
    whole: Made, there: FeatureCache, tmp_path: Path, what: str
) -> None:
    change, why = HOSTILE[what]
    bad = rewritten(whole.pack, tmp_path / "bad.zip", lambda members: void(change(members)))
    with pytest.raises(CacheError, match=why) as told:
        unpack(bad, there)
    assert str(bad) in str(told.value)
    assert nothing(there)
    assert sorted(p.name for p in tmp_path.iterdir()) in (["bad.zip"], ["bad.zip", "there"])


def void(_: object) -> None:
    return None


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o120777 << 16 if info.filename == "projection.h5" else 0


def squeezed(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_DEFLATED


@pytest.mark.parametrize(
    ("head", "why"), [(link, "is a link or no file"), (squeezed, "is compressed")]
)
def test_members_of_other_kinds_are_refused(
    whole: Made, there: FeatureCache, tmp_path: Path, head: Any, why: str
) -> None:
    with pytest.raises(CacheError, match=why):
        unpack(rewritten(whole.pack, tmp_path / "bad.zip", head=head), there)
    assert nothing(there)


def test_a_member_twice_is_refused(whole: Made, there: FeatureCache, tmp_path: Path) -> None:
    shutil.copy(whole.pack, tmp_path / "bad.zip")
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "bad.zip", "a") as archive,
    ):
        archive.writestr("projection.h5", b"x")
    with pytest.raises(CacheError, match="h5' twice"):
        unpack(tmp_path / "bad.zip", there)


def test_members_that_share_bytes_are_refused(
    whole: Made, there: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that points to the same bytes again and again says more than there is."""
    listed = zipfile.ZipFile.infolist

    def larger(self: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        found = listed(self)
        found[-1].file_size = found[-1].compress_size = 10**9
        return found

    monkeypatch.setattr(zipfile.ZipFile, "infolist", larger)
    with pytest.raises(CacheError, match="its members are larger than itself"):
        unpack(whole.pack, there)


def test_files_that_are_no_archives_are_refused(there: FeatureCache, tmp_path: Path) -> None:
    for content in (b"", b"PK", b"x" * 100):
        (tmp_path / "x.zip").write_bytes(content)
        with pytest.raises(CacheError, match="is no whole pack"):
            unpack(tmp_path / "x.zip", there)
    with pytest.raises(CacheError, match="cannot read the pack"):
        unpack(tmp_path / "none.zip", there)
    with pytest.raises(CacheError, match="cannot read the pack"):
        unpack(tmp_path, there)


@pytest.mark.parametrize("seed", range(40))
def test_no_flipped_bit_and_no_cut_gives_another_entry(
    whole: Made, there: FeatureCache, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    content = bytearray(whole.pack.read_bytes())
    if seed % 4:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else:
        del content[rng.randrange(len(content)) :]
    (tmp_path / "x.zip").write_bytes(content)
    try:
        found = unpack(tmp_path / "x.zip", there)
    except FeatcacheError:
        assert nothing(there)
    else:  # a bit that says nothing, such as of a time
        assert found.entry.key == whole.entry.key
        assert state(found.entry.folder) == state(whole.entry.folder)


def test_what_else_lies_there_is_left_alone(
    whole: Made, there: FeatureCache, tmp_path: Path
) -> None:
    """A refusal takes away what it placed, and nothing of others."""
    folder = there.root / whole.entry.key
    folder.mkdir(parents=True)
    (folder / "images-pool-00000.h5").write_text("of somebody")
    bad = rewritten(
        whole.pack, tmp_path / "bad.zip",
        lambda m: m.update({"projection.h5": m["projection.h5"][:-1] + b"?"}),
    )  # fmt: skip
    with pytest.raises(CacheError, match="projection"):
        unpack(bad, there)
    assert state(folder) == {"images-pool-00000.h5": b"of somebody"}
    assert reload(unpack(whole.pack, there).entry).problems() == []
