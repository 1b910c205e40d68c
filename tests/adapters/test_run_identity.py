"""What makes two runs the same run, and what does not."""

from __future__ import annotations

import re
import shutil
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
    told,
)
from featcache.store import manifest
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, reload
from featcache.store.sameness import data_id
from featcache.store.writing import put_text
from tests.enriched import enriched
from tests.entries import CLASSES, WIDTH, make_entry

BASE = Experiment("tip-adapter", shots=2, seed=1)
Keys = set[tuple[str, str | None, str | None]]  # kind, split and view set of shards


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
    """`entry` with three views a training picture, extras and negative prompts."""
    return enriched(make_entry(tmp_path_factory.mktemp("rich")))


def test_an_id_is_sixteen_digits_of_a_hash(entry: Entry) -> None:
    assert re.fullmatch("[0-9a-f]{16}", run_id(entry, BASE))


def test_what_the_features_of_a_run_are(entry: Entry, rich: Entry) -> None:
    """Of every shard that it reads, and of no other, what would be other numbers is another run."""
    common: Keys = {("images", each, None) for each in entry.splits} | {("text", None, None)}
    plain: Keys = {("views", "train", "made")}
    pre: Keys = {("pre-projection", each, None) for each in rich.splits}
    pre |= {("pre-projection", "train", "made"), ("projection", None, None)}
    patches: Keys = {("patches", each, None) for each in rich.splits}
    reads = {
        "gda": plain,
        "prolip": plain | pre,
        "attn-adapter": plain | patches,
        "hegraph-adapter": plain | {("negative", None, None)},
        "sum:prolip+attn-adapter": plain | pre | patches,
    }
    for method, own in reads.items():
        words = replace(BASE, method=method)
        assert _matters(rich, words) == common | own
        assert _matters(entry, words) == common
    centre = replace(BASE, method="prolip", views=0)
    assert _matters(rich, centre) == common | {key for key in pre if key[2] is None}
    assert _matters(rich, replace(BASE, bank="negative")) == common - {("text", None, None)} | {
        *plain, ("negative", None, None),
    }  # fmt: skip


def _matters(entry: Entry, experiment: Experiment) -> Keys:
    """Kind, split and view set of the shards whose bytes make another run."""
    found: Keys = set()
    listed = entry.manifest["shards"]
    for name, record in listed.items():
        touched = _with(entry, shards={**listed, name: {**record, "sha256": "other"}})
        kind = "negative" if record.get("bank") == "negative" else record["kind"]
        if features(touched, experiment) != features(entry, experiment):
            assert run_id(touched, experiment) != run_id(entry, experiment)
            found.add((kind, record.get("split"), record.get("set")))
    return found


def _with(entry: Entry, **changes: Any) -> Entry:
    return Entry(entry.folder, {**entry.manifest, **changes})


def _listing(entry: Entry, **shards: dict[str, Any]) -> dict[str, Any]:
    """The entry's records and more of them."""
    more = {f"{name}.h5": {"bytes": 1, "sha256": name, **each} for name, each in shards.items()}
    return {**entry.manifest["shards"], **more}


def test_where_an_entry_lies_and_what_else_it_says_is_no_matter(
    tmp_path: Path, rich: Entry
) -> None:
    moved = tmp_path / "elsewhere" / "animals" / "made" / "fedc"
    shutil.copytree(rich.folder, moved)
    there = Entry(moved, manifest.load(moved))
    pictures = {"kind": "pictures", "split": "train", "start": 0, "stop": 30}
    more = _with(
        rich,
        shards=_listing(rich, **{"pictures-train-00000": pictures}),
        dataset={**rich.manifest["dataset"], "contents": {"train": "aa"}, "fingerprint": "f"},
        versions={},
    )
    for method in ("gda", "sum:prolip+attn-adapter", "hegraph-adapter"):
        words = replace(BASE, method=method)
        assert run_id(there, words) == run_id(more, words) == run_id(rich, words)


def test_scale_and_classes_are_features(entry: Entry) -> None:
    found = [
        features(_with(entry, **{part: {**entry.manifest[part], **change}}), BASE)
        for part, change in (
            ("backbone", {}),
            ("backbone", {"logit_scale": 7.0}),
            ("dataset", {"classnames": ["dog", "cat", "emu"]}),
        )
    ]
    assert found[0] == features(entry, BASE)
    assert found[1] != found[0] != found[2]


def test_what_is_named_in_a_row_is_another_run(entry: Entry) -> None:
    """The same features under another name: whoever asks for that name finds its rows."""
    named = _with(entry, dataset={**entry.manifest["dataset"], "name": "other"})
    assert features(named, BASE) == features(entry, BASE)
    assert run_id(named, BASE) != run_id(entry, BASE)


def test_shards_count_in_their_order_and_only_those_that_are_there(entry: Entry) -> None:
    name = "images-train-00000.h5"
    second = {"kind": "images", "split": "train", "start": 30, "stop": 60}
    grown = _with(entry, shards=_listing(entry, **{"images-train-00001": second}))
    lost = _with(entry, shards={n: r for n, r in entry.manifest["shards"].items() if n != name})
    found = [features(each, BASE) for each in (entry, grown, lost)]
    assert len({*map(str, found)}) == 3
    turned = dict(reversed([*grown.manifest["shards"].items()]))
    assert features(_with(entry, shards=turned), BASE) == found[1]


def _with_texts(entry: Entry, texts: dict[str, str]) -> Entry:
    """The entry with other banks, whose shards are listed too."""
    shards = {name: {"kind": "text", "bytes": 1, "sha256": name} for name in texts.values()}
    return _with(entry, texts=texts, shards={**entry.manifest["shards"], **shards})


def test_the_newest_prompts_count(entry: Entry) -> None:
    two = _with_texts(entry, {"old": "old.h5", "new": "new.h5", "negative": "no.h5"})
    one = _with_texts(entry, {"new": "new.h5"})
    assert features(two, BASE) == features(one, BASE)
    assert features(two, replace(BASE, bank="old")) != features(one, BASE)
    assert "new.h5" in features(two, BASE)
    assert "old.h5" in features(two, replace(BASE, bank="old"))


def test_an_entry_without_prompts_still_has_features(entry: Entry) -> None:
    bare = _with(entry, texts={})
    assert features(bare, BASE) == features(bare, replace(BASE, bank="nowhere"))
    assert features(bare, BASE) != features(entry, BASE)


def test_views_that_are_not_used_are_no_matter(rich: Entry) -> None:
    """As many views as there are is all of them."""
    found = [run_id(rich, replace(BASE, views=views)) for views in (None, 3, 9, 0, 1, 2)]
    assert found[0] == found[1] == found[2]
    assert len({*found}) == 4
    bare = _with(rich, view_sets={})
    assert features(rich, replace(BASE, views=0)) == features(bare, replace(BASE, views=None))


def test_views_that_are_announced_alone_are_none(entry: Entry) -> None:
    begun = _with(entry, view_sets={"train": {"made": {"count": 3}}})
    for views in (None, 0, 2):
        assert features(begun, replace(BASE, views=views)) == features(entry, BASE)


def test_every_view_set_that_a_draw_may_fall_back_on_counts(rich: Entry) -> None:
    more = {"kind": "views", "split": "train", "set": "more", "start": 0, "stop": 30}
    sets = {"made": {"count": 5}, "more": {"count": 3}}
    two = _with(rich, view_sets={"train": sets}, shards=_listing(rich, more=more))
    made = ("views", "train", "made")
    assert _matters(two, replace(BASE, views=4)) >= {made, ("views", "train", "more")}
    # Rows that the newest lacks come from the older, which has five.
    four, five = (features(two, replace(BASE, views=views)) for views in (4, 5))
    assert four != five == features(two, BASE)
    turned = _with(two, view_sets={"train": dict(reversed([*sets.items()]))})
    assert features(turned, BASE) != features(two, BASE)


def test_the_newest_negative_prompts_count(rich: Entry) -> None:
    entry = _with_texts(rich, {**rich.manifest["texts"], "negative-mine": "mine.h5"})
    assert "mine.h5" in features(entry, replace(BASE, method="hegraph-adapter"))
    assert "mine.h5" not in features(entry, BASE)


def test_a_pool_has_no_views(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, splits={"pool": 90})
    record = {"kind": "views", "split": "train", "set": "made", "start": 0, "stop": 90}
    sets = {"train": {"made": {"count": 3}}}
    viewed = _with(entry, view_sets=sets, shards=_listing(entry, made=record))
    assert features(viewed, BASE) == features(entry, BASE)


def test_a_sweep_looks_through_the_shards_of_an_entry_once(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = _with(entry)
    before = run_identity._digests.cache_info().misses
    for seed in range(5):
        run_id(fresh, replace(BASE, seed=seed))
    assert run_identity._digests.cache_info().misses == before + 1
    assert features(_with(entry, shards={}), BASE) != features(fresh, BASE)


def test_what_a_row_says_of_its_features(entry: Entry, rich: Entry) -> None:
    row = told(rich, BASE)
    assert {*row} == {"data", "images", "features"}
    assert all(re.fullmatch("[0-9a-f]{6}", each) for each in row.values())
    assert row["data"] == data_id(rich) == told(entry, BASE)["data"]
    reads = told(rich, replace(BASE, method="prolip"))
    assert reads["images"] == row["images"] == told(entry, BASE)["images"]
    assert reads["features"] != row["features"]
    moved = replace(BASE, policy="transfer", transfer=entry)
    assert told(rich, moved)["features"] != row["features"]
    other = _with(entry, shards={**entry.manifest["shards"], "images-val-00000.h5": {
        **entry.manifest["shards"]["images-val-00000.h5"], "sha256": "x"}})  # fmt: skip
    assert told(other, BASE)["images"] != row["images"]
    assert told(other, BASE)["data"] == row["data"]


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


def test_other_sets_count_by_their_name_and_test_pictures_wherever_they_lie(tmp_path: Path) -> None:
    source, other, copy, renamed = (
        make_entry(tmp_path / n, name=name)
        for n, name in zip("abcd", ("animals", "beasts", "beasts", "pests"), strict=True)
    )
    words = Experiment("gda", 2, 1, task="domain-generalization", on=(other,))
    run = run_id(source, words)
    assert run_id(source, replace(words, on=(copy,))) == run
    assert run_id(source, replace(words, on=(renamed,))) != run
    for split, same in (("train", True), ("test", False)):
        with manifest.amend(copy.folder, copy.manifest) as changed:
            for record in changed["shards"].values():
                if record["kind"] == "images" and record["split"] == split:
                    record["sha256"] = "0" * 64
        assert (run_id(source, replace(words, on=(reload(copy),))) == run) == same
    read = [target_features(other, [], False, None, split) for split in ("test", "val")]
    assert read[0] != read[1]


def test_extras_of_other_sets_count_where_the_method_reads_them(tmp_path: Path) -> None:
    source, other = (enriched(make_entry(tmp_path / n, name=n)) for n in ("animals", "beasts"))
    plain, rich = (target_features(other, read, False, None) for read in ([], {"patches"}))
    assert rich[:-1] == plain
    assert rich[-1].startswith("patches ")
    words = Experiment("gda", 2, 1, task="domain-generalization", on=(other,))
    assert beside(words) == [["beasts", *plain]]
    lacking = make_entry(tmp_path / "plain", name="beasts")
    assert target_features(lacking, {"patches"}, False, None) == plain
    assert run_id(source, words) == run_id(source, replace(words, on=(lacking,)))
