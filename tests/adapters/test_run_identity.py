"""What makes two runs the same run, and what does not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import registry, run_identity
from adapters.compose import get
from adapters.experiment import Experiment
from adapters.fitting import run
from adapters.run_identity import (
    _imports,
    code_version,
    run_id,
)
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, reload
from featcache.store.writing import put_text
from tests.entries import CLASSES, WIDTH, make_entry

BASE = Experiment("tip-adapter", shots=2, seed=1)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return make_entry(tmp_path_factory.mktemp("two"), name="beasts")


DIFFERENT: list[dict[str, Any]] = [
    {"method": "gda"},
    {"shots": 1},
    {"seed": 2},
    {"policy": "full-val"},
    {"settings": {"alpha": 2.0}},
]


@pytest.mark.parametrize("change", DIFFERENT, ids=str)
def test_every_part_of_an_experiment_makes_another_run(entry: Entry, change: Any) -> None:
    assert run_id(entry, replace(BASE, **change)) != run_id(entry, BASE)


def test_features_tasks_prompts_and_sources_make_another_run(entry: Entry, other: Entry) -> None:
    transfer = replace(BASE, policy="transfer", transfer=entry)
    found = [
        run_id(entry, BASE),
        run_id(other, BASE),
        run_id(entry, replace(BASE, task="base-to-new")),
        run_id(entry, transfer),
        run_id(entry, replace(transfer, transfer=other)),
    ]
    assert len(set(found)) == len(found)


def test_new_prompts_under_the_same_name_make_another_run(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    before = run_id(entry, BASE)
    prompts = [[f"prompt {c}"] for c in range(CLASSES)]
    put_text(entry, entry.banks[-1], np.eye(CLASSES, WIDTH), prompts)
    assert run_id(reload(entry), BASE) != before


def test_a_default_that_is_spelt_out_is_the_same_run(entry: Entry) -> None:
    fma = Experiment("fma", 2, 1)
    assert run_id(entry, replace(fma, settings={"blocks": 3})) == run_id(entry, fma)
    assert run_id(entry, replace(fma, settings={"fma.blocks": 3})) == run_id(entry, fma)
    assert run_id(entry, replace(fma, settings={"blocks": 2})) != run_id(entry, fma)
    asked = {"preset": "paper", "epochs": 200}
    assert run_id(entry, replace(fma, settings=asked)) == run_id(
        entry, replace(fma, settings={"preset": "paper"})
    )


def test_a_default_that_the_policy_would_have_chosen_is_another_run(entry: Entry) -> None:
    """Given by hand it stays 7; left out it is chosen on validation, unless nothing is chosen."""
    for method, key in (("fma", "inference_steps"), ("fma@taskres", "fma.inference_steps")):
        free = Experiment(method, 2, 1)
        held = replace(free, settings={key: 7})
        assert run_id(entry, held) != run_id(entry, free)
        assert run_id(entry, replace(held, policy="none")) == run_id(
            entry, replace(free, policy="none")
        )


def test_the_row_carries_the_id_that_was_foreseen(entry: Entry) -> None:
    assert run(entry, BASE).row["run"] == run_id(entry, BASE)
    halves = replace(BASE, method="zero-shot", task="base-to-new")
    assert {row["run"] for row in run(entry, halves).rows} == {run_id(entry, halves)}


def test_a_changed_maths_room_makes_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of a method changes with the modules it imports, and with no others."""
    home = tmp_path / "adapters"
    (home / "methods").mkdir(parents=True)
    (home / "maths").mkdir()
    (home / "tasks").mkdir()
    (home / "methods" / "mine.py").write_text("from adapters import near\nimport adapters.far\n")
    (home / "near.py").write_text("from adapters.maths import deep\n")
    (home / "tasks" / "few_shot.py").write_text("from adapters.draws import x\n")
    for name in ("far", "maths/deep", "draws", "stranger"):
        (home / f"{name}.py").write_text("x = 1\n")
    monkeypatch.setattr(run_identity, "HERE", home)
    monkeypatch.setattr(registry, "METHODS", home / "methods")
    monkeypatch.setattr(registry, "TASKS", home / "tasks")

    def version() -> str:
        _forget()
        return run_identity.code_version("mine", "few-shot")

    try:
        before = version()
        assert version() == before
        assert len(before) == 8
        seen = ("methods/mine", "near", "far", "maths/deep", "tasks/few_shot", "draws")
        for name, changes in (("stranger", False), *((each, True) for each in seen)):
            path = home / f"{name}.py"
            content = path.read_text()
            path.write_text(content + "x = 2\n")
            assert (version() != before) is changes, name
            path.write_text(content)
    finally:
        monkeypatch.undo()
        _forget()


def _forget() -> None:
    run_identity.code_version.cache_clear()
    run_identity._imports.cache_clear()


def test_the_version_of_fma_covers_its_flows() -> None:
    found = {path.name for path in run_identity._imports(registry.file("fma"))}
    assert {"flows.py", "training.py", "closed_flow.py", "odes.py"} <= found


def test_an_id_is_the_same_in_another_process(entry: Entry) -> None:
    import subprocess
    import sys

    script = (
        "import sys\nfrom pathlib import Path\nfrom adapters.experiment import Experiment\n"
        "from adapters.run_identity import run_id\nfrom featcache import FeatureCache\n"
        "entry = FeatureCache(Path(sys.argv[1])).find()\n"
        "print(run_id(entry, Experiment('tip-adapter', shots=2, seed=1)), end='')"
    )
    root = entry.folder.parents[2]
    assert FeatureCache(root).find().key == entry.key
    command = [sys.executable, "-c", script, str(root)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found == run_id(entry, BASE)


def test_an_id_is_sixteen_digits_of_a_hash(entry: Entry) -> None:
    assert re.fullmatch("[0-9a-f]{16}", run_id(entry, BASE))


def test_settings_count_whatever_their_order(entry: Entry) -> None:
    one, two = {"alpha": 2.0, "beta": 3.0}, {"beta": 3.0, "alpha": 2.0}
    assert run_id(entry, replace(BASE, settings=one)) == run_id(entry, replace(BASE, settings=two))
    spelt = replace(BASE, method="fma", settings={"base": "taskres"})
    assert run_id(entry, spelt) == run_id(entry, replace(BASE, method="fma@taskres"))
    # What is fixed is the policy's loss alone: without one a default that is given is none.
    none = replace(BASE, policy="none")
    given = replace(none, settings={"alpha": 2.0})
    assert (run_id(entry, given) == run_id(entry, none)) == (_default("alpha") == 2.0)


def _default(name: str) -> Any:
    return getattr(get("tip-adapter").config(), name)


def test_an_expression_covers_its_parts_and_how_they_are_put_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    versions = [code_version(m, "few-shot") for m in ("gda", "ncm", "sum:gda+ncm", "ncm@taskres")]
    assert len(set(versions)) == 4
    assert code_version("gda", "few-shot") != code_version("gda", "base-to-new")
    read: list[str] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    _forget()
    code_version("gda", "few-shot")
    assert "compose.py" not in read
    assert {"gda.py", "few_shot.py", "drawing.py", "method.py", "task.py"} <= {*read}
    assert len({*read}) == len(read)
    read.clear()
    code_version("sum:gda+ncm", "few-shot")
    assert {"gda.py", "ncm.py", "compose.py", "few_shot.py"} <= {*read}


def test_a_packages_own_file_and_other_packages_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "import adapters\nimport torch.nn, adapters.method\nfrom . import near\n"
        "from adapters.maths import flows, nothing\nfrom featcache import draws\nx = 1\n"
    )
    found = {each.relative_to(run_identity.HERE).as_posix() for each in _imports(path)}
    assert found == {"method.py", "maths/flows.py"}
