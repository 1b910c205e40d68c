"""Which engines there are, and what is said of those that are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from featcache.engines import options as room
from featcache.engines.options import EngineOptions, made, of_encoding, slurm_words
from featcache.errors import ConfigError, UnknownNameError
from tests import frozen

PACKAGE = "featcache.encoding.engines"


def test_each_engine_of_an_encode_is_a_file_but_local() -> None:
    files = {path.stem for path in room.ENCODING.glob("*.py")} - {"__init__"}
    assert of_encoding() == sorted(["local", *files]) == ["local", "ray", "slurm"]


def test_what_is_not_said_is_the_engines_choice() -> None:
    plain = EngineOptions()
    assert (plain.name, plain.jobs, plain.device, plain.address) == ("local", 0, "auto", None)
    assert (plain.folder, plain.slurm) == (Path("runs/slurm"), {})


def test_an_unknown_engine_and_a_missing_library_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'cloud'; known are: local, ray, sl"):
        made(PACKAGE, of_encoding(), EngineOptions("cloud"))
    monkeypatch.setitem(sys.modules, "submitit", None)
    for module in (
        f"{PACKAGE}.slurm",
        "featcache.engines.slurm",
        "adapters.sweeping.engines.slurm",
    ):
        monkeypatch.delitem(sys.modules, module, raising=False)
    says = r"engine slurm needs submitit; install it with `pip install 'featcache\[slurm\]'`"
    for package in (PACKAGE, "adapters.sweeping.engines"):
        with pytest.raises(ConfigError, match=says):
            made(package, of_encoding(), EngineOptions("slurm"))


def test_options_of_another_engine_are_refused() -> None:
    says = "--{} is for --engine {}, and {} was asked for"
    for package, known, options, words in (
        (
            PACKAGE,
            of_encoding(),
            EngineOptions("ray", slurm={"time": 5}),
            ("slurm", "slurm", "ray"),
        ),
        (
            PACKAGE,
            of_encoding(),
            EngineOptions("slurm", address="x:1"),
            ("address", "ray", "slurm"),
        ),
        (
            "adapters.sweeping.engines",
            ["local"],
            EngineOptions(address="x:1"),
            ("address", "ray", "local"),
        ),
    ):
        with pytest.raises(ConfigError, match=says.format(*words)):
            made(package, known, options)


def test_values_are_numbers_where_they_look_like_such() -> None:
    words = ["time=90", "partition=gpu", "cluster=local", "exclusive=true", "comment=a=b"]
    assert slurm_words(words) == {
        "time": 90, "partition": "gpu", "cluster": "local", "exclusive": True, "comment": "a=b",
    }  # fmt: skip
    for wrong in ("gpu", "=1"):
        with pytest.raises(ConfigError, match="--slurm takes key=value such as time=60, got"):
            slurm_words([wrong])


def test_options_stay_as_they_were_given() -> None:
    assert frozen.thawed(room) == []
