"""Heads of pictures are read, and what is odd is counted with its paths."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from featcache.datasets.checkup import SAMPLE, Checkup


def test_empty_and_unreadable_pictures_are_found(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path in paths[:2]:
        Image.new("RGB", (9, 9)).save(path)
    paths[2].touch()
    paths[3].write_text("<html>")
    found = Checkup("pond", "")
    assert found.sound
    found.look_into(paths)
    assert not found.sound
    empty, bad = found.findings
    assert (empty.what, empty.paths) == ("1 pictures are empty", (str(paths[2]),))
    assert bad.what.startswith("1 of 3 pictures that were looked into cannot be read: the first is")
    assert bad.paths == (str(paths[3]),)


def test_many_pictures_are_sampled_unless_all_are_to_be_opened(tmp_path: Path) -> None:
    paths = []
    for i in range(SAMPLE + 9):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_text("no picture")
    some, every = Checkup("pond", ""), Checkup("pond", "")
    some.look_into(paths)
    every.look_into(paths, True)
    assert (some.opened, every.opened) == (SAMPLE, SAMPLE + 9)
    assert len(set(some.findings[0].paths)) == SAMPLE
    assert set(every.findings[0].paths) == set(map(str, paths))


def test_notes_are_nothing_wrong() -> None:
    found = Checkup("pond", "")
    found.add("odd", "leave it", wrong=False)
    assert found.sound
    found.add("bad", "mend it")
    assert not found.sound
