"""Whether a file of a stranger may be opened: sizes and names are looked at before memory is taken.

An archive says in its directory how large its members are, and an array in its header of what shape
it is. Both must fit each other and the file itself. The pickle inside a torch file is read opcode
by opcode, without running any, and may name tensors and nothing else.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from featcache.errors import ImportRefusedError

LARGE = 2**26  # bytes of an array from which it is mapped rather than read
FREE = 2**30  # bytes that an archive may unfold to, however small it is: one-hot labels fold well
UNFOLDING = 16  # times its size beyond that: numbers of features hardly fold
MEMBERS = 10_000
DIRECTORY = 2**26  # bytes of the pickle that says what lies where: 64 MiB are a million names
OF_TENSORS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch (\w+Storage|Size)"
)


def check_npz(path: Path) -> None:
    """Raise `ImportRefusedError` where an `.npz` holds pickles, unfolds too far, or lies."""
    with zipfile.ZipFile(path) as archive:
        members = _members(path, archive)
        for each in members:
            with archive.open(each) as file:
                _check_header(f"{path}: {each.filename}", file, each.file_size)


def check_npy(path: Path) -> None:
    """Raise `ImportRefusedError` where an `.npy` is a pickle, or its header says another size."""
    with path.open("rb") as file:
        _check_header(str(path), file, path.stat().st_size)


def check_torch(path: Path) -> list[int]:
    """The sizes in bytes of the arrays of numbers in a torch file.

    Raises `ImportRefusedError` where it is no zip archive, was written by something else than torch
    or holds anything but tensors, lists, dicts, numbers and text.
    """
    if not zipfile.is_zipfile(path):
        raise ImportRefusedError(
            f"{path} is no archive as torch writes since 1.6, and older files are pickles, which "
            "can run anything; load it where it was made and save its tensors anew."
        )
    with zipfile.ZipFile(path) as archive:
        members = _members(path, archive)
        names = [each.filename for each in members]
        packed = [each for each in members if each.compress_type != zipfile.ZIP_STORED]
        pickles = [each for each in members if each.filename.endswith("/data.pkl")]
        if packed or len(pickles) != 1 or len(set(names)) != len(names):
            raise ImportRefusedError(
                f"{path} is no archive that torch has written; save its tensors anew."
            )
        if pickles[0].file_size > DIRECTORY:
            raise ImportRefusedError(f"{path}: its list of contents has over {DIRECTORY} bytes.")
        _check_pickle(path, archive.read(pickles[0]))
    return [each.file_size for each in members if re.search(r"/data/\d+$", each.filename)]


def check_storages(path: Path, tensors: Sequence[Any], sizes: Sequence[int]) -> None:
    """Raise `ImportRefusedError` where a tensor is larger than the bytes that the file has for it.

    `sizes` are those of `check_torch`. Looks at shapes alone.
    """
    there = Counter(sizes)
    held = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    for each in tensors:
        storage = each.untyped_storage()
        if each.numel() * each.element_size() > storage.nbytes():
            raise _lies(str(path), list(each.shape), storage.nbytes())
    for size, many in Counter(size for size in held.values() if size).items():
        if many > there[size]:
            raise _lies(str(path), f"{size} bytes", max(sizes, default=0))


def _lies(where: str, told: object, there: int) -> ImportRefusedError:
    return ImportRefusedError(
        f"{where} tells of {told} and has {there} bytes for it; it is damaged or was tampered "
        "with, get it anew."
    )


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members, size = archive.infolist(), path.stat().st_size
    unfolded = sum(each.file_size for each in members)
    folded = sum(each.compress_size for each in members)
    if len(members) > MEMBERS or folded > size or unfolded > max(FREE, UNFOLDING * size):
        raise ImportRefusedError(
            f"{path} has {size} bytes and claims to unfold to {unfolded} in {len(members)} parts, "
            "which no feature file does; it is not opened."
        )
    return members


def _check_header(where: str, file: IO[bytes], size: int) -> None:
    """Compare the shape in an array's header with the bytes behind it."""
    fmt: Any = np.lib.format
    start = file.read(fmt.MAGIC_LEN)
    version = fmt.read_magic(io.BytesIO(start))
    read = fmt.read_array_header_1_0 if version == (1, 0) else fmt.read_array_header_2_0
    counted = _Counted(file)
    shape, _, dtype = read(counted)
    if dtype.hasobject:
        raise ImportRefusedError(
            f"{where} holds Python objects, which only a pickle could keep, and pickles can run "
            "anything; save numbers and text as arrays of their own."
        )
    there = size - len(start) - counted.read_so_far
    if math.prod(shape) * dtype.itemsize != there:
        raise _lies(where, f"{dtype} {list(shape)}", there)


class _Counted:
    """A file that knows how much of it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.read_so_far = file, 0

    def read(self, size: int = -1) -> bytes:
        found = self.file.read(size)
        self.read_so_far += len(found)
        return found


def _check_pickle(path: Path, content: bytes) -> None:
    """Read the opcodes; whatever would call something else than a tensor's making is refused."""
    text: list[str] = []
    for code, argument, _ in pickletools.genops(content):
        if code.name == "STACK_GLOBAL":  # torch writes protocol 2, which has none
            named = " ".join(text[-2:])
        elif code.name in ("GLOBAL", "INST"):
            named = str(argument)
        else:
            text = [*text[-1:], argument] if isinstance(argument, str) else text
            continue
        if not OF_TENSORS.fullmatch(named):
            raise ImportRefusedError(
                f"{path} holds a pickled {named.replace(' ', '.')}, which only running it could "
                "read; features are tensors: save its `state_dict()` or the tensors themselves."
            )
