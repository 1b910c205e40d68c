"""Pictures that belong to no data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache import embed
from featcache.backbones.backbone import Backbone
from featcache.errors import PictureError


def test_embed_names_the_file(tmp_path: Path, tiny: Backbone) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"")
    with pytest.raises(PictureError, match=r"x\.png"):
        embed(tiny, [path])
