"""`adapters fit` and what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from adapters.compose import get
from adapters.registry import names
from tests.adapters.short import short
from tests.entries import NARROW, arrays
from tests.typed import Type


@pytest.mark.parametrize("method", [name for name in names() if not get(name).needs])
def test_every_method_fits_and_evaluates(filled: Type, method: str) -> None:
    words = [word for pair in short(method).items() for word in ("--set", "{}={}".format(*pair))]
    fit = filled(f"adapters fit --method {method} --shots 4 --json", *words)
    assert fit.status == 0
    assert 0 <= fit.json["accuracy"] <= 100
    score = filled("adapters evaluate --json", fit.json["adapter"])
    assert score.json["accuracy"] == pytest.approx(fit.json["accuracy"])


def test_the_same_command_gives_the_same_adapter(filled: Type) -> None:
    folders = [
        Path(
            filled(f"adapters fit --method fma --shots 2 --set steps=20 --out {out} --json").json[
                "adapter"
            ]
        )
        for out in ("a", "b")
    ]
    first, second = ((f / "adapter.safetensors").read_bytes() for f in folders)
    assert first == second


def test_an_imported_backbone_is_taken_by_any_spelling(filled: Type) -> None:
    assert (
        filled("adapters fit --method zero-shot --backbone HF-hub:Made-Narrow --shots 1").status
        == 0
    )


def test_an_empty_cache_says_how_to_fill_it(type_in: Type) -> None:
    answer = type_in("adapters fit")
    assert answer.status == 1
    assert "featcache encode" in answer.err
    assert type_in("featcache ls").status == 0


def test_base_to_new_says_a_line_a_half_and_their_harmonic_mean(filled: Type) -> None:
    line = "adapters fit --method zero-shot --shots 2 --task base-to-new"
    found = filled(f"{line} --json").json
    base, new = found["targets"]["base"], found["targets"]["new"]
    assert found["accuracy"] == base
    assert found["harmonic_mean"] == pytest.approx(2 * base * new / (base + new))
    lines = filled(line).out.splitlines()
    assert lines[0].startswith(f"{base:.2f} % of 14 test pictures of the base classes, fitted in ")
    assert lines[1] == f"{new:.2f} % of 7 test pictures of the new classes"
    assert lines[2] == f"{found['harmonic_mean']:.2f} % harmonic mean"
    assert lines[3].startswith("zero-shot on animals, hf-hub:made/narrow")
    rows = filled("adapters results --json").json
    assert [row["target"] for row in rows] == ["base", "new"]
    assert [row["accuracy"] for row in rows] == [pytest.approx(base), pytest.approx(new)]


def test_few_shot_says_one_line_of_its_own_test_split(filled: Type) -> None:
    lines = filled("adapters fit --method gda --shots 2 --set alpha=0.5").out.splitlines()
    assert " % of 21 test pictures, fitted in " in lines[0]
    assert "harmonic" not in "".join(lines)
    assert "2 shots, seed 1, 0 views, policy few-shot-val (" in lines[1]
    assert '"alpha": 0.5' in lines[2]
    assert lines[3].startswith("saved in runs/animals-gda-2shot-seed1-")
    document = filled("adapters fit --method gda --shots 2 --json").json
    assert "targets" not in document
    assert document["hyperparameters"] == document["config"]


def test_rows_and_adapters_go_where_they_are_told(filled: Type, tmp_path: Path) -> None:
    line = "adapters fit --method ncm --shots 1 --json"
    first = filled(line, "--out", "mine").json
    assert first["adapter"].startswith("mine/animals-ncm-1shot-seed1-")
    assert (tmp_path / "mine" / "results.sqlite").is_file()
    second = filled(line, "--results", "rows/all.sqlite").json
    assert second["adapter"].startswith("runs/")
    assert not (tmp_path / "runs" / "results.sqlite").exists()
    third = filled(line, "--results", "rows/all.sqlite", "--out", "mine", "--seed", "2").json
    assert third["adapter"].startswith("mine/")
    rows = filled("adapters results --results rows/all.sqlite --json").json
    assert [row["run"] for row in rows] == [second["run"], third["run"]]
    assert first["run"] == second["run"]


def test_words_reach_the_experiment(filled: Type) -> None:
    line = "adapters fit --shots 2 --json --method"
    more = ("--set", "base=taskres", "--set", "taskres.epochs=2", "--policy", "none")
    row = filled(line, "tip-adapter", *more).json
    assert (row["method"], row["policy"]) == ("tip-adapter@taskres", "none")
    row = filled(line, "tip-adapter", "--policy", "transfer", "--transfer", "animals").json
    assert row["transfer"] == row["entry"]
    row = filled(line, "tip-adapter", "--views", "0", "--seed", "3", "--prompts", "imported").json
    assert (row["views"], row["seed"], row["bank"]) == (0, 3, "imported")
    refused = filled(line, "gda", "--task", "base-to-new")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("error: gda has parameters for the classes")


def test_an_adapter_that_cannot_be_saved_fails_and_its_row_stays(filled: Type) -> None:
    line = "adapters fit --method gda --shots 2"
    folder = Path(filled(line, "--json").json["adapter"])
    shutil.rmtree(folder)
    Path("runs/results.sqlite").unlink()
    folder.write_text("in the way")
    answer = filled(line)
    assert answer.status == 1
    assert answer.err.startswith(f"error: cannot write {folder}/adapter.safetensors: ")
    assert answer.err.endswith("is kept in runs/results.sqlite.\n")
    assert " % of 21 test pictures" in answer.out
    assert "saved in" not in answer.out
    assert [row["status"] for row in filled("adapters results --json").json] == ["done"]


def test_other_sets_by_name(filled: Type, tmp_path: Path) -> None:
    more = arrays({"test": 12})
    np.savez(tmp_path / "few.npz", **more)
    assert filled(f"featcache import few.npz --dataset few --backbone {NARROW}").status == 0
    fit = "adapters fit --method gda --dataset animals --shots 2 --policy none"
    found = filled(f"{fit} --task domain-generalization --on few --json").json
    assert [*found["targets"]] == ["animals", "few"]
    assert found["target_mean"] == found["targets"]["few"]
    said = filled(f"{fit} --task domain-generalization --on few").out
    assert "of 12 test pictures of few" in said
    assert "mean of the targets" in said
    refused = filled(f"{fit} --on few")
    assert refused.status == 1
    assert "takes no --on" in refused.err
    refused = filled(f"{fit} --task domain-generalization")
    assert "name some with --on" in refused.err
    listed = filled("adapters results").out
    assert "target_mean" in listed


def test_without_test_pictures_there_is_an_adapter_and_no_row(
    type_in: Type, tmp_path: Path
) -> None:
    np.savez(tmp_path / "eggs.npz", **arrays({"train": 12, "val": 6}))
    assert type_in(f"featcache import eggs.npz --dataset eggs --backbone {NARROW}").status == 0
    told = type_in("adapters fit --method gda --shots 2 --json")
    assert told.status == 0
    assert "accuracy" not in told.json
    said = type_in("adapters fit --method gda --shots 2").out
    assert "eggs has no test split, so there is no row: ask the adapter of another set" in said
    assert "saved in" in said
    assert not (tmp_path / "runs" / "results.sqlite").exists()
    swept = type_in("adapters sweep --method gda --shots 2")
    assert swept.status == 1
    assert "eggs has no test split, so that a sweep has no rows to write" in swept.err


def test_a_set_for_test_alone_is_scored_by_text_alone(type_in: Type, tmp_path: Path) -> None:
    np.savez(tmp_path / "seen.npz", **arrays({"test": 12}))
    assert type_in(f"featcache import seen.npz --dataset seen --backbone {NARROW}").status == 0
    found = type_in("adapters fit --method zero-shot --json").json
    assert found["n_test"] == 12
    assert type_in("adapters sweep --method zero-shot --seed 2 --json").json["done"] == 1
    refused = type_in("adapters fit --method gda")
    assert refused.status == 1
    assert "gda learns from training pictures and seen has none; score zero-shot" in refused.err


def test_a_file_says_what_is_drawn(filled: Type, tmp_path: Path) -> None:
    """The row names the file and its content; the adapter is asked again without the file."""
    fit = "adapters fit --method ncm --policy none --json"
    usual = filled(f"{fit} --shots 2 --seed 2").json
    support = json.loads((Path(usual["adapter"]) / "adapter.json").read_text())["about"]["support"]
    (tmp_path / "mine.txt").write_text("\n".join(support))
    found = filled(f"{fit} --draw mine.txt").json
    assert found["accuracy"] == usual["accuracy"]
    digest = hashlib.sha256((tmp_path / "mine.txt").read_bytes()).hexdigest()[:8]
    assert found["draw"] == f"file:mine.txt@{digest}"
    assert found["shots"] == "all"
    assert filled(f"{fit} --draw mine.txt --shots 4").json["run"] == found["run"]
    card = Path(usual["adapter"]) / "adapter.json"  # which lists its support
    assert filled(f"{fit} --draw {card}").json["accuracy"] == usual["accuracy"]
    (tmp_path / "mine.txt").write_text("\n".join(support[1:]))
    assert filled(f"{fit} --draw mine.txt").json["run"] != found["run"]
    (tmp_path / "mine.txt").unlink()
    score = filled("adapters evaluate --json", found["adapter"])
    assert score.json["accuracy"] == pytest.approx(found["accuracy"])
    told = filled("adapters fit --draw nothing.txt")
    assert "unknown draw 'nothing.txt'" in told.err
    assert filled("adapters report --out report").status == 0
    assert found["draw"] in (tmp_path / "report" / "report.html").read_text()


def test_an_entry_of_some_draws_fits_as_the_whole_does(filled: Type) -> None:
    assert filled("featcache pack animals --out x.zip --for-shots 2 --seeds 3").status == 0
    assert filled("featcache unpack x.zip --cache there").status == 0
    fit = "adapters fit --method tip-adapter --shots 2 --seed 3 --json"
    whole, some = filled(fit).json, filled(f"{fit} --cache there").json
    assert some["accuracy"] == whole["accuracy"]
    assert some["config"] == whole["config"]
    refused = filled("adapters fit --shots 1 --seed 3 --cache there")
    assert "holds the pictures of some draws alone (shots-seed: 2-3)" in refused.err


def test_a_row_says_its_device_and_one_that_there_is_not_is_refused(filled: Type) -> None:
    line = "adapters fit --method ncm --dataset animals --shots 1 --json --device"
    assert json.loads(filled(f"{line} cpu").out)["device"] == "cpu"
    refused = filled(f"{line} tpu")
    assert refused.status == 1
    assert "device 'tpu' cannot be used" in refused.err
    assert "take --device cpu" in refused.err
