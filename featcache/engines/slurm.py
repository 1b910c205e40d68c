"""What hands tasks to Slurm, through submitit; or does them in local processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit

from featcache.errors import ConfigError

JOBS = 8  # tasks of a job array, where nothing was said
LOOK = 0.2  # seconds between two looks at the tasks, at first; a big cluster wants fewer
LOOK_MOST = 10.0
NAMES = {"time": "timeout_min", "memory": "mem_gb", "cpus": "cpus_per_task",
         "gpus": "gpus_per_node", "partition": "slurm_partition", "account": "slurm_account",
         "qos": "slurm_qos", "constraint": "slurm_constraint"}  # fmt: skip

# What submitit takes of each.
KINDS: dict[str, Any] = {"time": int, "memory": (int, float), "cpus": int, "gpus": int}


def executor(
    name: str, folder: Path, options: Mapping[str, Any], usual: Mapping[str, Any] | None = None
) -> Any:
    """An executor of submitit, whose tasks keep what they are and say in `folder`.

    `options` are `time` (minutes), `memory` (GB), `cpus`, `gpus`, `partition`, `account`, `qos`,
    `constraint`; `cluster=local` does the tasks on this machine; any other is passed to `sbatch`.
    `usual` holds where they say nothing. Raises `ConfigError` where there is no such cluster, and
    for values that are no numbers.
    """
    wanted = {"time": 60, "cpus": 1, **(usual or {}), **options}
    for key, kind in KINDS.items():
        if not isinstance(wanted.get(key, 1), kind):
            raise ConfigError(
                f"--slurm {key}={wanted[key]} is no number that is taken there; time is in whole "
                "minutes, memory in GB, cpus and gpus are counts."
            )
    cluster = str(wanted.pop("cluster", "slurm"))
    try:
        made = submitit.AutoExecutor(folder=folder / "%j", cluster=cluster)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"there is no cluster {cluster} here ({str(error).splitlines()[0]}); start this where "
            "`sbatch` is, or try it with --slurm cluster=local."
        ) from None
    made.update_parameters(
        name=name,
        **{NAMES[key]: value for key, value in wanted.items() if key in NAMES},
        slurm_additional_parameters={k: v for k, v in wanted.items() if k not in NAMES},
    )
    return made


@contextmanager
def submitting(made: Any) -> Iterator[None]:
    """What is submitted within is one job array; raises `ConfigError` where Slurm refuses it."""
    try:
        with made.batch():
            yield
    except submitit.core.utils.FailedJobError as error:
        last = (str(error).splitlines() or ["sbatch does not say why"])[-1]
        raise ConfigError(
            f"Slurm takes no such tasks ({last}); mend --slurm and run the same command again."
        ) from error
