"""Default targets: names that the table knows, told without anything heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from featcache.datasets.table import names
from featcache.targets import KINDS, targets_of


def test_what_is_named_is_in_the_table_and_can_be_scored() -> None:
    known = {info.name: info for info in names()}
    for source in known.values():
        for kind in KINDS:
            found = targets_of(source.name, kind)
            assert found == getattr(source, kind)
            assert source.name not in found
            assert len(set(found)) == len(found)
            assert all(known[name].test or known[name].pictures for name in found)


def test_the_fields_own_targets() -> None:
    variants = ("imagenet-v2", "imagenet-sketch", "imagenet-a", "imagenet-r")
    assert targets_of("imagenet", "targets") == variants
    few_shot = [i.name for i in names() if i.folder and i.train and i.val]
    assert targets_of("imagenet", "transfers") == tuple(few_shot)
    assert len(few_shot) == 10
    assert targets_of("shapes", "transfers") == ("digits",)


def test_a_set_without_customs_has_none_and_another_kind_is_refused() -> None:
    assert targets_of("dtd", "targets") == targets_of("my-own", "transfers") == ()
    with pytest.raises(ValueError, match="targets or transfers, not domains"):
        targets_of("imagenet", "domains")


def test_it_loads_nothing_heavy() -> None:
    code = "import sys; from featcache.targets import targets_of as t; t('imagenet', 'targets')"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"torch", "numpy", "PIL", "h5py", "featcache.datasets"} & set(run.stdout.split())
