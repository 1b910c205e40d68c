"""Places that take nothing: a full device, a closed stream, a home that is no folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.trust.faults import one_sentence
from tests.trust.warm import ROOT
from tests.typed import Type

FULL = Path("/dev/full")  # every write to it fails for want of space
needs_full = pytest.mark.skipif(not FULL.exists(), reason=f"there is no {FULL}")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `featcache` and `adapters` are this tree's."""
    functions = "".join(
        f"{app}() {{ '{sys.executable}' -c 'import cli; cli.{app}()' \"$@\"; }}\n"
        for app in ("featcache", "adapters")
    )
    return subprocess.run(
        ["sh", "-c", functions + line],
        cwd=folder,
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "FEATCACHE_HOME": str(folder / "cache"),
        },
    )


@needs_full
@pytest.mark.parametrize(
    "line",
    ["featcache ls", "featcache ls --json", "adapters methods", "adapters -h", "featcache ls -h"],
)
def test_output_that_a_device_does_not_take_is_told(line: str, tmp_path: Path) -> None:
    ended = shell(f"{line} >{FULL}", tmp_path)
    assert ended.returncode == 1
    told = ended.stderr.splitlines()[-1]  # below what --json has for people
    assert one_sentence(told)
    assert "No space left on device" in told
    assert "Traceback" not in ended.stderr


@needs_full
@pytest.mark.parametrize("line", ["featcache ls", "featcache info nothing"])
def test_where_nothing_can_be_told_the_status_tells(line: str, tmp_path: Path) -> None:
    assert shell(f"{line} >{FULL} 2>{FULL}", tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("featcache ls >&-", 0),
        ("featcache ls --json >&- 2>&- <&-", 0),
        ("featcache info nothing >&- 2>&-", 1),
    ],
)
def test_closed_streams_lead_nowhere(line: str, status: int, tmp_path: Path) -> None:
    ended = shell(line, tmp_path)
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    ended = shell("adapters methods | true; featcache datasets | head -1", tmp_path)
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert ended.stdout.startswith("name")


def test_a_dumb_terminal_is_one(tmp_path: Path) -> None:
    ended = shell("TERM=dumb featcache ls", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


IMPORT = "featcache import animals.npz --dataset again --backbone hf-hub:made/narrow"
REFUSED = [
    f"{IMPORT} --cache animals.npz",
    f"{IMPORT} --cache animals.npz/deeper",
    "featcache ls --cache animals.npz",
    "featcache verify --cache animals.npz",
    "featcache gc --cache animals.npz",
    "featcache encode --dataset digits --cache animals.npz",
    "adapters fit --cache animals.npz",
    "featcache ls --cache ~nobody-of-that-name/cache",
    "featcache export animals --out animals.npz/out.npz",
    "adapters fit --method zero-shot --shots 1 --out animals.npz",
    "adapters fit --method zero-shot --shots 1 --results animals.npz/r.sqlite",
    "adapters sweep --method zero-shot --shots 1 --results animals.npz/r.sqlite",
]


@pytest.mark.parametrize("line", REFUSED)
def test_a_folder_that_is_a_file_is_told(filled: Type, line: str) -> None:
    """Not even its superuser can write there, so that this holds for permissions too."""
    ended = filled(line)
    assert ended.status == 1
    assert one_sentence(ended.err)
    assert ended.out == ""


@pytest.mark.parametrize("home", ["animals.npz", "animals.npz/home"])
def test_a_home_that_is_no_folder_hinders_no_reading(
    filled: Type, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(Path(home).absolute()))
    assert filled("featcache ls").status == 0
    assert filled("adapters fit --method zero-shot --shots 1").status == 0
    monkeypatch.delenv("FEATCACHE_HOME")
    ended = filled(IMPORT)
    assert ended.status == 1
    assert one_sentence(ended.err)


@needs_full
@pytest.mark.parametrize("results", [str(FULL), "/proc/results.sqlite"])
def test_results_that_cannot_be_kept_are_told(filled: Type, results: str) -> None:
    ended = filled(f"adapters fit --method zero-shot --shots 1 --results {results}")
    assert ended.status == 1
    assert one_sentence(ended.err)
