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
    beside,
    code_version,
    features,
    run_id,
    target_features,
)
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, reload
from featcache.store.writing import put_text
from tests.enriched import enriched
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


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """An entry with three views a training picture, extras and negative prompts."""
    return enriched(make_entry(tmp_path_factory.mktemp("rich")))


def test_an_id_is_sixteen_digits_of_a_hash(entry: Entry) -> None:
    assert re.fullmatch("[0-9a-f]{16}", run_id(entry, BASE))


def test_the_features_of_a_run_by_name(entry: Entry, rich: Entry) -> None:
    text = entry.manifest["texts"][entry.banks[-1]]
    assert features(entry, BASE) == [entry.key, text, None, 0]
    assert features(entry, replace(BASE, bank="nowhere")) == [entry.key, None, None, 0]
    bank = rich.manifest["texts"][rich.banks[-1]]
    assert features(rich, BASE) == [rich.key, bank, "made", None]
    negative = rich.manifest["texts"]["negative"]
    reads = {
        "prolip": ["pre-projection"],
        "attn-adapter": ["patches"],
        "hegraph-adapter": [negative],
        "sum:prolip+attn-adapter": ["patches", "pre-projection"],
    }
    for method, more in reads.items():
        assert features(rich, replace(BASE, method=method))[4:] == more
        assert features(entry, replace(BASE, method=method))[4:] == []


def _with_texts(entry: Entry, texts: dict[str, str]) -> Entry:
    """The entry with other banks, whose shards are listed too."""
    record = {"kind": "text", "bytes": 1, "sha256": ""}
    shards = {**entry.manifest["shards"], **dict.fromkeys(texts.values(), record)}
    return Entry(entry.folder, {**entry.manifest, "texts": texts, "shards": shards})


def test_the_newest_prompts_count(entry: Entry) -> None:
    texts = {"old": "old.h5", "new": "new.h5", "negative": "no.h5"}
    two = _with_texts(entry, texts)
    assert features(two, BASE)[1] == "new.h5"
    assert features(two, replace(BASE, bank="old"))[1] == "old.h5"


def test_an_entry_without_prompts_still_has_features(entry: Entry) -> None:
    bare = Entry(entry.folder, {**entry.manifest, "texts": {}})
    assert features(bare, BASE) == [entry.key, None, None, 0]


@pytest.mark.parametrize(("views", "used"), [(None, None), (3, None), (9, None), (2, 2), (1, 1)])
def test_as_many_views_as_there_are_is_all_of_them(
    rich: Entry, views: int | None, used: int | None
) -> None:
    assert features(rich, replace(BASE, views=views))[2:] == ["made", used]


def test_views_that_are_not_used_are_no_matter(rich: Entry) -> None:
    assert features(rich, replace(BASE, views=0))[2:] == [None, 0]
    found = {run_id(rich, replace(BASE, views=views)) for views in (None, 0, 1, 2, 3, 4)}
    assert len(found) == 4


def test_the_newest_views_count(rich: Entry) -> None:
    sets = {"train": {"made": {"count": 3}, "more": {"count": 5}}, "test": {"no": {"count": 9}}}
    entry = Entry(rich.folder, {**rich.manifest, "view_sets": sets})
    assert features(entry, replace(BASE, views=4))[2:] == ["more", 4]
    assert features(entry, replace(BASE, views=5))[2:] == ["more", None]


def test_the_newest_negative_prompts_count(rich: Entry) -> None:
    texts = {**rich.manifest["texts"], "negative-mine": "mine.h5"}
    entry = _with_texts(rich, texts)
    assert features(entry, replace(BASE, method="hegraph-adapter"))[4:] == ["mine.h5"]


def test_a_pool_has_no_views(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"pool": 90})
    sets = {"train": {"made": {"count": 3}}}
    assert features(Entry(entry.folder, {**entry.manifest, "view_sets": sets}), BASE)[2:] == [
        None, 0,
    ]  # fmt: skip


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


def test_other_sets_are_part_of_a_run_in_any_order(tmp_path: Path) -> None:
    source, a, b = (make_entry(tmp_path / n, name=n) for n in ("animals", "beasts", "pests"))
    words = replace(BASE, task="domain-generalization")
    found = [run_id(source, replace(words, on=on)) for on in ((a,), (b,), (a, b), (b, a), ())]
    assert len({*found}) == 4
    assert found[2] == found[3]


def test_prompts_of_other_sets_count_where_their_classes_are_known_by_name(tmp_path: Path) -> None:
    source, other = (make_entry(tmp_path / n, name=n) for n in ("animals", "beasts"))
    by_name = Experiment("zero-shot", 2, 1, task="cross-dataset")
    by_column = replace(by_name, task="domain-generalization")
    before = [run_id(source, replace(words, on=(other,))) for words in (by_name, by_column)]
    put_text(other, "more", np.eye(CLASSES, WIDTH), [[f"prompt {c}"] for c in range(CLASSES)])
    other = reload(other)
    after = [run_id(source, replace(words, on=(other,))) for words in (by_name, by_column)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    imported = target_features(other, [], True, "imported")
    assert imported != target_features(other, [], True, None)
    assert imported[0] == other.key


def test_extras_of_other_sets_count_where_the_method_reads_them(tmp_path: Path) -> None:
    source, other = (enriched(make_entry(tmp_path / n, name=n)) for n in ("animals", "beasts"))
    assert target_features(other, {"patches"}, False, None)[2] == ["patches"]
    [told] = beside(Experiment("gda", 2, 1, task="domain-generalization", on=(other,)))
    assert told == [other.key, "", []]
    assert source.key != other.key
