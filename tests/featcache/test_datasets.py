from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from featcache.datasets.coop import read_coop, write_coop
from featcache.datasets.digits import Digit
from featcache.datasets.folders import divide, read_folders
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets import Dataset, load, names
from featcache.datasets.checks import safe_id, slug
from featcache.errors import ConfigError, DatasetError, FeatcacheError, UnknownNameError

SPLIT = "split_zhou_Pond.json"
POND = {
    "train": [["newt/2.jpg", 1, "crested_newt"], ["frog/1.jpg", 0, "frog"]],
    "val": [["frog/2.jpg", 0, "frog"]],
    "test": [["frog/3.jpg", 0, "frog"], ["newt/1.jpg", 1, "crested_newt"]],
}


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def pond(folder: Path, images: str = "images", split: str = SPLIT, **changes: Any) -> Path:
    """A small data set of CoOp's layout; its pictures are there whatever the changed lists say."""
    touch(folder / images, *(str(path) for part in POND.values() for path, _, _ in part))
    (folder / split).write_text(json.dumps(POND | changes))
    return folder


def read(folder: Path) -> Dataset:
    return read_coop(folder, "images", SPLIT, name="pond")


def ids(dataset: Dataset, split: str) -> list[str]:
    return [item.id for item in dataset.splits[split]]


def test_coop_keeps_names_labels_and_order(tmp_path: Path) -> None:
    dataset = read(pond(tmp_path))
    assert dataset.classnames == ("frog", "crested_newt")
    assert ids(dataset, "train") == ["newt/2.jpg", "frog/1.jpg"]
    assert [item.label for item in dataset.splits["train"]] == [1, 0]
    assert dataset.splits["val"][0].source == tmp_path / "images" / "frog/2.jpg"


def test_coop_round_trip(tmp_path: Path) -> None:
    dataset = read(pond(tmp_path))
    write_coop(dataset, tmp_path / SPLIT)
    assert read(tmp_path).fingerprint == dataset.fingerprint


def test_val_may_be_absent(tmp_path: Path) -> None:
    assert set(read(pond(tmp_path, val=[])).splits) == {"train", "test"}


EVIL_PATHS = ["/etc/passwd", "../x.jpg", "frog/../../x.jpg", "C:\\x.jpg", "c:x.jpg", "//host/x"]
EVIL_PATHS += ["a\0.jpg", "a\n.jpg", "", ".", " ", "..", "frog\\1.jpg", "\ud800.jpg"]


@pytest.mark.parametrize("path", [*EVIL_PATHS, 7, None, ["frog"], True])
def test_hostile_paths_are_refused(tmp_path: Path, path: object) -> None:
    pond(tmp_path, val=[[path, 0, "frog"]])
    with pytest.raises(DatasetError, match=r"val entry 0: the path"):
        read(tmp_path)


@given(st.text())
def test_accepted_ids_stay_below_the_root(text: str) -> None:
    root = Path("/root/of/pictures")
    try:
        id_ = safe_id(text, "here")
    except DatasetError:
        return
    path = root / id_
    assert path != root
    assert path.resolve().is_relative_to(root)
    assert ".." not in path.parts
    assert safe_id(id_, "here") == id_
    id_.encode()


@given(st.lists(st.sampled_from(["a", "b c", ".x", "1.jpg"]), min_size=1))
def test_ordinary_paths_are_accepted(parts: list[str]) -> None:
    assert safe_id("/".join(parts), "here") == "/".join(parts)


@pytest.mark.parametrize(
    ("label", "name", "told"),
    [
        (-1, "frog", "label -1"),
        (True, "frog", "label True"),
        (0.0, "frog", r"label 0\.0"),
        ("0", "frog", "label '0'"),
        (None, "frog", "label None"),
        (7, "toad", "none is 2"),
        (0, "toad", "label 0 is called 'frog' and, at frog/9.jpg, 'toad'"),
        (2, "toad", "no training pictures of 'toad'"),
        (0, "", "class name ''"),
        (0, "a\nb", "class name"),
        (0, "a\x1b[31m", "class name"),
        (0, 3, "class name 3"),
        (0, ["frog"], "class name"),
    ],
)
def test_bad_labels_and_names_are_refused(
    tmp_path: Path, label: object, name: object, told: str
) -> None:
    pond(tmp_path, test=[*POND["test"], ["frog/9.jpg", label, name]])
    with pytest.raises(DatasetError, match=told):
        read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{", "3", "[" * 99_999, "\udcff", '{"train": 3}', '{"train": [3]}'),
        *('{"train": [["a", 0]]}', '{"train": []}', '{"train": [["frog/1.jpg", 0, "frog"]]}'),
    ],
)
def test_malformed_split_files_are_refused(tmp_path: Path, content: str) -> None:
    pond(tmp_path)
    (tmp_path / SPLIT).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DatasetError, match="split_zhou_Pond"):
        read(tmp_path)


def test_a_picture_in_two_splits_is_refused(tmp_path: Path) -> None:
    pond(tmp_path, test=[["frog//1.jpg", 0, "frog"]])
    with pytest.raises(DatasetError, match=r"frog/1\.jpg is listed twice, in train and test"):
        read(tmp_path)


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    folder = pond(tmp_path / "pond")
    touch(tmp_path, "secret/1.jpg")
    (folder / "images/frog/unlisted.jpg").symlink_to(tmp_path / "secret/1.jpg")
    read(folder)
    (folder / "images/frog/1.jpg").unlink()
    (folder / "images/frog/1.jpg").symlink_to(tmp_path / "secret/1.jpg")
    with pytest.raises(DatasetError, match="link that leads out"):
        read(folder)


@pytest.mark.parametrize("target", ["../../secret", "newt"])
def test_linked_folders(tmp_path: Path, target: str) -> None:
    folder = pond(tmp_path / "pond", val=[["linked/1.jpg", 0, "frog"]])
    touch(tmp_path, "secret/1.jpg")
    (folder / "images/linked").symlink_to(target)
    if target == "newt":
        assert ids(read(folder), "val") == ["linked/1.jpg"]
    else:
        with pytest.raises(DatasetError, match="link that leads out"):
            read(folder)


def test_a_ring_of_links_is_refused(tmp_path: Path) -> None:
    pond(tmp_path, val=[["ring/1.jpg", 0, "frog"]])
    (tmp_path / "images/ring").symlink_to("ring")
    with pytest.raises(DatasetError):
        read(tmp_path)


def test_the_image_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    folder = pond(tmp_path / "pond")
    (folder / "images").rename(tmp_path / "elsewhere")
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert len(read(folder).splits["train"]) == 2


def test_one_missing_picture_is_left_to_the_encoder_but_not_all(tmp_path: Path) -> None:
    pond(tmp_path)
    (tmp_path / "images/newt/2.jpg").unlink()
    read(tmp_path)
    (tmp_path / "images/frog/1.jpg").unlink()
    with pytest.raises(DatasetError, match=r"none of the 2 train pictures.*images/newt/2\.jpg"):
        read(tmp_path)


def test_paths_too_long_for_the_system_are_only_missing(tmp_path: Path) -> None:
    pond(tmp_path, val=[["x" * 9999 + "/a.jpg", 0, "frog"], ["frog/2.jpg", 0, "frog"]])
    assert len(read(tmp_path).splits["val"]) == 2


@pytest.mark.parametrize("images", [".", "images", "some pictures"])
def test_any_folder_with_a_split_file(tmp_path: Path, images: str) -> None:
    folder = pond(tmp_path / "My_Pond", images)
    (folder / "annotations").mkdir()
    dataset = load(str(folder))
    assert dataset.name == "my-pond"
    assert dataset.splits["val"][0].source == folder / images / "frog/2.jpg"


def test_two_split_files_are_refused(tmp_path: Path) -> None:
    pond(tmp_path)
    pond(tmp_path, split="split_zhou_Other.json")
    with pytest.raises(DatasetError, match="keep one split file"):
        load(str(tmp_path))


@pytest.mark.parametrize("root", [".", "oxford_pets"])
def test_named_set_below_the_root_or_at_it(tmp_path: Path, root: str) -> None:
    pond(tmp_path / "oxford_pets", "images", "split_zhou_OxfordPets.json")
    dataset = load("OxfordPets", tmp_path / root)
    assert dataset.name == "oxford-pets"
    assert dataset.templates == ("a photo of a {}, a type of pet.",)
    assert load(str(tmp_path / "oxford_pets")).name == "oxford-pets"


def test_root_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATCACHE_DATA", raising=False)
    with pytest.raises(DatasetError, match="--root or FEATCACHE_DATA"):
        load("ucf101")
    monkeypatch.setenv("FEATCACHE_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=r"needs split_zhou_UCF101\.json.*ucf101"):
        load("ucf101")
    pond(tmp_path / "ucf101", "UCF-101-midframes", "split_zhou_UCF101.json")
    assert load("ucf101").classnames == ("frog", "crested_newt")


def test_missing_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        load("eurosat", tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="there is no folder"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError, match=r"did you mean.*eurosat"):
        load("eurosatt")
    with pytest.raises(UnknownNameError):
        load("")


@pytest.mark.parametrize(
    ("name", "spellings"),
    {
        "oxford-pets": ["oxford_pets", "OxfordPets", "oxford-pets"],
        "caltech101": ["caltech-101", "Caltech101"],
        "dtd": ["DTD", "DescribableTextures"],
        "food101": ["food-101", "Food101"],
        "fgvc-aircraft": ["fgvc_aircraft", "FGVCAircraft"],
        "stanford-cars": ["stanford_cars", "StanfordCars"],
        "imagenet-a": ["ImageNetA", "imagenet-adversarial"],
        "imagenet-v2": ["imagenetv2", "ImageNetV2"],
    }.items(),
)
def test_spellings(tmp_path: Path, name: str, spellings: Sequence[str]) -> None:
    for spelling in spellings:
        with pytest.raises(DatasetError, match=f"^{name} needs "):
            load(spelling, tmp_path)


def test_every_name_is_told_apart() -> None:
    spellings = [s for info in names() for s in info.spellings]
    assert len(spellings) == len(set(spellings))
    few_shot = [info for info in names() if info.folder and info.train and info.train < 1e6]
    assert len(few_shot) == 10
    assert sum(info.train or 0 for info in few_shot) == 111_347
    assert sum(info.test or 0 for info in few_shot) == 83_696
    for info in names():
        assert all("{}" in template for template in info.templates)
        assert slug(info.name) == info.name


def test_the_list_of_sets_loads_nothing_heavy() -> None:
    code = "import sys; from featcache.datasets import names; names(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "sklearn", "PIL", "h5py"} & set(run.stdout.split())


def aircraft(folder: Path) -> Path:
    touch(folder / "images", "0034309.jpg", "0034310.jpg", "0000001.jpg", "0000002.jpg")
    (folder / "variants.txt").write_text("707-320\nF/A-18 Hornet\n")
    lists = {"train": "0034309 707-320\n0000001 F/A-18 Hornet\n", "val": "0034310 707-320\n"}
    for split, lines in (lists | {"test": "0000002 F/A-18 Hornet\n"}).items():
        (folder / f"images_variant_{split}.txt").write_text(lines)
    return folder


def test_aircraft(tmp_path: Path) -> None:
    aircraft(tmp_path / "fgvc_aircraft")
    dataset = load("fgvc_aircraft", tmp_path)
    assert dataset.classnames == ("707-320", "F/A-18 Hornet")
    assert ids(dataset, "train") == ["0034309.jpg", "0000001.jpg"]
    assert [item.label for item in dataset.splits["test"]] == [1]


def test_a_variant_without_training_pictures_is_named(tmp_path: Path) -> None:
    folder = aircraft(tmp_path)
    with (folder / "variants.txt").open("a") as file:
        file.write("Spitfire\n")
    with pytest.raises(DatasetError, match="no training pictures of 'Spitfire'"):
        load("fgvc_aircraft", tmp_path)


@pytest.mark.parametrize("line", ["0000003 Spitfire", "../../etc/x 707-320", "0000003"])
def test_bad_aircraft_lines_are_refused(tmp_path: Path, line: str) -> None:
    (aircraft(tmp_path) / "images_variant_val.txt").write_text(line)
    with pytest.raises(DatasetError, match="images_variant_val"):
        load("fgvc_aircraft", tmp_path)


WNIDS = "n00000003 missile\nn00000001 tench\nn00000002 missile\n"


def imagenet(folder: Path, *pictures: str) -> Path:
    touch(folder, *pictures)
    (folder / "classnames.txt").write_text(WNIDS)
    return folder


def test_imagenet_ranks_wnids_and_sorts_files(tmp_path: Path) -> None:
    train = [f"images/train/n0000000{w}/{p}.JPEG" for w in (3, 2, 1) for p in "ba"]
    imagenet(tmp_path / "imagenet", *train, "images/val/n00000003/v.JPEG")
    dataset = load("ImageNet", tmp_path)
    assert dataset.classnames == ("tench", "missile", "missile")
    assert ids(dataset, "train")[:3] == [
        "train/n00000001/a.JPEG",
        "train/n00000001/b.JPEG",
        "train/n00000002/a.JPEG",
    ]
    assert [item.label for item in dataset.splits["test"]] == [2]
    assert "val" not in dataset.splits
    assert dataset.splits["test"][0].source == tmp_path / "imagenet/images/val/n00000003/v.JPEG"


def test_flat_imagenet_val_and_lacking_class_are_refused(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "images/train/n00000001/a.JPEG", "images/val/v.JPEG")
    with pytest.raises(DatasetError, match="no class folders"):
        load("imagenet", folder)
    touch(folder, "images/val/n00000001/v.JPEG")
    with pytest.raises(DatasetError, match="no training pictures of 'missile', 'missile'"):
        load("imagenet", folder)


def test_imagenet_variants_label_their_own_way(tmp_path: Path) -> None:
    v2 = "imagenetv2-matched-frequency-format-val"
    imagenet(tmp_path / "imagenetv2", f"{v2}/2/a.jpeg", f"{v2}/0/a.jpeg")
    imagenet(tmp_path / "imagenet-sketch", "images/n00000003/a.JPEG")
    imagenet(tmp_path / "imagenet-adversarial", "imagenet-a/n00000003/a.jpg")
    touch(tmp_path / "imagenet-adversarial/imagenet-a", "README.txt")
    numbers = load("imagenet-v2", tmp_path)
    assert [(i.id, i.label) for i in numbers.splits["test"]] == [("0/a.jpeg", 0), ("2/a.jpeg", 2)]
    assert [i.label for i in load("imagenet-sketch", tmp_path).splits["test"]] == [2]
    own = load("imagenet-a", tmp_path)
    assert own.classnames == ("missile",)
    assert [item.label for item in own.splits["test"]] == [0]


def test_class_folders_are_divided(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/{i:02}.PNG" for c in ("newt", "Frog") for i in range(10)))
    touch(tmp_path, "newt/notes.txt", "newt/.hidden.png", ".cache/x.png", "list.csv")
    dataset = read_folders(tmp_path, name="pond")
    assert dataset.classnames == ("Frog", "newt")
    assert {split: len(items) for split, items in dataset.splits.items()} == {
        "train": 10,
        "val": 4,
        "test": 6,
    }
    assert read_folders(tmp_path, name="pond").fingerprint == dataset.fingerprint
    assert read_folders(tmp_path, name="pond", seed=2).fingerprint != dataset.fingerprint
    assert load(str(tmp_path)).fingerprint == dataset.fingerprint


def test_folders_with_splits(tmp_path: Path) -> None:
    touch(tmp_path, "train/frog/1.jpg", "train/newt/1.jpg", "test/newt/1.jpg")
    dataset = read_folders(tmp_path, name="pond")
    assert ids(dataset, "test") == ["test/newt/1.jpg"]
    assert dataset.splits["test"][0].label == 1
    assert set(dataset.splits) == {"train", "test"}
    touch(tmp_path, "test/toad/1.jpg")
    with pytest.raises(DatasetError, match=r"test/toad: no such class in train/"):
        read_folders(tmp_path, name="pond")


def test_folders_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no class folders"):
        read_folders(tmp_path, name="pond")
    touch(tmp_path, "frog/1.jpg")
    with pytest.raises(DatasetError, match="frog holds one picture"):
        read_folders(tmp_path, name="pond")
    touch(tmp_path, "frog/2.jpg", "newt/readme.txt")
    with pytest.raises(DatasetError, match="newt holds no pictures"):
        read_folders(tmp_path, name="pond")
    touch(tmp_path, "newt/1.jpg", "newt/2.jpg")
    (tmp_path / "toad").symlink_to("/")
    with pytest.raises(DatasetError, match="link that leads out"):
        read_folders(tmp_path, name="pond")
    touch(tmp_path, "train/frog/1.jpg")
    with pytest.raises(DatasetError, match="no test/"):
        read_folders(tmp_path, name="pond")


@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=8),
    st.integers(0, 99),
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)).filter(any),
)
def test_divide(sizes: list[int], seed: int, weights: tuple[int, int, int]) -> None:
    classes = [[(label, i) for i in range(n)] for label, n in enumerate(sizes)]
    train, val, test = (weight / sum(weights) for weight in weights)
    splits = divide(classes, seed, (train, val, test))
    assert splits == divide(classes, seed, (train, val, test))
    for label, members in enumerate(classes):
        parts = [split[label] for split in splits.values()]
        assert sorted(chain(*parts)) == members
        assert all(part == sorted(part) for part in parts)
        assert parts[0]
        assert parts[2]


def test_divide_refuses_odd_fractions() -> None:
    for fractions in ((0.5, 0.5, 0.5), (1.5, -0.5, 0.0), (float("nan"), 0.5, 0.5)):
        with pytest.raises(ConfigError):
            divide([[1, 2]], 1, fractions)


@pytest.mark.parametrize("name", [info.name for info in names() if info.folder is None])
def test_made_sets(name: str) -> None:
    info = next(info for info in names() if info.name == name)
    dataset = load(name)
    assert dataset.name == name
    assert len(dataset.classnames) == info.classes
    assert dataset.flip is (name not in ("digits", "shapes-pairs"))
    for split, items in dataset.splits.items():
        assert len(items) == getattr(info, split)
        assert {item.label for item in items} == set(range(info.classes))
    every = [item.id for items in dataset.splits.values() for item in items]
    assert len(set(every)) == len(every)
    pixels = pickle.loads(pickle.dumps(dataset.splits["val"][0].source)).pixels()
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_made_sets_are_the_same_every_time() -> None:
    assert load("digits").fingerprint == "8674b63702ce9a15"
    assert load("shapes-pairs").fingerprint == load("shapes-pairs").fingerprint


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    table = load_digits()
    dataset = load("digits")
    for items in dataset.splits.values():
        for item in items[:50]:
            index = int(item.id.removeprefix("digits/"))
            assert item.source == Digit(index)
            assert item.label == table.target[index]
            expected = np.round(table.images[index] * 255 / 16)
            assert (Digit(index).pixels() == expected[..., None]).all()
    assert Digit(0).pixels().shape == (8, 8, 3)


def test_every_error_is_one_sentence_that_names_a_place(tmp_path: Path) -> None:
    pond(tmp_path, val=[["../x.jpg", 0, "frog"]])
    with pytest.raises(FeatcacheError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / SPLIT}, val entry 0: the path '../x.jpg' does not stay in the image folder; "
        "write it relative to that folder, without '..'."
    )


def test_real_split_of_eurosat(shared_data: Path, tmp_path: Path) -> None:
    name = "eurosat/split_zhou_EuroSAT.json"
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        archive.extract(name, tmp_path)
    with pytest.raises(DatasetError, match="none of the 13,500 train pictures"):
        load("eurosat", tmp_path)
    listed = json.loads((tmp_path / name).read_text())
    touch(tmp_path / "eurosat/2750", *(listed[split][0][0] for split in listed))
    check_eurosat(load("EuroSAT", tmp_path))


@pytest.mark.slow
def test_real_eurosat(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        archive.extractall(tmp_path)
    dataset = load("eurosat", tmp_path / "eurosat")
    check_eurosat(dataset)
    for items in dataset.splits.values():
        assert all(isinstance(i.source, Path) and i.source.is_file() for i in items)
    own = load(str(tmp_path / "eurosat/2750"))
    assert sum(map(len, own.splits.values())) == 27_000


def check_eurosat(dataset: Dataset) -> None:
    info = next(info for info in names() if info.name == "eurosat")
    for split, items in dataset.splits.items():
        assert len(items) == getattr(info, split)
    assert len(dataset.classnames) == info.classes
    assert dataset.classnames[9] == "Sea or Lake"
    assert min(Counter(item.label for item in dataset.splits["train"]).values()) == 1000
    assert ids(dataset, "train")[0] == "AnnualCrop/AnnualCrop_1381.jpg"


def test_real_split_of_dtd(shared_data: Path, tmp_path: Path) -> None:
    split = "split_zhou_DescribableTextures.json"
    listed = json.loads((shared_data / "draws/dtd" / split).read_text())
    touch(tmp_path / "dtd/images", *(listed[part][0][0] for part in listed))
    (tmp_path / "dtd" / split).write_text(json.dumps(listed))
    dataset = load("dtd", tmp_path)
    assert [len(items) for items in dataset.splits.values()] == [2820, 1128, 1692]
    assert len(dataset.classnames) == 47
