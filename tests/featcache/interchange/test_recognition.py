"""Whose files these are: one project, or a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.errors import ImportRefusedError, UnknownNameError
from featcache.interchange.given import Given
from featcache.interchange.recognition import names, project, recognise
from tests.featcache.interchange import layouts


def test_no_project_claims_the_files_of_another(tmp_path: Path) -> None:
    for name, (make, _) in {**layouts.ALL, "prolip": (layouts.prolip, None)}.items():
        given = Given([make(tmp_path / name).folder])
        assert [each for each in names() if project(each).claims(given)] == [name]


def test_files_of_two_projects_are_a_question(tmp_path: Path) -> None:
    layouts.timo(tmp_path / "one")
    layouts.coop(tmp_path / "other")
    with pytest.raises(ImportRefusedError, match="coop or timo; say which with --format"):
        recognise(Given([tmp_path]))


def test_unknown_names_are_offered_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean timo, tip-adapter"):
        project("tip")
