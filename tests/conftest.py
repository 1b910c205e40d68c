"""What several tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.typed import Answer, Type

# Before torch is loaded: threads of several test processes wait for each other, actively, and what
# is tested is small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from featcache.backbones.backbone import Backbone

LONG = ("test_docs.py", "test_examples.py", "test_slurm.py", "test_build.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first: of several processes none is left with it at the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data that is no part of the project: `../shared/data` or FEATCACHE_SHARED."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FEATCACHE_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data: there is no {folder}")
    return folder


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of small inputs that go wrong, no part of the project: `../shared/cases`."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FEATCACHE_SHARED", beside)).parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no cases: there is no {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip model folder with random weights: 32-pixel ViT, width 32, real tokenizer."""
    import json

    import open_clip
    import torch
    from safetensors.torch import save_file

    config = {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "patch_size": 8,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic"}
    document = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Backbone:
    """The model of `tiny_folder`, loaded on the CPU."""
    from featcache import load_backbone

    return load_backbone(f"local-dir:{tiny_folder}", device="cpu", precision="fp32")


@pytest.fixture
def type_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Type:
    """Type a command line in an empty folder with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATCACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FEATCACHE_DATA", raising=False)

    import cli

    def run(line: str, *more: str) -> Answer:
        command, *words = [*line.split(), *more]
        monkeypatch.setattr(sys, "argv", [command, *words])
        capsys.readouterr()
        status = 0
        try:
            getattr(cli, command)()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Answer(status, captured.out, captured.err)

    return run


@pytest.fixture
def filled(type_in: Type, tmp_path: Path) -> Type:
    """The same with a small imported data set, `animals`, in the cache."""
    import numpy as np

    from tests.entries import NARROW, arrays

    np.savez(tmp_path / "animals.npz", **arrays())
    line = f"featcache import animals.npz --dataset animals --backbone {NARROW}"
    assert type_in(line).status == 0
    return type_in


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of eight pictures, reddish and bluish noise."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, tint in (("red", (255, 60, 60)), ("blue", (60, 60, 255))):
        folder = tmp_path / "mine" / name
        folder.mkdir(parents=True)
        for i in range(8):
            pixels = (rng.random((40, 50, 3)) * tint).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "mine"
