"""Data sets looked at before they are encoded: named ones, and folders of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from featcache.datasets.checkup import Checkup
from featcache.datasets.inspection import inspect
from featcache.datasets.registry import load
from featcache.errors import DatasetError, UnknownNameError
from tests.featcache.datasets.kinds.test_domains import office
from tests.featcache.datasets.kinds.trees import arrow_table, png, put, saved, shard
from tests.featcache.datasets.layouts.test_cifar import ten_binary
from tests.featcache.datasets.ponds import CLASSES, SPLIT, imagenet, pond

HERE = Path(__file__).parents[3]


def told(found: Checkup) -> list[str]:
    return [finding.what for finding in found.findings if finding.wrong]


def painted(folder: Path) -> Path:
    """Every file that should be a picture is one, each another."""
    for i, path in enumerate(sorted(folder.rglob("*.jpg"))):
        Image.new("RGB", (9, 9), (i, 9 * i % 256, 0)).save(path)
    return folder


def test_what_is_sound_can_be_read(tmp_path: Path) -> None:
    """Of one's own: with a list, and in class folders."""
    listed = painted(pond(tmp_path / "listed"))
    found = inspect(str(listed))
    assert (found.sound, found.findings) == (True, [])
    assert found.there == found.listed == {"train": 2, "val": 1, "test": 2}
    assert found.opened == 5
    (listed / SPLIT).rename(tmp_path / "list.json")
    found = inspect(str(listed / "images"))
    assert found.sound
    assert found.there == {s: len(i) for s, i in load(str(listed / "images")).splits.items()}
    assert found.classes == 2
    (listed / "images/frog/1.jpg").write_text("no picture")
    assert told(inspect(str(listed / "images")))[0].startswith("1 of 5 pictures that were looked")


@pytest.mark.parametrize("by_name", [True, False])
def test_counts_are_held_against_the_published_ones(tmp_path: Path, by_name: bool) -> None:
    folder = painted(pond(tmp_path / "eurosat", "2750", "split_zhou_EuroSAT.json"))
    found = inspect("EuroSAT", tmp_path) if by_name else inspect(str(folder))
    assert found.name == "eurosat"
    assert found.published == {"train": 13_500, "val": 5_400, "test": 8_100}
    assert told(found) == [
        "2 train pictures are listed, the published set has 13,500",
        "1 val pictures are listed, the published set has 5,400",
        "2 test pictures are listed, the published set has 8,100",
        "2 classes are listed, the published set has 10",
    ]
    assert inspect("eurosat", tmp_path / "eurosat").there == found.there


def test_the_file_that_says_what_is_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        inspect("eurosat", tmp_path / "nowhere")
    (tmp_path / "EuroSAT").mkdir()
    found = inspect("eurosat", tmp_path)
    assert told(found) == [f"{tmp_path} holds no folder eurosat/"]
    assert found.findings[0].way == "rename EuroSAT/ to eurosat/"
    (tmp_path / "EuroSAT").rename(tmp_path / "eurosat")
    found = inspect("eurosat", tmp_path)
    assert told(found) == [f"{tmp_path / 'eurosat'} holds no split_zhou_EuroSAT.json"]
    pond(tmp_path / "eurosat/more", "2750", "split_zhou_EuroSAT.json")
    way = inspect("eurosat", tmp_path).findings[0].way
    assert way.startswith("it lies in more/split_zhou_EuroSAT.json; move all that is beside it to ")


def test_lists_that_are_malformed_are_findings(tmp_path: Path) -> None:
    folder = pond(tmp_path / "eurosat", "2750", "split_zhou_EuroSAT.json")
    (folder / "split_zhou_EuroSAT.json").write_text("{")
    assert "cannot read the split file" in told(inspect("eurosat", tmp_path))[0]
    own = pond(tmp_path / "own")
    (own / SPLIT).write_text(json.dumps({"train": [["../x.jpg", 0, "frog"]]}))
    assert "does not stay in the image folder" in told(inspect(str(own)))[0]
    wnids = imagenet(tmp_path / "imagenet")
    (wnids / CLASSES).write_text("tench")
    assert "is not a new '<wnid> <name>'" in told(inspect("imagenet", tmp_path))[0]
    assert "is not a new '<wnid> <name>'" in told(inspect(str(wnids)))[0]


def test_what_the_reader_of_folders_refuses_is_a_finding(
    tmp_path: Path, shared_cases: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(str(shared_cases / "layout-valid" / "test"), layout="flat")
    found = inspect(str(shared_cases / "layout-valid" / "test"), layout="flat")
    assert told(found) == [str(caught.value)]
    found = inspect(str(shared_cases / "nested"))
    assert found.sound
    assert "pictures in inner folders" in found.findings[0].what
    with pytest.raises(DatasetError, match="there is no folder"):
        inspect(str(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError):
        inspect("eurosatt")


def test_made_sets_need_nothing() -> None:
    found = inspect("digits")
    assert found.sound
    assert found.there == found.published == {"train": 899, "val": 359, "test": 539}


def linked(folder: Path, names: Iterable[str]) -> None:
    """One picture under many names, which takes no room."""
    put(folder, "one.png")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).hardlink_to(folder / "one.png")
    (folder / "one.png").unlink()


def test_a_whole_cub(tmp_path: Path) -> None:
    """As many pictures and species as are published."""
    folder = tmp_path / "CUB_200_2011"
    names = [f"{n % 200 + 1:03d}.Bird/{n}.jpg" for n in range(11_788)]
    linked(folder / "images", names)
    for name, held in {
        "images.txt": names,
        "image_class_labels.txt": [n % 200 + 1 for n in range(11_788)],
        "train_test_split.txt": [int(n < 5_994) for n in range(11_788)],
        "classes.txt": [f"{c:03d}.Bird_{c}" for c in range(1, 201)],
    }.items():
        (folder / name).write_text("".join(f"{n} {each}\n" for n, each in enumerate(held, 1)))
    for found in (inspect("cub", tmp_path), inspect(str(folder))):
        assert told(found) == []
        assert found.there == found.published == {"train": 5_994, "test": 5_794}
    (folder / "images" / names[7]).unlink()
    assert told(inspect("cub", tmp_path))[0] == "1 listed pictures are nowhere"


def test_a_whole_pacs(tmp_path: Path) -> None:
    """As many pictures and classes as are published, and one less."""
    classes = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    sizes = {"art_painting": 2_048, "cartoon": 2_344, "photo": 1_670, "sketch": 3_929}
    for domain, size in sizes.items():
        linked(tmp_path / "PACS" / domain, (f"{classes[n % 7]}/{n}.jpg" for n in range(size)))
    found = inspect("pacs", tmp_path)
    assert told(found) == []
    assert sum(found.there.values()) == 9_991
    assert sum(n for name, n in found.there.items() if name.startswith("pacs-photo ")) == 1_670
    (tmp_path / "PACS" / "photo" / "dog" / "0.jpg").unlink()
    lacks = "pacs-photo: 1,669 pictures are there, the published set has 1,670"
    assert told(inspect("pacs", tmp_path)) == [lacks]
    assert told(inspect("pacs-photo", tmp_path)) == [lacks]


def test_domains_of_ones_own(tmp_path: Path) -> None:
    found = inspect(str(office(tmp_path / "rooms")), layout="domains")
    assert (found.name, found.classes, found.sound) == ("rooms", 2, True)
    assert sum(n for name, n in found.there.items() if name.startswith("rooms-art ")) == 4
    wrong = inspect(str(tmp_path / "rooms" / "Art"), layout="domains")
    assert "no folder of two domains" in told(wrong)[0]
    with pytest.raises(DatasetError, match="there is no folder"):
        inspect(str(tmp_path / "nowhere"), layout="domains")


def test_cifar_is_counted_and_what_is_wrong_with_it_told(tmp_path: Path) -> None:
    ten_binary(tmp_path)
    found = inspect("cifar-10", tmp_path)
    assert found.there == {"train": 15, "test": 3}
    assert "15 train pictures are there, the published set has 50,000" in told(found)
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").unlink()
    assert "No such file" in told(inspect("cifar-10", tmp_path))[0]
    (tmp_path / "cifar-10-batches-bin" / "batches.meta.txt").unlink()
    assert "holds no folder cifar-10" in told(inspect("cifar-10", tmp_path))[0]


@pytest.mark.parametrize("kind", ["shard", "saved"])
def test_pictures_within_other_files_are_looked_into(tmp_path: Path, kind: str) -> None:
    pictures = [png(1), b"no picture", *map(png, range(2, 8))]
    if kind == "shard":
        named = [(f"{n}.png", held) for n, held in enumerate(pictures)]
        cls = [(f"{n}.cls", b"ab"[n % 2 :][:1]) for n in range(8)]
        every = [member for pair in zip(named, cls, strict=True) for member in pair]
        shard(tmp_path / "0.tar", *every)
    else:
        saved(tmp_path, arrow_table(pictures, [0, 1] * 4))
    found = inspect(str(tmp_path))
    assert (found.classes, found.opened, sum(found.there.values())) == (2, 8, 8)
    assert told(found)[0].startswith("1 of 8 pictures that were looked into cannot be read")


def test_a_part_of_real_eurosat(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        names = [n for n in archive.namelist() if "/River/" in n and n.endswith("0.jpg")]
        archive.extractall(tmp_path, ["eurosat/split_zhou_EuroSAT.json", *names])
    found = inspect("eurosat", tmp_path)
    assert told(found) == [
        f"{27_000 - len(names):,} listed pictures are nowhere",
        "9 of 10 classes have no picture in its place",
    ]
    assert sum(found.there.values()) == len(names)
    assert found.listed == found.published


def test_it_is_light(tmp_path: Path) -> None:
    pond(tmp_path)
    code = (
        "import sys; from featcache.datasets.inspection import inspect\n"
        f"inspect({str(tmp_path)!r})\n"
        "heavy = {'torch', 'open_clip', 'pandas', 'h5py', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE)
