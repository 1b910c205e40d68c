"""A data set looked at by hand: few lines whatever the mess, and a status that scripts can use."""

from __future__ import annotations

import json
from pathlib import Path

from tests.featcache.datasets.ponds import touch
from tests.typed import Type


def test_a_sound_folder(type_in: Type, pictures: Path) -> None:
    answer = type_in(f"featcache doctor {pictures}")
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"mine in {pictures}: 2 classes"
    assert sum(int(line.split()[1]) for line in lines[1:4]) == 16
    assert lines[4] == "  16 of them looked into"
    found = type_in(f"featcache doctor {pictures} --json").json
    room = (16 + 20 * found["there"]["train"]) * 512 * 2
    assert (found["sound"], found["bytes_needed"]) == (True, room)
    takes = f"{room / 1e6:,.0f} MB"
    assert lines[5].startswith(f"Encoded with ViT-B/16 and 20 views it takes {takes}; ")
    wider = type_in(f"featcache doctor {pictures} --backbone ViT-L/14 --json").json
    assert wider["bytes_needed"] == room * 768 // 512


def test_whatever_the_mess_few_lines_tell_it(type_in: Type, tmp_path: Path) -> None:
    """Thousands of files in tens of wrong places."""
    rows = [[f"{c}/{i}.jpg", c, f"class {c}"] for c in range(60) for i in range(60)]
    lists = {"train": rows[::2], "val": [], "test": rows[1::2]}
    folder = tmp_path / "data" / "eurosat"
    touch(folder / "2750", *(f"wrong{c}/{path}" for path, c, _ in rows if c % 2))
    (folder / "split_zhou_EuroSAT.json").write_text(json.dumps(lists))
    answer = type_in(f"featcache doctor eurosat --root {tmp_path / 'data'}")
    assert answer.status == 1
    lines = answer.out.splitlines()
    assert len(lines) <= 39
    assert max(map(len, lines)) < 500
    found = type_in(f"featcache doctor eurosat --root {tmp_path / 'data'} --json").json["findings"]
    assert f"and {len(found) - 24} more findings (--json lists all)" in lines
    assert answer.err == (
        f"error: eurosat is not as it should be ({len(found)} findings, see above).\n"
    )
    gone = next(f for f in found if "are nowhere" in f["what"])
    assert len(gone["paths"]) == 30 * 60
    assert "  train: 0 pictures of 1,800 listed and 13,500 published" in lines


def test_made_sets_and_unknown_ones(type_in: Type) -> None:
    assert type_in("featcache doctor digits").out.splitlines()[:2] == [
        "digits: 10 of 10 classes",
        "  train: 899 pictures of 899 listed and 899 published",
    ]
    assert type_in("featcache doctor digitz").err.startswith("error: unknown data set 'digitz'")
    assert "say with --root" in type_in("featcache doctor eurosat").err
