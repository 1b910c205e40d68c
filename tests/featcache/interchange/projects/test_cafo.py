"""CaFo: CLIP's part alone, and what is left is said."""

from __future__ import annotations

from pathlib import Path

from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def test_dino_is_left(tmp_path: Path) -> None:
    held = layouts.cafo(tmp_path)
    offer = look([held.folder], "pets", NARROW, Said())
    assert offer.left == ("dino_keys_2shots.pt",)
    assert any("DINO" in remark for remark in offer.taken.remarks)
    (held.folder / "dino_keys_2shots.pt").unlink()
    assert not any("DINO" in r for r in look([tmp_path], "pets", NARROW, Said()).taken.remarks)
