"""Which formats of pictures are read, and the endings of their files, as far as Pillow has them."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module

# Still pictures alone, whose decoders run no other program and fetch no other file (as those of
# EPS and WMF do); what a file is, is told by its first bytes and never by its name.
ALLOWED = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"),
    *("AVIF", "JPEG2000", "HEIF", "QOI", "DIB"),
)


@cache
def formats() -> tuple[str, ...]:
    """The allowed formats that the installed Pillow opens, plug-ins for HEIC and AVIF with it."""
    from PIL import Image

    with suppress(ImportError):
        import_module("pillow_avif")  # for Pillow before 11.3; to import it is to register it
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in ALLOWED if name in Image.OPEN)


@cache
def suffixes() -> tuple[str, ...]:
    """The endings of files in these formats, in lower case and sorted."""
    from PIL import Image

    known = (*formats(), "MPO")  # opened as JPEG, with an ending of its own
    return tuple(
        sorted(end for end, name in Image.registered_extensions().items() if name in known)
    )
