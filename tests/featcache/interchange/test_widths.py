"""Widths of backbones that are not loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from featcache.backbones.backbone import Backbone
from featcache.backbones.names import BackboneName, parse
from featcache.interchange.widths import width

# CLIP's published widths (Radford et al. 2021, table 19 and 20).
PUBLISHED = {
    "RN50": 1024, "RN101": 512, "RN50x4": 640, "RN50x16": 768, "RN50x64": 1024,
    "ViT-B/32": 512, "ViT-B/16": 512, "ViT-L/14": 768, "ViT-L/14@336px": 768, "demo": 128,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_widths(name: str) -> None:
    assert width(parse(name)) == PUBLISHED[name]


def test_a_model_folder_says_it_itself(tiny_folder: Path, tiny: Backbone) -> None:
    assert width(parse(f"local-dir:{tiny_folder}")) == 32


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_cfg": {"embed_dim": "wide"}}'])
def test_what_says_nothing_is_not_known(tmp_path: Path, content: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    assert width(parse(f"local-dir:{tmp_path}")) is None
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"embed_dim": 7}))
    assert width(parse(f"local-dir:{tmp_path}")) == 7
    assert width(BackboneName("hf-hub:made/narrow")) is None
    assert width(BackboneName("local-dir:nowhere")) is None


def test_open_clip_is_not_imported() -> None:
    code = (
        "import sys\nfrom featcache.backbones.names import parse\n"
        "from featcache.interchange.widths import width\n"
        "assert width(parse('RN50')) == 1024\nassert 'open_clip' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
