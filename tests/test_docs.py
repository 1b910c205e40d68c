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


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param("README.md", marks=pytest.mark.newcomer),
        *(f"docs/{page}.md" for page in ("bring-your-own", "confidence", "reports")),
    ],
)
def test_pages_run(page: str, tmp_path: Path) -> None:
    run_lines(ROOT / page, tmp_path)


def run_lines(page: Path, folder: Path) -> None:
    """Run every console line and Python block of a page, in order, in an empty folder."""
    environment = {
        **os.environ,
        "FEATCACHE_HOME": str(folder / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    found = re.findall(r"^```(console|python)\n(.*?)^```", page.read_text(), re.M | re.S)
    for language, block in found:
        if language == "python":
            subprocess.run([sys.executable, "-c", block], check=True, cwd=folder, env=environment)
            continue
        for line in block.splitlines():
            assert line.startswith("$ ")
            subprocess.run(shlex.split(line[2:]), check=True, cwd=folder, env=environment)


@pytest.mark.slow
def test_the_numbers_of_the_tasks_are_counts_by_hand(tmp_path: Path) -> None:
    """Zero-shot on the embedded worlds: the commands' rows, and a count over cached features."""
    import numpy as np

    from adapters.results import Results
    from featcache import FeatureCache

    run_lines(ROOT / "docs" / "tasks.md", tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    frame = Results(tmp_path / "runs" / "results.sqlite").frame()
    rows = frame[frame["method"] == "zero-shot"]
    assert {*rows["task"]} == {"domain-generalization", "cross-dataset"}
    for _, row in rows.iterrows():
        entry, source = cache.get(row["target_entry"]), cache.get(row["entry"])
        images = entry.images("test")
        text = (entry if row["task"] == "cross-dataset" else source).text()
        prompts = text.embedding / np.linalg.norm(text.embedding, axis=-1, keepdims=True)
        classes = (prompts * text.mask[..., None]).sum(1)
        classes /= np.linalg.norm(classes, axis=-1, keepdims=True)
        kept = [text.classnames.index(name) for name in entry.classnames]
        scores = images.embedding @ classes.T
        right = scores[:, kept].argmax(1) == images.label
        assert row["accuracy"] == pytest.approx(100 * right.mean())
        if row["strict_accuracy"] is not None and row["strict_accuracy"] == row["strict_accuracy"]:
            strict = scores.argmax(1) == np.array(kept)[images.label]
            assert row["strict_accuracy"] == pytest.approx(100 * strict.mean())
    problems = frame[(frame["task"] == "bongard-hoi") & (frame["method"] == "ncm")]
    assert len(problems) == 4
    for _, row in problems.iterrows():
        x = cache.get(row["entry"]).images(row["target"]).embedding
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        right = []
        for problem in x.reshape(-1, 2, 7, x.shape[1]):  # two sides of seven, the last the query
            means = problem[:, :6].mean(1)
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            answers = (problem[:, 6] @ means.T).argmax(1)
            right.append((answers == [0, 1]).mean())
        assert row["accuracy"] == pytest.approx(100 * np.mean(right))
        error = 100 * np.std(right, ddof=1) / np.sqrt(len(right))
        assert row["standard_error"] == pytest.approx(error)


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
