"""What the documents say is run: commands, Python, the table of methods, links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.registry import POLICIES, names

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def test_tables_made_of_the_code_are_not_stale() -> None:
    """`make docs` writes them anew."""
    subprocess.run([sys.executable, ROOT / "docs" / "write_tables.py", "--check"], check=True)


def test_every_method_has_its_row() -> None:
    rows = re.findall(r"^\| `([\w+-]+)` \|", (ROOT / "docs" / "methods.md").read_text(), re.M)
    assert sorted(set(rows) - set(POLICIES)) == names()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        pytest.param("docs/reports.md", marks=pytest.mark.slow),
        pytest.param("docs/bring-your-own.md", marks=pytest.mark.slow),
    ],
)
def test_pages_run(page: str, tmp_path: Path) -> None:
    """Every console line and Python block of a page, in order, in an empty folder."""
    environment = {
        **os.environ,
        "FEATCACHE_HOME": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    text = (ROOT / page).read_text()
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```", text, re.M | re.S):
        if language == "python":
            subprocess.run([sys.executable, "-c", block], check=True, cwd=tmp_path, env=environment)
            continue
        for line in block.splitlines():
            assert line.startswith("$ ")
            subprocess.run(shlex.split(line[2:]), check=True, cwd=tmp_path, env=environment)


def test_commands_of_the_documents_exist() -> None:
    """Options named in the documents are options of the command line."""
    from typer.main import get_command

    from adapters.commands.app import app as adapters
    from featcache.commands.app import app as featcache

    known = {
        option
        for app in (featcache, adapters)
        for command in (get_command(app), *get_command(app).commands.values())
        for parameter in command.params
        for option in parameter.opts
    }
    for page in PAGES:
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text()):
            if "benchmarks/" not in page.read_text() or option in known:
                assert option in known, (page.name, option)
