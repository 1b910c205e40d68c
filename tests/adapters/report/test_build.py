"""A whole report: what stands in it, the page in a real browser, tables in real LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pandas
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from adapters import Experiment, run
from adapters.report.build import report
from adapters.report.rows import runs
from featcache.errors import UnknownNameError
from featcache.store.cache import FeatureCache
from tests.adapters.browser import browser, look
from tests.adapters.rows import frame, row
from tests.entries import make_entry

EVIL = '</script><img src=x onerror="console.log(1)">'


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("report")
    make_entry(folder)
    return FeatureCache(folder / "cache")


@pytest.fixture(scope="module")
def rows(cache: FeatureCache) -> pandas.DataFrame:
    """Real runs, made-up ones of two data sets, a sweep, a transductive method, a failed run."""
    entry = cache.find("animals")
    real = [
        row(**run(entry, Experiment(method, shots, seed, settings=settings)).row)
        for method, settings in (("zero-shot", {}), ("tip-adapter", {}), ("ncm", {}),
                                 ("tip-adapter", {"alpha": 0.5}), ("tip-adapter", {"alpha": 3}))
        for shots in (1, 4)
        for seed in (1, 2)
    ]  # fmt: skip
    more = [row(method="transclip", transductive=1, accuracy=70.0)]
    failed = row(method=EVIL, accuracy=None, settings={"x": 1}) | {"status": "failed"}
    failed["reason"] = "lr = 10: the loss is not finite & 5 % | of it"
    made = frame(datasets=("eurosat", "p_50%"))
    return pandas.concat([pandas.DataFrame([*real, *more, failed]), made], ignore_index=True)


@pytest.fixture(scope="module")
def folder(
    rows: pandas.DataFrame, cache: FeatureCache, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("out") / "deep"
    page = report(runs(rows), out, "results.sqlite", top=2, cache=cache)
    assert page == out / "report.html"
    return out


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_in_a_browser(folder: Path, width: int, scheme: str) -> None:
    with browser() as running:
        seen = look(running, folder / "report.html", width, scheme)
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert seen.drawn.keys() == figures
    for marks in seen.drawn.values():
        assert len(re.findall(r"<path [^>]*d=\"[^\"]{5,}\"", marks)) > 4
    assert seen.said == []
    assert seen.requested == [(folder / "report.html").as_uri()]
    assert seen.overflow == 0
    assert EVIL in seen.text
    assert "1 failed run" in seen.text


def test_every_figure_is_a_picture(folder: Path) -> None:
    pngs = sorted((folder / "figures").glob("*.png"))
    assert {p.stem for p in pngs} == {p.stem for p in (folder / "figures").glob("*.svg")}
    names = " ".join(p.stem for p in pngs)
    for kind in ("over-shots", "average", "seconds", "sweep", "parallel", "alpha", "class-gains",
                 "confusion", "transductive"):  # fmt: skip
        assert kind in names
    for path in pngs:
        with Image.open(path) as picture:
            colours = picture.convert("RGB").resize((200, 200)).getcolors(40_000)
            assert len(colours) > 10, path.name


def test_markdown_tables_render(folder: Path) -> None:
    for path in sorted((folder / "tables").glob("*.md")):
        page = MarkdownIt("commonmark").enable("table").render(path.read_text())
        widths = {len(re.findall("<t[hd]", line)) for line in page.split("<tr>")[1:]}
        assert len(widths) == 1, path.name
        assert "<img" not in page


def test_latex_tables_compile(folder: Path, tmp_path: Path) -> None:
    tex = shutil.which("tectonic") or shutil.which("pdflatex")
    if tex is None:
        pytest.skip("no TeX: neither tectonic nor pdflatex is installed")
    paths = sorted((folder / "tables").glob("*.tex"))
    body = "\n".join(path.read_text() + "\\clearpage" for path in paths)
    page = tmp_path / "page.tex"
    page.write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        f"{body}\n\\end{{document}}\n"
    )
    done = subprocess.run(
        [tex, page.name], cwd=tmp_path, capture_output=True, text=True, input="", errors="replace"
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_same_rows_make_the_same_report(tmp_path: Path) -> None:
    made = frame(methods=("zero-shot", "gda"), shots=(1, 4))
    for name in ("one", "two"):
        report(runs(made), tmp_path / name, "x", cache=FeatureCache(tmp_path / "none"))
    paths = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(paths) > 10
    for path in paths:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path.name
    assert "Left out:" in (tmp_path / "one" / "report.html").read_text()


def test_an_unknown_baseline_is_refused(rows: pandas.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"baseline 'tipadapter'.*tip-adapter"):
        report(runs(rows), tmp_path, "results.sqlite", baseline="tipadapter")
    assert list(tmp_path.iterdir()) == []
