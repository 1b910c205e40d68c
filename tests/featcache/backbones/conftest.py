"""The tiny folder and its model; here it wants QuickGELU, unlike the fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.backbones.backbone import Backbone, load
from tests.featcache.backbones.models import write_folder


@pytest.fixture(scope="module")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def backbone(quick_folder: Path) -> Backbone:
    return load(f"local-dir:{quick_folder}", device="cpu")
