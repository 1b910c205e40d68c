"""The commands as their users meet them: help, documents, and what is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from featcache.commands.app import app
from featcache.errors import FeatcacheError
from tests.entries import arrays, make_entry

NAMES = ["encode", "ls", "info", "verify", "datasets", "backbones", "import", "export"]


def run(*words: str) -> str:
    """What a command prints to standard output; its own errors are raised."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def document(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEATCACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "cache"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(name: str, flag: str) -> None:
    text = run(name, flag)
    assert "Example: featcache" in text
    assert "--json" in text
    assert name in run(flag)


def test_the_commands_are_these() -> None:
    assert [c.name or c.callback.__name__ for c in app.registered_commands] == NAMES  # type: ignore[union-attr]


def test_an_empty_cache_says_how_to_fill_it(cache: Path) -> None:
    assert run("ls") == f"The cache {cache} is empty; `featcache encode` fills it.\n"
    assert document("ls") == []


def test_what_is_cached_is_listed_described_and_verified(cache: Path, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    listed = document("ls")
    assert listed == [document("info", "animals")]
    assert listed[0]["key"] == entry.key
    assert listed[0]["encoded"] == {"train": 30, "val": 15, "test": 21}
    assert listed[0]["bytes"] == entry.bytes
    assert listed[0]["complete"] is True
    assert not {"shards", "format"} & listed[0].keys()
    heads, _, row, *_ = run("ls").splitlines()
    assert heads.split() == ["key", "rows", "prompts", "size"]
    assert row.split()[:5] == [entry.key, "train:30", "val:15", "test:21", "imported"]
    assert f"key  {entry.key}" in run("info", entry.key)
    assert document("verify") == {entry.key: []}
    assert run("verify", "animals") == f"{entry.key}: sound\n"


def test_verify_lists_problems_and_fails(cache: Path, tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    (entry.folder / "images-test-00000.h5").unlink()
    result = CliRunner().invoke(app, ["verify"])
    assert isinstance(result.exception, FeatcacheError)
    assert "images-test-00000.h5 is listed in the manifest but missing" in result.stdout


def test_files_go_in_and_out(cache: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays({"train": 6, "test": 3}))
    told = run("import", str(tmp_path / "a.npz"), "--dataset", "pets", "--backbone", "RN50")
    assert told.startswith("Imported 6 train, 3 test rows of 3 classes: pets/RN50-quickgelu_openai")
    out = tmp_path / "out.safetensors"
    found = document("export", "pets", "--out", str(out))
    assert found["file"] == str(out)
    assert out.exists()
    assert run("export", "pets", "--out", str(out)) == f"Wrote {out} from {found['key']}.\n"


def test_names_are_listed() -> None:
    assert "digits" in {row["name"] for row in document("datasets")}
    assert "eurosat" in run("datasets")
    found = document("backbones", "vit-b/16-siglip:")
    assert found == [{"model": "ViT-B-16-SigLIP", "pretrained": "webli"}]
    assert document("backbones", "demo") == [{"model": "demo", "pretrained": ""}]


def test_own_pictures_are_encoded_once(cache: Path, tmp_path: Path, tiny_folder: Path) -> None:
    from PIL import Image

    for name in ("red", "blue"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (40, 30), name).save(tmp_path / "mine" / name / f"{i}.png")
    words = ["encode", "--dataset", str(tmp_path / "mine"), "--views", "2", "--batch-size", "4"]
    words += ["--backbone", f"local-dir:{tiny_folder}", "--extra", "pre-projection"]
    first = document(*words)
    assert (first["encoded"], first["skipped"], first["prompts"]) == (8, 0, 2)
    assert first["complete"] is True
    assert first["bad"] == []
    again = run(*words)
    assert again.startswith("Nothing to encode: all 8 pictures asked for are cached.\n")
    assert again.splitlines()[1] == first["key"]
    (tmp_path / "mine" / "red" / "0.png").write_text("no picture")
    result = CliRunner().invoke(app, [*words, "--cache", str(tmp_path / "other")])
    assert isinstance(result.exception, FeatcacheError)
    assert "--allow-bad 1" in str(result.exception)
    assert "bad picture red/0.png: the picture is no picture of a known kind" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dataset", "digits", "--shard", "two"], "--shard takes i/N"),
        (["--dataset", "digits", "--views-for", "some"], "--views-for takes few-shot or all"),
        (["--dataset", "digitz"], "digits"),
    ],
)
def test_mistakes_are_found_before_a_model_is_loaded(words: list[str], told: str) -> None:
    with pytest.raises(FeatcacheError, match=told):
        run("encode", *words, "--backbone", "local-dir:nowhere")


def test_help_and_listing_import_nothing_heavy(cache: Path) -> None:
    script = (
        "import sys\nfrom featcache.commands.app import app\n"
        "try: app(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'open_clip', 'pandas', 'numpy', 'h5py'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for words in (["-h"], ["encode", "-h"], ["ls"], ["datasets"]):
        command = [sys.executable, "-c", script, *words]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
