"""Encoding by hand: what is said of it, and mistakes that are found before a model is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.commands.encode import MOST_BAD, MOST_REASONS, told_bad
from featcache.datasets.dataset import PHOTO
from featcache.engines.options import EngineOptions
from featcache.pictures.limit import limit_pixels
from tests.featcache.datasets.kinds.test_domains import pacs
from tests.featcache.datasets.kinds.trees import shard
from tests.featcache.encoding.spread import Here, tree
from tests.typed import Type


@pytest.fixture
def line(pictures: Path, tiny_folder: Path) -> str:
    """The command for the sixteen pictures of two classes."""
    return f"featcache encode --dataset {pictures} --backbone local-dir:{tiny_folder}"


def test_own_pictures_are_encoded_once(type_in: Type, line: str) -> None:
    """Few-shot draws can use every training picture here, so each has its two views."""
    line += " --views 2 --batch-size 4 --extra pre-projection"
    first = type_in(line, "--json")
    told = first.json
    assert list(told) == [
        *(
            "key",
            "encoded",
            "taken",
            "skipped",
            "crops",
            "prompts",
            "batch_size",
            "wall_seconds",
            "seconds",
            "complete",
        ),
        *("bad", "damaged", "notes"),
    ]
    entry = type_in("featcache info mine --json").json
    assert (told["encoded"], told["skipped"]) == (16, 0)
    assert told["crops"] == 16 + 2 * entry["encoded"]["train"]
    assert told["prompts"] == 2 * len(PHOTO)
    assert (told["complete"], told["bad"]) == (True, [])
    assert told["key"] == entry["key"]
    assert set(told["seconds"]) == {"read", "decode", "forward", "write"}
    assert told["wall_seconds"] > 0
    assert list(entry["extras"]) == ["pre-projection"]
    assert first.err.splitlines()[-2].startswith(
        f"Encoded 16 pictures ({told['crops']} crops) and 2 prompts in "
    )
    again = type_in(line).out.splitlines()
    assert again == ["Nothing to encode: all 16 pictures asked for are cached.", told["key"]]


def test_several_backbones_are_an_entry_each(type_in: Type, line: str) -> None:
    line += " --backbone demo --views 0"
    told = type_in(line, "--json").json["backbones"]
    assert [each["key"].split("/")[1] for each in told] == ["local-dir_tiny", "demo"]
    assert [each["encoded"] for each in told] == [16, 16]
    again = type_in(line).out.splitlines()
    assert again[1::2] == [each["key"] for each in told]


def test_an_engine_does_what_is_done_here(
    type_in: Type, line: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is said and written is the same, bad pictures and several backbones among it."""
    asked = list[EngineOptions]()

    def engine(options: EngineOptions) -> Here:
        asked.append(options)
        return Here(2)

    monkeypatch.setattr("featcache.encoding.spreading.engine", engine)
    monkeypatch.setattr("featcache.pictures.digest.YOUNG", -(10**18))
    (pictures / "red" / "0.png").write_text("no picture")
    line += " --backbone demo --views 1 --batch-size 4 --json"
    words = "--cache spread --engine slurm --jobs 3 --slurm time=5 --device cpu"
    there, here = type_in(f"{line} {words}"), type_in(line, "--cache", "plain")
    assert asked == [EngineOptions("slurm", 3, "cpu", slurm={"time": 5})]
    assert there.status == here.status == 1
    assert tree(Path("spread")) == tree(Path("plain"))
    timed = ("seconds", "wall_seconds")
    both = [
        [{k: v for k, v in each.items() if k not in timed} for each in told.json["backbones"]]
        for told in (there, here)
    ]
    assert both[0] == both[1]
    assert here.err.splitlines()[-1] == there.err.splitlines()[-1]


def test_more_prompts_for_cached_pictures_are_said(type_in: Type, line: str) -> None:
    type_in(line, "--views", "0")
    Path("own.txt").write_text("a {}.\nthe {}.\n")
    told = type_in(line, "--views", "0", "--prompts", "own.txt").out
    assert told.startswith("Encoded 4 prompts: all 16 pictures asked for are cached.\n")


def test_splits_and_parts_are_those_asked_for(type_in: Type, line: str) -> None:
    one = type_in(line, "--views", "0", "--split", "test,val", "--json").json
    held = type_in("featcache info mine --json").json
    assert held["asked"] == ["val", "test"]
    assert one["encoded"] == held["encoded"]["val"] + held["encoded"]["test"]
    assert held["encoded"]["train"] == 0
    assert type_in(line, "--views", "0", "--shard", "2/2", "--json").json["prompts"] == 0


def test_views_are_made_as_asked(type_in: Type, line: str) -> None:
    words = "--views 3 --views-for all --view-scale 0.25 --view-seed 7 --split train"
    type_in(line, *words.split())
    (made,) = type_in("featcache info mine --json").json["view_sets"]["train"].values()
    assert made["count"] == 3
    assert made["seed"] == 7
    assert made["scale"] == [0.25, 1.0]


def test_bad_pictures_are_listed_until_they_are_mended_or_accepted(
    type_in: Type, line: str, pictures: Path
) -> None:
    spoilt = pictures / "red" / "0.png"
    whole = spoilt.read_bytes()
    spoilt.write_text("no picture")
    answer = type_in(line, "--views", "0")
    assert answer.status == 1
    assert answer.out.splitlines()[-2].startswith("bad picture red/0.png: the picture is no")
    assert answer.err == (
        "error: 1 pictures could not be read (listed above); mend them and run this again (with "
        "--retry-bad where the files themselves are as they should be), or accept them with "
        "--allow-bad 1.\n"
    )
    accepted = type_in(line, "--views", "0", "--allow-bad", "1", "--json")
    assert accepted.status == 0
    assert [bad["id"] for bad in accepted.json["bad"]] == ["red/0.png"]
    both = type_in(f"{line} --views 0 --allow-bad 1 --backbone demo --json")
    assert [len(each["bad"]) for each in both.json["backbones"]] == [1, 1]  # and one picture
    assert both.status == 0
    spoilt.write_bytes(whole)
    mended = type_in(line, "--views", "0", "--json")
    assert mended.status == 0
    assert (mended.json["encoded"], mended.json["taken"], mended.json["bad"]) == (1, 3, [])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--dataset digits --shard two", "--shard takes i/N such as 2/4, got 'two'."),
        ("--dataset digits --views-for some", "--views-for takes few-shot or all, got 'some'."),
        ("--dataset digitz", "unknown data set 'digitz'; did you mean digits?"),
        (
            "--dataset digits --engine cloud",
            "unknown engine 'cloud'; known are: local, ray, slurm.",
        ),
        ("--dataset digits --engine ray --shard 1/2", "--engine ray deals out the parts itself; "),
        ("--dataset digits --jobs 2", "--jobs, --address and --slurm are for --engine ray or slur"),
        ("--dataset digits --engine slurm --slurm gpu", "--slurm takes key=value such as time=60"),
    ],
)
def test_mistakes_are_found_before_a_model_is_loaded(type_in: Type, words: str, told: str) -> None:
    answer = type_in(f"featcache encode {words} --backbone local-dir:nowhere")
    assert answer.status == 1
    assert answer.err.startswith(f"error: {told}")


@pytest.mark.parametrize(
    "words", ["--views -1", "--view-scale 0", "--view-scale 1.5", "--batch-size 0", "--workers -1"]
)
def test_numbers_out_of_range_are_refused(type_in: Type, words: str) -> None:
    answer = type_in(f"featcache encode --dataset digits {words}")
    assert answer.status == 2
    assert words.split()[0] in answer.err


def test_what_is_passed_over_is_said_and_can_be_taken(
    type_in: Type, line: str, pictures: Path
) -> None:
    (pictures / "red" / "more").mkdir()
    (pictures / "red" / "0.png").rename(pictures / "red" / "more" / "0.png")
    answer = type_in(line, "--views", "0", "--json")
    assert answer.json["encoded"] == 15
    assert answer.err.splitlines()[0] == f"note: {answer.json['notes'][0]}"
    assert "1 pictures in inner folders ('red/more'" in answer.err
    whole = type_in(line, "--views", "0", "--json", "--recursive").json
    assert (whole["encoded"], whole["taken"] + whole["skipped"]) == (1, 15)
    assert whole["notes"] == [f"{whole['key']} was brought up to date; its older state is gone."]


def test_links_are_followed_when_asked(type_in: Type, line: str, pictures: Path) -> None:
    (pictures / "red").rename(pictures.parent / "away")
    (pictures / "red").symlink_to(pictures.parent / "away")
    assert "--follow-links" in type_in(line, "--views", "0").err
    assert type_in(line, "--views", "0", "--json", "--follow-links").json["encoded"] == 16


def test_large_pictures_are_bad_until_the_limit_is_raised(type_in: Type, line: str) -> None:
    words = ("--views", "0", "--max-pixels", "0.0019")  # of 40 by 50 pixels
    try:
        answer = type_in(line, *words)
        assert answer.status == 1
        assert "50 x 40 pixels; the limit is 0.0019 million, which --max-pixels" in answer.out
        assert type_in(line, "--views", "0", "--retry-bad").status == 0
    finally:
        limit_pixels()


def test_views_are_not_mirrored_when_asked(type_in: Type, line: str) -> None:
    assert type_in(line, "--views", "2", "--no-mirror").status == 0
    (made,) = type_in("featcache info mine --json").json["view_sets"]["train"].values()
    assert made["flip"] is False


def test_a_folder_of_test_pictures_alone_is_encoded(
    type_in: Type, line: str, pictures: Path
) -> None:
    (pictures / "test").mkdir()
    for name in ("red", "blue"):
        (pictures / name).rename(pictures / "test" / name)
    assert type_in(line, "--json").json["crops"] == 16
    assert list(type_in("featcache info mine --json").json["encoded"]) == ["test"]


def test_the_name_of_a_folder_is_that_of_its_entry(type_in: Type, line: str) -> None:
    told = type_in(line, "--views", "0", "--name", "tints", "--json").json
    assert told["key"].startswith("tints/")
    assert type_in(line, "--name", "a/b").err.startswith("error: 'a/b' cannot be a data set's")


def test_classes_that_are_there_are_encoded_when_asked(
    type_in: Type, line: str, pictures: Path
) -> None:
    rows = [[f"{c}/{i}.png", n, c] for i in range(8) for n, c in enumerate(("red", "lost", "blue"))]
    lists = {"train": rows[:12], "val": [], "test": rows[12:]}
    (pictures / "split_zhou_Mine.json").write_text(json.dumps(lists))
    answer = type_in(line, "--views", "0", "--classes", "present", "--json")
    assert answer.status == 0
    assert (answer.json["encoded"], answer.json["bad"]) == (16, [])
    assert "2 of 3 classes are there and taken" in answer.err
    assert type_in("featcache info mine --json").json["dataset"]["classnames"] == ["red", "blue"]
    partly = type_in(line, "--views", "0")
    assert partly.status == 1
    assert "note: mine: 8 of 24 pictures are not there" in partly.err
    assert type_in(line, "--classes", "some").err == (
        "error: --classes takes all or present, got 'some'.\n"
    )


@given(st.lists(st.tuples(st.text(), st.text()), max_size=40))
def test_bad_pictures_are_few_lines_and_none_is_forgotten(bad: list[tuple[str, str]]) -> None:
    lines = told_bad(bad)
    assert len(lines) <= max(MOST_BAD, MOST_REASONS + 2)
    if len(bad) > MOST_BAD:
        assert lines[0].startswith(f"{len(bad)} bad pictures")
        assert sum(int(line.split()[0].rstrip(":")) for line in lines[1:]) == len(bad)


def test_many_bad_pictures_are_told_by_reason() -> None:
    bad = [(f"a/{i}.jpg", f"is cut short or damaged (at byte {i}).") for i in range(9)]
    bad += [(f"b/{i}.jpg", "No such file or directory") for i in range(4000)]
    bad += [(f"c/{i}.jpg", f"has {i} x 9 pixels.") for i in (7, 8)]
    assert told_bad(bad) == [
        "4011 bad pictures (--json lists all):",
        "  4000: No such file or directory; 'b/0.jpg', 'b/1.jpg', 'b/2.jpg', …",
        "  9: is cut short or damaged (at byte 0); 'a/0.jpg', 'a/1.jpg', 'a/2.jpg', …",
        "  2: has 7 x 9 pixels; 'c/7.jpg', 'c/8.jpg'",
    ]
    assert told_bad(bad[:1]) == ["bad picture a/0.jpg: is cut short or damaged (at byte 0)."]


def test_domains_are_an_entry_each(type_in: Type, tmp_path: Path, tiny_folder: Path) -> None:
    folder = pacs(tmp_path / "Mine")
    line = f"featcache encode --dataset {folder} --layout domains --views 0"
    line += f" --backbone local-dir:{tiny_folder}"
    told = type_in(line, "--json").json["domains"]
    listed = [row["dataset"]["name"] for row in type_in("featcache ls --json").json]
    names = [f"mine-{domain}" for domain in ("art-painting", "cartoon", "photo", "sketch")]
    assert [each["key"].partition("/")[0] for each in told] == names == sorted(listed)
    (folder / "photo" / "dog" / "pic_001.jpg").write_text("no picture")
    answer = type_in(line)
    assert answer.status == 1
    assert "1 pictures could not be read" in answer.err


def test_pictures_in_a_shard_are_known_by_their_bytes(
    type_in: Type, pictures: Path, line: str, tmp_path: Path
) -> None:
    type_in(line, "--views", "0")
    members = []
    for n, path in enumerate(sorted(pictures.rglob("*.png"))):
        members += [(f"{n}.png", path.read_bytes()), (f"{n}.cls", path.parent.name.encode())]
    shard(tmp_path / "shards" / "0.tar", *members)
    packed = line.replace(str(pictures), str(tmp_path / "shards"))
    told = type_in(packed, "--views", "0", "--json").json
    assert (told["encoded"], told["taken"], told["bad"]) == (0, 16, [])
    again = type_in(packed, "--views", "0", "--json").json
    assert (again["encoded"], again["taken"], again["key"]) == (0, 0, told["key"])
    check = f"featcache verify {told['key']} --reencode 9 --dataset {tmp_path / 'shards'}"
    backbone = line.rpartition(" ")[2]
    assert type_in(f"{check} --backbone {backbone}").status == 0
