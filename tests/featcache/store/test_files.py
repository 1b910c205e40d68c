"""A file is replaced whole or not at all."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

from featcache.store import files


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_what_the_system_does_not_give_is_one_sentence(tmp_path: Path) -> None:
    ending = "; see to the disk, the mount or the process that holds it, and run this again."
    told = files.unreadable(tmp_path / "x", OSError(5, "Input/output error"))
    assert told == f"{tmp_path / 'x'} cannot be read now (Input/output error){ending}"
    told = files.unreadable(tmp_path / "x", OSError("first\nsecond"))
    assert told == f"{tmp_path / 'x'} cannot be read now (first){ending}"
    hdf5 = RuntimeError("read failed: time = now\n, errno = 5, error message = 'x', offset = 8)")
    told = files.unreadable(tmp_path / "x", hdf5)
    assert told == f"{tmp_path / 'x'} cannot be read now (Input/output error){ending}"
    assert files.of_the_system(hdf5)


def test_the_system_is_told_from_hdf5() -> None:
    assert files.of_the_system(OSError(errno.EIO, "x"))
    assert files.of_the_system(OSError("read failed: errno = 11, error message = 'x'"))
    assert not files.of_the_system(OSError("file signature not found"))
    assert not files.of_the_system(OSError("errno = 0"))
    assert not files.of_the_system(OSError(errno.EINVAL, "bad seek in nonsense"))


def test_sentences_for_files_that_are_not_what_they_were(tmp_path: Path) -> None:
    anew = "run the same `featcache encode` or `import` again, it writes it anew."
    assert files.damaged(tmp_path, "why\nmore") == f"{tmp_path} is damaged (why); {anew}"
    assert files.damaged(tmp_path, "") == f"{tmp_path} is damaged (?); {anew}"
    assert files.missing(tmp_path) == f"{tmp_path} is listed in the manifest but missing; {anew}"
