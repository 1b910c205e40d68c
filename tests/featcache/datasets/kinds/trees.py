"""Small trees in the layouts that other projects write."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.kind import kind_of, read
from featcache.datasets.layouts._class_folders import Walk
from featcache.pictures.digest import Content
from featcache.pictures.digest import read as read_picture


def png(number: int) -> bytes:
    """The bytes of a picture that its number tells from others."""
    held = io.BytesIO()
    pixels = np.full((5, 6, 3), number % 256, np.uint8)
    pixels[0, 0] = *divmod(number, 256), 7
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def put(folder: Path, *paths: str) -> None:
    """Pictures by these names, numbered in turn."""
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(png(number))


def read_as(kind: str, path: Path) -> Dataset:
    """Read a path that is told to be of that kind by itself."""
    assert kind_of(path) == kind
    return read(kind, path, name="mine", walk=Walk())


def content(item: Item) -> Content:
    return read_picture(item)


def shard(path: Path, *members: tuple[str, bytes], links: Sequence[tuple[str, str]] = ()) -> None:
    """A tar archive with these members, and symbolic links, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, held in members:
            info = tarfile.TarInfo(name)
            info.size = len(held)
            archive.addfile(info, io.BytesIO(held))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)


FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
}


def arrow_table(
    pictures: Sequence[bytes | None], labels: Sequence[Any], names: bool = True
) -> pa.Table:
    """A table as `datasets` lays it out: pictures as records, class names in the schema."""
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = pa.array([{"bytes": held, "path": "x.png"} for held in pictures], kind)
    table = pa.table({"image": images, "label": pa.array(labels)})
    noted = json.dumps({"info": {"features": FEATURES}})
    return table.replace_schema_metadata({"huggingface": noted} if names else {})


def arrow_file(path: Path, table: pa.Table, rows: int = 3) -> None:
    """A stream of Arrow in batches of so many rows, as `datasets` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def saved(folder: Path, *tables: pa.Table) -> None:
    """A data set as `save_to_disk` writes it, a file a table."""
    names = [f"data-{n:05d}-of-{len(tables):05d}.arrow" for n in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        arrow_file(folder / name, table)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))


def of_python2(held: dict[str, Any]) -> bytes:
    """A dictionary pickled as Python 2 and NumPy of its time did: CIFAR is published so."""

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"J" + value.to_bytes(4, "little")

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def value_of(value: Any) -> bytes:
        if isinstance(value, np.ndarray):
            kind = (
                b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN"
                + b"J\xff\xff\xff\xff" * 2
                + b"K\x00tb"
            )
            made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
            shape = b"(" + b"".join(map(number, value.shape)) + b"t"
            return made + b"(K\x01" + shape + kind + b"\x89" + text(value.tobytes()) + b"tb"
        if isinstance(value, list):
            return b"](" + b"".join(map(value_of, value)) + b"e"
        return number(value) if isinstance(value, int) else text(value.encode())

    pairs = b"".join(text(key.encode()) + value_of(value) for key, value in held.items())
    return b"\x80\x02}(" + pairs + b"u."


def of_python3(held: dict[str, Any]) -> bytes:
    return pickle.dumps({key.encode(): value for key, value in held.items()}, protocol=4)
