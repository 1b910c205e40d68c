"""Questions to saved adapters: from pictures to an answer."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from adapters.commands import ask
from tests.entries import NARROW, arrays
from tests.typed import Type


def test_own_pictures_from_encode_to_predict(
    type_in: Type, pictures: Path, tiny_folder: Path
) -> None:
    encode = (
        f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} "
        "--views 2 --batch-size 8"
    )
    first = type_in(encode, "--json")
    assert first.status == 0
    assert first.json["encoded"] == 16
    assert first.json["complete"]
    again = type_in(encode)
    assert again.status == 0
    assert "Nothing to encode" in again.out

    fit = type_in("adapters fit --method tip-adapter --shots 2 --policy none --json")
    assert fit.status == 0
    document = fit.json
    wanted = {"method", "dataset", "backbone", "shots", "seed", "policy", "accuracy", "n_test",
              "fit_seconds", "hyperparameters", "adapter"}  # fmt: skip
    assert wanted <= document.keys()
    assert document["views"] == 2

    score = type_in("adapters evaluate --json", document["adapter"])
    assert score.json["accuracy"] == document["accuracy"]
    picture = str(pictures / "red" / "0.png")
    guess = type_in("adapters predict --json", document["adapter"], picture)
    assert guess.json[0]["classes"][0] in ("red", "blue")
    assert sum(guess.json[0]["scores"]) == pytest.approx(1)
    missing = type_in("adapters predict", document["adapter"], "nowhere.png")
    assert missing.status == 1
    assert "nowhere.png" in missing.err


def test_extras_from_encode_to_predict(type_in: Type, pictures: Path, tiny_folder: Path) -> None:
    encode = f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder} --views 2"
    assert type_in(encode).status == 0
    fit = "adapters fit --shots 2 --policy none --json --method"
    refused = type_in(fit, "prolip")
    assert refused.status == 1
    assert "--extra pre-projection`" in refused.err
    wrong = type_in(encode, "--extra", "pre_projection")
    assert wrong.status == 1
    assert "known are: patches, pre-projection" in wrong.err

    more = type_in(encode, "--extra", "pre-projection,patches", "--json").json
    assert (more["encoded"], more["prompts"]) == (16, 0)
    assert type_in(encode, "--prompts", "negative").status == 0
    info = type_in("featcache info mine --json").json
    assert info["extras"].keys() == {"pre-projection", "patches"}
    listed = type_in("featcache ls").out
    assert "negative" in listed
    assert "pre-projection patches" in listed
    assert type_in("featcache verify").status == 0

    picture = str(pictures / "red" / "0.png")
    used = {
        "prolip": ["pre-projection"],
        "sgva": ["pre-projection"],
        "attn-adapter": ["patches"],
        "hegraph-adapter": ["negative prompts"],
        "tip-adapter": [],
        "sum:prolip+attn-adapter+tip-adapter": ["patches", "pre-projection"],
        "tip-adapter@prolip": ["pre-projection"],
    }
    for method, extras in used.items():
        row = type_in(fit, method).json
        assert row["extras"] == extras
        score = type_in("adapters evaluate --json", row["adapter"])
        assert score.json["accuracy"] == row["accuracy"]
        guess = type_in("adapters predict --json", row["adapter"], picture)
        assert guess.json[0]["classes"][0] in ("red", "blue")


def test_each_target_of_an_adapter_is_scored(filled: Type) -> None:
    line = "adapters fit --method zero-shot --shots 2 --json --task"
    fitted = filled(line, "base-to-new").json
    score = filled("adapters evaluate --json", fitted["adapter"]).json
    assert score["targets"] == fitted["targets"]
    assert (score["accuracy"], score["n_test"]) == (fitted["targets"]["base"], 14)
    assert [*score["by_class"]] == ["cat", "dog"]
    lines = filled("adapters evaluate", fitted["adapter"]).out.splitlines()
    assert lines[0] == (
        f"{fitted['targets']['base']:.2f} % of 14 test pictures of {fitted['entry']} (base)"
    )
    assert any(
        each == f"{fitted['targets']['new']:.2f} % of 7 test pictures of {fitted['entry']} (new)"
        for each in lines
    )
    assert any("emu" in each for each in lines)


def test_one_target_is_scored_without_a_name(filled: Type) -> None:
    fitted = filled("adapters fit --method gda --shots 2 --json").json
    score = filled("adapters evaluate --json", fitted["adapter"]).json
    assert "targets" not in score
    assert (score["method"], score["shots"]) == ("gda", 2)
    lines = filled("adapters evaluate", fitted["adapter"]).out.splitlines()
    assert lines[0] == f"{score['accuracy']:.2f} % of 21 test pictures of {fitted['entry']}"


@pytest.fixture
def fitted(type_in: Type, pictures: Path, tiny_folder: Path) -> str:
    encode = f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder}"
    assert type_in(encode).status == 0
    return str(type_in("adapters fit --method gda --shots 2 --policy none --json").json["adapter"])


def test_good_pictures_are_told_and_bad_ones_named(
    type_in: Type, pictures: Path, fitted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "BATCH", 5)  # bad ones in some batches, none in others
    folder = pictures / "red"
    whole = type_in("adapters predict --json --top 1", fitted, str(folder)).json
    assert [Path(each["image"]).name for each in whole] == [f"{i}.png" for i in range(8)]
    (folder / "1.png").write_bytes(b"no picture")
    (folder / "6.png").unlink()
    Path("list.txt").write_text(f"{folder / '6.png'}\n")
    words = ("adapters predict --json --top 1 --list list.txt", fitted, str(folder))
    answer = type_in(*words)
    assert answer.status == 1
    kept = [each for i, each in enumerate(whole) if i not in (1, 6)]
    assert [(e["image"], e["classes"]) for e in answer.json] == [
        (e["image"], e["classes"]) for e in kept
    ]
    for ours, theirs in zip(answer.json, kept, strict=True):
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-4)
    assert answer.err.splitlines()[-1] == (
        "error: 2 of 8 pictures could not be classified (named above)."
    )
    named = answer.err.splitlines()[-3:-1]
    assert named[0].startswith(f"{folder / '1.png'}: ")
    assert named[1] == f"{folder / '6.png'}: does not exist or is no file."


def test_forms_of_an_answer(type_in: Type, pictures: Path, fitted: str) -> None:
    words = (fitted, f"{pictures}/*/0.png")
    document = type_in("adapters predict --format json", *words).json
    assert document == type_in("adapters predict --json", *words).json
    assert [len(each["classes"]) for each in document] == [2, 2]
    rows = list(csv.DictReader(io.StringIO(type_in("adapters predict --format csv", *words).out)))
    assert [
        (row["image"], row["rank"], row["class"], float(row["probability"])) for row in rows
    ] == [
        (each["image"], str(rank), name, pytest.approx(score, abs=1e-6))
        for each in document
        for rank, (name, score) in enumerate(zip(each["classes"], each["scores"], strict=True), 1)
    ]
    heads, _, *lines = type_in("adapters predict --format table", *words).out.splitlines()
    assert heads.split() == ["image", "rank", "class", "probability"]
    assert len(lines) == 4
    text = type_in("adapters predict", *words).out.splitlines()
    assert [line.partition(": ")[0] for line in text] == [each["image"] for each in document]
    wrong = type_in("adapters predict --format xml", *words)
    assert wrong.err == "error: --format takes text or table or csv or json, got 'xml'.\n"
    assert type_in("adapters predict", fitted).err.startswith("error: no pictures are given; ")


def test_a_transductive_adapter_sees_all_pictures_at_once(
    type_in: Type, pictures: Path, fitted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = "adapters fit --method transclip --shots 2 --policy none --json"
    words = ("adapters predict --json", type_in(fit).json["adapter"], str(pictures))
    whole = type_in(*words).json
    monkeypatch.setattr(ask, "BATCH", 3)
    assert type_in(*words).json == whole


def test_another_set_is_scored_by_the_rules_of_the_tasks(filled: Type, tmp_path: Path) -> None:
    few = arrays({"test": 12})
    np.savez(tmp_path / "few.npz", **few)
    np.savez(tmp_path / "fish.npz", **{**few, "classnames": np.array(["bass", "carp", "eel"])})
    for name, backbone in (("few", NARROW), ("fish", NARROW), ("other", "hf-hub:made/other")):
        source = "few" if name == "other" else name
        line = f"featcache import {source}.npz --dataset {name} --backbone {backbone}"
        assert filled(line).status == 0
    fit = "adapters fit --dataset animals --shots 2 --policy none --json --method"
    fitted = {m: filled(f"{fit} {m}").json["adapter"] for m in ("gda", "zero-shot")}
    some = filled(f"adapters evaluate {fitted['gda']} --dataset few --json").json
    assert (some["task"], some["target"]) == ("domain-generalization", "few")
    assert some["accuracy"] == some["strict_accuracy"]
    refused = filled(f"adapters evaluate {fitted['gda']} --dataset fish")
    assert refused.status == 1
    assert "3 of the 3 classes of fish are none of animals" in refused.err
    across = filled(f"adapters evaluate {fitted['zero-shot']} --dataset fish --json").json
    assert across["task"] == "cross-dataset"
    refused = filled(f"adapters evaluate {fitted['gda']} --dataset other")
    assert refused.status == 1
    assert "encode other with the adapter's" in refused.err
    said = filled(f"adapters evaluate {fitted['gda']} --split train").out
    assert "6 of these pictures are those that it was fitted on" in said
    rows = filled("adapters results --json").json
    assert [row["target"] for row in rows] == [
        "animals", "animals", "few", "fish", "animals (train)",
    ]  # fmt: skip
    again = filled(f"adapters evaluate {fitted['gda']} --dataset few --json").json
    assert again["run"] == some["run"]
    assert len(filled("adapters results --json").json) == 5


def test_unknown_pictures_and_sets_need_a_calibrated_adapter(
    type_in: Type, pictures: Path, fitted: str
) -> None:
    picture = str(pictures / "red" / "0.png")
    for option in ("--unknown-below 0.9", "--coverage 0.9"):
        refused = type_in(f"adapters predict {option}", fitted, picture)
        assert refused.status == 1
        assert "adapters fit --calibrate" in refused.err
    line = "adapters fit --method zero-shot --shots 2 --policy none --calibrate --json"
    folder = type_in(line).json["adapter"]
    plain = type_in("adapters predict --json", folder, picture).json[0]
    assert "known" not in plain

    best = plain["scores"][0]
    assert best < 1
    for bound, known in ((0.99 * best, True), ((1 + best) / 2, False)):
        asked = ("adapters predict --top 1 --unknown-below", str(bound))
        told = type_in(*asked, "--json", folder, picture).json[0]
        assert (told["known"], told["classes"]) == (known, plain["classes"][:1])
        assert ("unknown; " in type_in(*asked, folder, picture).out) is not known
    # Four scores are too few for 95 %: nothing can be left out.
    told = type_in("adapters predict --top 1 --coverage 0.95 --json", folder, picture).json[0]
    assert told["set"] == told["classes"] == plain["classes"]
    lines = type_in("adapters predict --coverage 0.95 --format csv", folder, picture).out
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert [row["in_set"] for row in rows] == ["yes", "yes"]
    wrong = type_in("adapters predict --coverage 90", folder, picture)
    assert "between 0 and 1" in wrong.err
