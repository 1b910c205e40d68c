"""How submitit is asked for a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.engines.options import slurm_words
from featcache.errors import ConfigError

pytest.importorskip("submitit")


def refusing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Slurm that takes no task."""
    for name in ("sbatch", "srun"):
        script = folder / name
        script.write_text(
            "#!/bin/sh\necho refused >&2\necho sbatch: error: no partition x >&2\nexit 1\n"
        )
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_cluster_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featcache.engines.slurm import executor

    monkeypatch.setenv("PATH", str(tmp_path))
    for options in ({}, {"cluster": "moon"}):
        named = options.get("cluster", "slurm")
        with pytest.raises(ConfigError, match=f"no cluster {named} here.*--slurm cluster=local"):
            executor("name", tmp_path, options)


@pytest.mark.parametrize(
    "word",
    ["time=02:00:00", "time=abc", "time=1.5", "time=", "memory=16GB", "gpus=a100:1", "cpus=0.5"],
)
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, word: str) -> None:
    from featcache.engines.slurm import executor

    with pytest.raises(ConfigError, match=f"^--slurm {word} is no number.*memory in GB"):
        executor("name", tmp_path, slurm_words([word, "cluster=local"]))
    executor("name", tmp_path, slurm_words(["memory=1.5", "time=5", "cluster=local"]))


def test_what_is_usual_gives_way_to_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what submitit would hand to `sbatch`."""
    from featcache.engines.slurm import executor

    (tmp_path / "srun").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    usual = {"gpus": 1, "requeue": True}
    made = executor("mine", tmp_path / "jobs", {"gpus": 2, "nice": 5}, usual)
    text = made._executor._make_submission_file_text("command", "uid")
    told = {line.removeprefix("#SBATCH --") for line in text.splitlines() if "#SBATCH" in line}
    assert {"gpus-per-node=2", "nice=5", "requeue", "job-name=mine", "time=60"} <= told
    assert "cpus-per-task=1" in told
