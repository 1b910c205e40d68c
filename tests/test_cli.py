"""Both commands as people type them: the whole path, JSON, and one sentence for every mistake."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from adapters.registry import names
from adapters.unavailable import METHODS
from tests.typed import Type


@pytest.mark.parametrize("app", ["featcache", "adapters"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_every_command(type_in: Type, app: str, flag: str) -> None:
    overview = type_in(app, flag)
    assert overview.status == 0
    module = import_module(f"{app}.commands.app")
    commands = [c.name or c.callback.__name__ for c in module.app.registered_commands]
    for command in commands:
        answer = type_in(app, command, flag)
        assert answer.status == 0
        assert command in overview.out
        assert "--json" in answer.out
        assert "Example:" in answer.out


def test_bad_pictures_end_with_the_list_and_a_status(
    type_in: Type, pictures: Path, tiny_folder: Path
) -> None:
    (pictures / "red" / "3.png").write_text("no picture")
    line = f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} --views 0"
    answer = type_in(line)
    assert answer.status == 1
    assert "red/3.png" in answer.out
    assert "--allow-bad 1" in answer.err
    assert type_in(line, "--allow-bad", "1").status == 0


def test_listing_commands(filled: Type) -> None:
    assert filled("featcache ls --json").json[0]["dataset"]["name"] == "animals"
    assert filled("featcache info animals --json").json["complete"]
    assert list(filled("featcache verify --json").json.values()) == [[]]
    assert "animals" in filled("featcache ls").out
    assert {m["name"] for m in filled("adapters methods --json").json} == set(names())
    every = {m["name"]: m for m in filled("adapters methods --all --json").json}
    assert set(every) == {*names(), *METHODS}
    assert every["maple"]["numbers"][0]["protocol"]
    assert METHODS["maple"].reason.split(",")[0] in filled("adapters methods --all").out
    assert filled("adapters methods fma --json").json["settings"]
    assert "digits" in filled("featcache datasets").out
    exported = filled("featcache export animals --out out.npz --json")
    assert Path(exported.json["file"]).exists()


MISTAKES = [
    ("featcache encode --dataset digitz", "digits"),
    ("featcache encode --dataset eurosat", "--root"),
    ("featcache encode --dataset eurosat --root nowhere", "nowhere"),
    ("featcache encode --dataset ./nowhere", "nowhere"),
    ("featcache encode --dataset digits --backbone ViT-B/17", "ViT-B-16"),
    ("featcache encode --dataset digits --backbone ViT-B-16:opnai", "openai"),
    ("featcache encode --dataset digits --backbone local-dir:nowhere", "nowhere"),
    ("featcache encode --dataset digits --split trian", "train"),
    ("featcache encode --dataset digits --shard 3/2", "3/2"),
    ("featcache encode --dataset digits --shard two", "i/N"),
    ("featcache encode --dataset digits --views-for some", "few-shot"),
    ("featcache encode --dataset digits --precision fp64", "fp64"),
    ("featcache encode --dataset digits --prompts nowhere.txt", "nowhere.txt"),
    ("featcache import nowhere.npz --dataset x --backbone RN50", "nowhere.npz"),
    ("featcache info nothing", "animals"),
    ("featcache export animals --out out.csv", ".npz"),
    ("adapters fit --method tip-adaptor", "tip-adapter"),
    ("adapters fit --dataset animal", "animals"),
    ("adapters fit --backbone ViT-B/16", "hf-hub:made/narrow"),
    ("adapters fit --shots 11", "10 training"),
    ("adapters fit --shots 0", "at least 1"),
    ("adapters fit --shots 2 --policy best", "full-val"),
    ("adapters fit --shots 2 --policy transfer", "--transfer"),
    ("adapters fit --set block=3", "blocks"),
    ("adapters fit --set blocks=-3", "blocks"),
    ("adapters fit --set blocks=many", "blocks"),
    ("adapters fit --set blocks", "key=value"),
    ("adapters fit --set preset=fastest", "preset"),
    ("adapters fit --prompts cupl", "imported"),
    ("adapters evaluate nowhere", "adapters fit"),
    ("adapters sweep --method zero-shot,tip-adaptor", "tip-adapter"),
    ("adapters sweep --method fma --set block=2,3", "fma.blocks"),
    ("adapters sweep --shots 1,11", "10 training"),
    ("adapters sweep --shots few", "whole numbers"),
    ("adapters sweep --shard 3/2", "3 of 2"),
    ("adapters sweep --engine cloud", "slurm"),
    ("adapters sweep nowhere.yaml", "nowhere.yaml"),
    ("adapters sweep --set blocks=1..3", "--search"),
    ("adapters sweep --search tpe", "nothing to search"),
    ("adapters sweep --search tpe --shard 1/2", "--shard"),
    ("adapters sweep --search best", "random"),
    ("adapters sweep --stack always", "auto or on or off"),
    ("adapters results", "adapters sweep"),
    ("adapters results --format xml", "markdown"),
    ("adapters methods tip", "tip-adapter"),
    ("adapters methods maple", "both towers"),
    ("adapters fit --method maple", "both towers"),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_gets_one_clear_sentence(
    filled: Type, line: str, words: str, tiny_folder: Path
) -> None:
    if "encode" in line and "--backbone" not in line:
        line += f" --backbone local-dir:{tiny_folder}"
    answer = filled(line)
    assert answer.status == 1
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert words in answer.err


def test_a_damaged_cache_is_found_by_verify(filled: Type, tmp_path: Path) -> None:
    shard = next((tmp_path / "cache").rglob("images-test-00000.h5"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 8
    shard.write_bytes(content)
    answer = filled("featcache verify")
    assert answer.status == 1
    assert shard.name in answer.out


@pytest.mark.parametrize("line", ["featcache -h", "featcache ls", "adapters methods"])
def test_light_commands_do_not_import_torch(line: str, tmp_path: Path) -> None:
    command, *words = line.split()
    script = (
        f"import sys, cli; sys.argv = {[command, *words]!r}\n"
        f"try: cli.{command}()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'open_clip', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        stdout=subprocess.DEVNULL,
        env={"FEATCACHE_HOME": str(tmp_path), "PATH": ""},
    )
