"""What is refused before anything is allocated: pickles, bombs, and files that lie."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from featcache.errors import ImportRefusedError
from featcache.interchange import safe
from featcache.interchange.files import load

GIB = 2**20  # of ru_maxrss, which counts in KiB


class Code:
    """What a pickle would call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)


def _torch(path: Path, content: object, change: Callable[[bytes], bytes] = bytes) -> Path:
    """A torch file whose inner pickle is changed."""
    torch.save(content, path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w") as new:
        for each in old.infolist():
            held = old.read(each)
            new.writestr(each.filename, change(held) if "data.pkl" in each.filename else held)
    return path


def _legacy(path: Path) -> None:
    torch.save(torch.zeros(3), path, _use_new_zipfile_serialization=False)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Code()))


def _module(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3), path)


def _code(path: Path) -> None:
    torch.save({"features": torch.zeros(2), "more": Code()}, path)


def _longer(path: Path) -> None:
    """A storage of 2^28 numbers, of which the file has 12."""
    _torch(path, torch.zeros(3, 4), lambda held: held.replace(b"K\x0c", b"J\x00\x00\x00\x10"))


def _expanded(path: Path) -> None:
    torch.save(torch.zeros(1, 4).expand(10**9, 4), path)


def _compressed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/data/0", bytes(2**20))


def _twice(path: Path) -> None:
    torch.save(torch.zeros(3), path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"\x80\x02}q\x00.")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_legacy, "older files are pickles"),
        (_pickle, "older files are pickles"),
        (_module, "pickled torch.nn.modules.linear.Linear"),
        (_code, "pickled"),
        (_longer, "damaged or was tampered with"),
        (_expanded, r"tells of \[1000000000, 4\] and has 16 bytes"),
        (_compressed, "no archive that torch has written"),
        (_twice, "no archive that torch has written"),
        (lambda path: path.write_bytes(b""), "no archive as torch writes"),
    ],
)
def test_torch_files_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "keys_16shots.pt"
    make(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImportRefusedError, match=words) as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GIB / 4
    assert not (tmp_path / "ran").exists()


def _header(shape: tuple[int, ...], content: bytes = bytes(48)) -> bytes:
    head = str({"descr": "<f4", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + content


@pytest.mark.parametrize("shape", [(10**12, 4), (3, 5), (2, 4)])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_lie(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        path.write_bytes(_header(shape))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", _header(shape))
    with pytest.raises(ImportRefusedError, match=r"tells of float32 \[.* and has 48 bytes for it"):
        load(path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_do_not(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        path.write_bytes(_header((3, 4)))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", _header((3, 4)))
    assert next(iter(load(path).values())).shape == (3, 4)


def test_an_archive_that_unfolds_too_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((1000, 1000)))
    assert load(path)["x"].shape == (1000, 1000)
    monkeypatch.setattr(safe, "FREE", 10**6)
    with pytest.raises(ImportRefusedError, match="claims to unfold to 8000128"):
        load(path)


def test_parts_that_lie_on_each_other(tmp_path: Path) -> None:
    """Many names for the same bytes, which unfold once each."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", _header((3, 4)))
        first = archive.infolist()[0]
        for number in range(50):
            other = zipfile.ZipInfo(f"a{number}.npy")
            other.header_offset, other.CRC = first.header_offset, first.CRC
            other.file_size, other.compress_size = first.file_size, first.compress_size
            archive.filelist.append(other)
    with pytest.raises(ImportRefusedError, match="in 51 parts, which no feature file does"):
        load(path)


def test_tensors_of_a_gpu_come_to_the_processor(tmp_path: Path) -> None:
    here, there = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    path = _torch(tmp_path / "x.pt", torch.eye(3).half(), lambda held: held.replace(here, there))
    np.testing.assert_array_equal(load(path)["array"], np.eye(3))


def test_views_of_one_storage_are_as_large_as_it_is(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save(
        {"a": whole, "b": whole[1:], "c": whole.T, "n": torch.zeros(0, 4)}, tmp_path / "x.pt"
    )
    held = load(tmp_path / "x.pt")
    np.testing.assert_array_equal(held["c"], whole.T)
    np.testing.assert_array_equal(held["b"], whole[1:])
    assert held["n"].shape == (0, 4)
