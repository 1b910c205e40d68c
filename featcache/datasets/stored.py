"""Pictures that lie within larger files: as they are in an archive, or in a cell of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featcache.errors import PictureError


@dataclass(frozen=True, slots=True)
class Part:
    """So many bytes of a file from an offset on, such as a member of a tar archive."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """The bytes; raises OSError, or PictureError where the file has become shorter."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise PictureError(f"lies beyond the end of {self.file.name}.")
        return content


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that were read from a file already, for one who would read much beside them."""

    file: Path
    content: bytes

    def read(self) -> bytes:
        """The bytes."""
        return self.content
