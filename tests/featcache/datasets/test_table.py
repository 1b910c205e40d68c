"""The table of named data sets: every name told apart, nothing heavy loaded."""

from __future__ import annotations

import subprocess
import sys

from featcache.datasets.checks import slug
from featcache.datasets.table import names
from featcache.targets import targets_of


def test_every_name_is_told_apart() -> None:
    spellings = [s for info in names() for s in info.spellings]
    assert len(spellings) == len(set(spellings))
    few_shot = [info for info in names() if info.name in targets_of("imagenet", "transfers")]
    assert len(few_shot) == 10
    assert sum(info.train or 0 for info in few_shot) == 111_347
    assert sum(info.test or 0 for info in few_shot) == 83_696
    for info in names():
        assert all("{}" in template for template in info.templates)
        assert slug(info.name) == info.name


def test_the_list_of_sets_loads_nothing_heavy() -> None:
    code = "import sys; from featcache import dataset_names; dataset_names(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "sklearn", "PIL", "h5py"} & set(run.stdout.split())
