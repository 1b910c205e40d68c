"""Both commands as people type them: the whole path, JSON, and one sentence for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cli
from adapters.compose import get
from adapters.registry import names
from adapters.unavailable import METHODS
from tests.adapters.entries import arrays


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Type = Callable[..., Answer]


@pytest.fixture
def type_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Type:
    """Type a command line in an empty folder with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATCACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FEATCACHE_DATA", raising=False)

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
    np.savez(tmp_path / "animals.npz", **arrays())
    assert type_in("featcache import animals.npz --dataset animals --backbone RN50").status == 0
    return type_in


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of eight pictures, reddish and bluish noise."""
    rng = np.random.default_rng(0)
    for name, tint in (("red", (255, 60, 60)), ("blue", (60, 60, 255))):
        folder = tmp_path / "mine" / name
        folder.mkdir(parents=True)
        for i in range(8):
            pixels = (rng.random((40, 50, 3)) * tint).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "mine"


@pytest.mark.parametrize("app", ["featcache", "adapters"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_every_command(type_in: Type, app: str, flag: str) -> None:
    overview = type_in(app, flag)
    assert overview.status == 0
    commands = [
        c.name or c.callback.__name__ for c in getattr(cli, f"{app}_app").registered_commands
    ]
    for command in commands:
        answer = type_in(app, command, flag)
        assert answer.status == 0
        assert command in overview.out
        assert "--json" in answer.out
        assert "Example:" in answer.out


def test_own_pictures_from_encode_to_predict(
    type_in: Type, pictures: Path, tiny_folder: Path
) -> None:
    encode = (
        f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} "
        "--views 2 --batch-size 8"
    )
    first = type_in(encode, "--json")
    assert first.status == 0
    assert first.json["encoded"] == 16
    assert first.json["complete"]
    again = type_in(encode)
    assert again.status == 0
    assert "Nothing to encode" in again.out

    fit = type_in("adapters fit --method tip-adapter --shots 2 --policy none --json")
    assert fit.status == 0
    document = fit.json
    wanted = {"method", "dataset", "backbone", "shots", "seed", "policy", "accuracy", "n_test",
              "fit_seconds", "hyperparameters", "adapter"}  # fmt: skip
    assert wanted <= document.keys()
    assert document["views"] == 2

    score = type_in("adapters evaluate --json", document["adapter"])
    assert score.json["accuracy"] == document["accuracy"]
    picture = str(pictures / "red" / "0.png")
    guess = type_in("adapters predict --json", document["adapter"], picture)
    assert guess.json[0]["classes"][0] in ("red", "blue")
    assert sum(guess.json[0]["scores"]) == pytest.approx(1)
    missing = type_in("adapters predict", document["adapter"], "nowhere.png")
    assert missing.status == 1
    assert "nowhere.png" in missing.err


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


def test_extras_from_encode_to_predict(type_in: Type, pictures: Path, tiny_folder: Path) -> None:
    encode = f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} --views 2"
    assert type_in(encode).status == 0
    fit = "adapters fit --shots 2 --policy none --json --method"
    refused = type_in(fit, "prolip")
    assert refused.status == 1
    assert "--extra pre-projection`" in refused.err
    wrong = type_in(encode, "--extra", "pre_projection")
    assert wrong.status == 1
    assert "known are: patches, pre-projection" in wrong.err

    more = type_in(encode, "--extra", "pre-projection,patches", "--json").json
    assert (more["encoded"], more["prompts"]) == (16, 0)
    assert type_in(encode, "--prompts", "negative").status == 0
    info = type_in("featcache info mine --json").json
    assert info["extras"].keys() == {"pre-projection", "patches"}
    listed = type_in("featcache ls").out
    assert "negative" in listed
    assert "pre-projection patches" in listed
    assert type_in("featcache verify").status == 0

    picture = str(pictures / "red" / "0.png")
    used = {
        "prolip": ["pre-projection"],
        "sgva": ["pre-projection"],
        "attn-adapter": ["patches"],
        "hegraph-adapter": ["negative prompts"],
        "tip-adapter": [],
        "sum:prolip+attn-adapter+tip-adapter": ["patches", "pre-projection"],
        "tip-adapter@prolip": ["pre-projection"],
    }
    for method, extras in used.items():
        row = type_in(fit, method).json
        assert row["extras"] == extras
        score = type_in("adapters evaluate --json", row["adapter"])
        assert score.json["accuracy"] == row["accuracy"]
        guess = type_in("adapters predict --json", row["adapter"], picture)
        assert guess.json[0]["classes"][0] in ("red", "blue")


@pytest.mark.parametrize("method", [name for name in names() if not get(name).needs])
def test_every_method_fits_and_evaluates(filled: Type, method: str) -> None:
    fit = filled(f"adapters fit --method {method} --shots 4 --json")
    assert fit.status == 0
    assert 0 <= fit.json["accuracy"] <= 100
    score = filled("adapters evaluate --json", fit.json["adapter"])
    assert score.json["accuracy"] == pytest.approx(fit.json["accuracy"])


def test_a_sweep_from_dry_run_to_table(filled: Type, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("method: [zero-shot, ncm]\nseed: [1, 2]\n")
    line = "adapters sweep grid.yaml --shots 1,2 --jobs 1 --json"
    assert filled(f"{line} --dry-run").json == {"runs": 8, "before": 0}
    first = filled(line).json
    assert (first["runs"], first["done"], first["failed"]) == (8, 8, 0)
    again = filled(line).json
    assert (again["before"], again["done"]) == (8, 0)
    rows = filled("adapters results --where method=ncm --where shots=2 --json").json
    assert [row["seed"] for row in rows] == [1, 2]
    assert "zero-shot" in filled("adapters results").out
    assert filled("adapters results --format markdown").out.count("\n") == 2 + 8
    assert filled("adapters results --out rows.csv").status == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 8
    fit = filled("adapters fit --method ncm --shots 2 --json").json
    assert fit["run"] in {row["run"] for row in rows}
    assert len(filled("adapters results --json").json) == 8


def test_a_sweep_with_failures_says_so_at_the_end(
    filled: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.sweeping.worker import Worker

    def breaks(worker: Worker, run: Any) -> Any:
        raise MemoryError("no more")

    monkeypatch.setattr(Worker, "_rows", breaks)
    answer = filled("adapters sweep --method zero-shot --shots 1,2 --jobs 1 --json")
    assert answer.status == 1
    assert answer.json["failed"] == 2
    assert answer.err.splitlines()[-1].startswith("error: 2 of 2 runs failed")
    rows = filled("adapters results --where status=failed --json").json
    assert {row["reason"] for row in rows} == {"MemoryError: no more"}


def test_ctrl_c_ends_a_sweep_and_keeps_its_rows(filled: Type, tmp_path: Path) -> None:
    import os
    import signal
    import time

    from adapters.results import Results

    # Fits of a tenth of a second, so that the sweep is not over before the signal comes.
    command = [sys.executable, "-c", "import cli; cli.adapters()", "sweep", "--method", "taskres"]
    command += ["--shots", "1,2,3,4,5,6,7,8", "--seed", ",".join(map(str, range(100)))]
    command += ["--stack", "off"]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent)}
    driver = subprocess.Popen(
        [*command, "--jobs", "1"], env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    results = Results(tmp_path / "runs" / "results.sqlite")
    while driver.poll() is None and (not results.path.exists() or len(results.frame()) < 5):
        time.sleep(0.01)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate()
    assert driver.returncode == 130
    assert said == "stopped; run the same command again to go on.\n"
    frame = results.frame()
    assert 5 <= len(frame) < 800
    assert set(frame["status"]) == {"done"}


def test_the_same_command_gives_the_same_adapter(filled: Type) -> None:
    folders = [
        Path(filled(f"adapters fit --method fma --shots 2 --out {out} --json").json["adapter"])
        for out in ("a", "b")
    ]
    first, second = ((f / "adapter.safetensors").read_bytes() for f in folders)
    assert first == second


def test_listing_commands(filled: Type) -> None:
    assert filled("featcache ls --json").json[0]["dataset"]["name"] == "animals"
    assert filled("featcache info animals --json").json["complete"]
    assert list(filled("featcache verify --json").json.values()) == [[]]
    assert "animals" in filled("featcache ls").out
    assert {m["name"] for m in filled("adapters methods --json").json} == set(names())
    every = {m["name"]: m for m in filled("adapters methods --all --json").json}
    assert set(every) == {*names(), *METHODS}
    assert every["coop"]["numbers"][0]["protocol"]
    assert METHODS["coop"].reason.split(",")[0] in filled("adapters methods --all").out
    assert filled("adapters methods fma --json").json["settings"]
    assert "digits" in filled("featcache datasets").out
    exported = filled("featcache export animals --out out.npz --json")
    assert Path(exported.json["file"]).exists()


def test_an_imported_backbone_is_taken_by_any_spelling(filled: Type) -> None:
    assert filled("adapters fit --method zero-shot --backbone rn50 --shots 1").status == 0


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
    ("adapters fit --backbone ViT-B/16", "RN50"),
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
    ("adapters fit --method coop", "text tower"),
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


def test_an_empty_cache_says_how_to_fill_it(type_in: Type) -> None:
    answer = type_in("adapters fit")
    assert answer.status == 1
    assert "featcache encode" in answer.err
    assert type_in("featcache ls").status == 0


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


def test_report_and_flow(filled: Type, tmp_path: Path) -> None:
    for method in ("zero-shot", "fma --set steps=10", "gda"):
        assert filled(f"adapters fit --method {method} --shots 2").status == 0
    answer = filled("adapters report --out paper --baseline gda --where shots=2 --json")
    assert answer.status == 0
    assert answer.json == {
        "page": "paper/report.html", "runs": 3, "failed": 0, "superseded": 0,
    }  # fmt: skip
    assert (tmp_path / "paper" / "report.html").stat().st_size > 500_000
    folder = next(tmp_path.glob("runs/*-fma-*"))
    answer = filled(f"adapters plot flow {folder} --out flow.svg --json")
    assert answer.status == 0
    assert len(answer.json["accuracy"]) == 11
    assert "<svg" in (tmp_path / "flow.svg").read_text()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("adapters report", "there is no results file runs/results.sqlite"),
        ("adapters report --results there.sqlite --where x", "--where takes column=value"),
        ("adapters report --results there.sqlite --baseline gdb", "unknown baseline 'gdb'"),
        ("adapters report --results there.sqlite --where seed=9", "holds no finished run"),
        ("adapters plot flow nowhere", "holds no adapter"),
        ("adapters plot flow plain", "gda has no flow"),
        ("adapters plot flow moving --out flow.gif", "is no picture"),
    ],
)
def test_mistakes_in_reports_are_one_sentence(
    filled: Type, tmp_path: Path, line: str, reason: str
) -> None:
    for method, folder in (("gda", "plain"), ("node-adapter", "moving")):
        fitted = filled(f"adapters fit --method {method} --shots 2 --policy none --json")
        Path(fitted.json["adapter"]).rename(tmp_path / folder)
    (tmp_path / "runs" / "results.sqlite").rename(tmp_path / "there.sqlite")
    answer = filled(line)
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert reason in answer.err
    assert answer.err.count("\n") == 1
