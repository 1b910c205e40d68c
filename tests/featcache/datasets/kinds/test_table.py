"""Tables of paths and of bytes, in CSV, TSV and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from featcache.datasets.kinds import table
from featcache.datasets.kinds.table import found
from featcache.datasets.layouts._class_folders import Walk
from featcache.errors import DatasetError
from tests.featcache.datasets.kinds.trees import arrow_table, content, png, put, read_as
from tests.featcache.datasets.ponds import ids

ROWS = [(f"p/{n}.png", "cat" if n % 2 else "dog", "train" if n < 4 else "test") for n in range(8)]
PATHS = [path for path, _, _ in ROWS]


def text(path: Path, header: str, rows: Sequence[Sequence[str]], separator: str = ",") -> Path:
    lines = [header.replace(",", separator), *(separator.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("name", "separator"), [("r.csv", ","), ("r.csv", ";"), ("r.tsv", "\t")])
def test_a_table_of_paths(tmp_path: Path, name: str, separator: str) -> None:
    put(tmp_path, *PATHS)
    dataset = read_as("table", text(tmp_path / name, "path,class,split", ROWS, separator))
    assert dataset.classnames == ("cat", "dog")
    assert ids(dataset, "train") == PATHS[:4]
    assert ids(dataset, "test") == PATHS[4:]
    assert [item.label for item in dataset.splits["test"]] == [1, 0, 1, 0]
    assert dataset.splits["test"][0].source == tmp_path / "p/4.png"


def test_parquet_of_paths_is_the_same_as_csv(tmp_path: Path) -> None:
    put(tmp_path, *PATHS)
    columns = dict(zip(("path", "class", "split"), zip(*ROWS, strict=True), strict=True))
    parquet.write_table(pa.table(columns), tmp_path / "r.parquet")
    assert read_as("table", tmp_path / "r.parquet") == read_as(
        "table", text(tmp_path / "r.csv", "path,class,split", ROWS)
    )


def test_parquet_of_bytes_gives_them(tmp_path: Path) -> None:
    pictures = [png(n) for n in range(8)]
    columns = {"image": pictures, "label": [0, 1] * 4, "split": ["train", "test"] * 4}
    columns["class"] = ["dog", "cat"] * 4
    with pytest.raises(DatasetError, match="no training pictures of 'cat'"):
        write(tmp_path / "r.parquet", columns)
    columns["split"] = ["train"] * 4 + ["test"] * 4
    dataset = write(tmp_path / "r.parquet", columns)
    assert dataset.classnames == ("dog", "cat")
    every = [*dataset.splits["train"], *dataset.splits["test"]]
    assert [content(item).held for item in every] == pictures
    assert [item.id for item in every] == [f"r/{n:07d}" for n in range(8)]


def write(path: Path, columns: dict[str, list[object]]):  # type: ignore[no-untyped-def]
    parquet.write_table(pa.table(columns), path, row_group_size=3)
    return read_as("table", path)


@pytest.mark.parametrize("inner", [".", "data"])
def test_files_of_the_hub_say_their_split_and_class_names(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner).mkdir(exist_ok=True)
    for start, split in enumerate(("train", "validation", "test")):
        held = arrow_table([png(10 * start + n) for n in range(4)], [0, 1] * 2)
        parquet.write_table(held, tmp_path / inner / f"{split}-00000-of-00001.parquet")
    dataset = read_as("table", tmp_path)
    assert dataset.classnames == ("cat", "dog")
    assert {s: len(items) for s, items in dataset.splits.items()} == {
        "train": 4, "val": 4, "test": 4,
    }  # fmt: skip
    assert ids(dataset, "val")[0] == "validation-00000-of-00001/0000000"
    assert content(dataset.splits["test"][3]).held == png(23)


def test_numbers_are_named_by_a_file_beside(tmp_path: Path) -> None:
    put(tmp_path, *PATHS)
    path = text(tmp_path / "r.csv", "file,label", [(p, str(n % 2)) for n, p in enumerate(PATHS)])
    with pytest.raises(DatasetError, match="nothing says what they are called"):
        read_as("table", path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert read_as("table", path).classnames == ("cat", "dog")


def test_pictures_may_lie_in_a_folder_beside(tmp_path: Path) -> None:
    put(tmp_path / "images", *PATHS)
    dataset = read_as("table", text(tmp_path / "r.csv", "path,class,split", ROWS))
    assert dataset.splits["train"][0].source == tmp_path / "images" / "p/0.png"
    assert ids(dataset, "train")[0] == "p/0.png"


def test_columns_of_other_kinds_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, *PATHS)
    rows = [(*row, '"a, b"') for row in ROWS]
    dataset = read_as("table", text(tmp_path / "r.csv", "path,class,split,tags", rows))
    assert ids(dataset, "train") == PATHS[:4]


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("path,tag", ("a.png", "x"), "no column for the class; it has 'path', 'tag'"),
        ("path,class", ("../a.png", "x"), r"r\.csv line 2: the path .* does not stay"),
        ("path,class", ("/etc/passwd", "x"), "line 2: the path .* does not stay"),
        ("path,class", ("a.png", "x", "y"), "line 2 has 3 cells where the first line has 2"),
        ("path,class,split", ("a.png", "x", "extra"), "line 2: the split 'extra' is none"),
        ("path,class", ("", "x"), "line 2: the path '' is not plain"),
    ],
)
def test_what_is_refused(tmp_path: Path, header: str, row: tuple[str, ...], why: str) -> None:
    path = text(tmp_path / "r.csv", header, [row, row])
    with pytest.raises(DatasetError, match=why):
        read_as("table", path)


def test_links_that_lead_out_are_followed_only_when_asked(tmp_path: Path) -> None:
    put(tmp_path / "far", *PATHS)
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "p").symlink_to(tmp_path / "far" / "p")
    path = text(tmp_path / "near" / "r.csv", "path,class,split", ROWS)
    with pytest.raises(DatasetError, match=r"leads out of .*--follow-links"):
        read_as("table", path)
    read = table.read(path, name="mine", walk=Walk(follow_links=True))
    assert ids(read, "train") == PATHS[:4]


def test_damaged_tables_are_told(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"path,class\n\xff\xfe,x\n")
    (tmp_path / "r.parquet").write_bytes(b"PAR1 no table PAR1")
    for name in ("r.csv", "r.parquet"):
        with pytest.raises(DatasetError, match=f"cannot read .*{name}"):
            read_as("table", tmp_path / name)
    with pytest.raises(DatasetError, match="holds no tables of Parquet"):
        table.read(tmp_path / "..", name="x", walk=Walk())


def test_what_is_a_table(tmp_path: Path) -> None:
    assert not found(tmp_path / "nowhere.csv")
    (tmp_path / "r.txt").touch()
    assert not found(tmp_path / "r.txt")
