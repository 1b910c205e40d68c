"""A whole report: what stands in it, the page in a real browser, tables in real LaTeX."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from adapters import Experiment, run
from adapters.report import build
from adapters.report.build import rank, report
from adapters.report.parts import Part
from adapters.report.rows import runs
from adapters.report.write import figures, tables
from featcache.errors import CacheError, UnknownNameError
from featcache.store.cache import FeatureCache
from tests.adapters.browser import browser, look
from tests.adapters.rows import elsewhere, frame, halves, row, section_of
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
    with pytest.raises(UnknownNameError) as refusal:
        report(runs(rows), tmp_path, "results.sqlite", baseline="nothing of the kind")
    assert str(refusal.value).count("gda") == 1  # a method and a line of that name
    assert list(tmp_path.iterdir()) == []


Parts = Callable[..., tuple[str, list[Part]]]


@pytest.fixture
def parts_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Parts:
    """What a report says at its head, and its parts, of which nothing is drawn."""

    def made(rows: pandas.DataFrame | list[dict[str, Any]], **asked: Any) -> tuple[str, list[Part]]:
        kept: list[Any] = []
        monkeypatch.setattr(build, "write", lambda *given: kept.extend(given) or tmp_path)
        held = runs(rows if isinstance(rows, pandas.DataFrame) else pandas.DataFrame(rows))
        report(held, tmp_path, "x.sqlite", cache=FeatureCache(tmp_path / "none"), **asked)
        folder, title, text, parts = kept
        assert (folder, title) == (tmp_path, "Few-shot results")
        return text, parts

    return made


def test_lines_are_ranked_by_their_distance_to_the_mean_of_each_cell() -> None:
    """b was run on the hard data set alone, where it did better than a."""
    made = [
        row(method="a", dataset="easy", accuracy=90.0),
        row(method="c", dataset="easy", accuracy=80.0),
        row(method="a", dataset="hard", accuracy=20.0),
        row(method="b", dataset="hard", accuracy=30.0),
    ]
    # a: +5 and -5; b: +5; c: -5.
    assert rank(section_of(pandas.DataFrame(made)).rows) == ["b", "a", "c"]


def test_the_head_counts_runs_and_not_rows(parts_of: Parts) -> None:
    old = row(seed=3, code="old", time="2025-01-01")
    failed = row(seed=9, accuracy=None) | {"status": "failed", "reason": "broke"}
    made = [*halves(90, 60, 72), *halves(80, 40, 53, seed=2), row(seed=3), old, failed]
    text, parts = parts_of(made)
    assert text == (
        "3 finished runs from x.sqlite, 1 failed run; the newest of 2026-01-01. "
        "1 older run of the same draws and settings left out. featcache 0.1.0."
    )
    assert [part.title for part in parts] == [
        "RN50:openai, policy none",
        "RN50:openai, base-to-new (base), policy none",
        "RN50:openai, base-to-new (new), policy none",
        "RN50:openai, base-to-new (harmonic mean), policy none",
        "Class by class",
        "Failed runs",
    ]
    numbers = [next(tables([part])).rows[0][1].split(" ")[0] for part in parts[:4]]
    assert numbers == ["80.0", "85.0", "50.0", "62.5"]
    assert len({figure.name for figure in figures(parts)}) == len(list(figures(parts)))
    assert len({table.name for table in tables(parts)}) == len(list(tables(parts)))
    (table,) = parts[-1].tables
    assert table.heads == [
        *("dataset", "backbone", "method", "shots", "draw", "seed", "settings", "policy"),
        "reason",
    ]
    assert table.rows == [["animals", "RN50:openai", "gda", "4", "", "9", "{}", "none", "broke"]]
    assert parts[-1].text == "1 run failed and counts nowhere above."


def test_versions_that_cannot_be_read_are_not_said(parts_of: Parts) -> None:
    made = pandas.DataFrame([row(), row(seed=2), row(seed=3), row(seed=4)])
    made["versions"] = [None, "{", '{"featcache": "0.2"}', '{"torch": "2"}']
    assert parts_of(made)[0].endswith("the newest of 2026-01-01. featcache 0.2.")


def test_a_section_has_its_figures_and_its_tables_of_many_shots_first(parts_of: Parts) -> None:
    (part, *_) = parts_of(frame())[1]
    assert [figure.name for figure in part.figures] == [
        *("over-shots-rn50-openai-none-animals", "over-shots-rn50-openai-none-plants"),
        *("over-shots-rn50-openai-none-average", "seconds-rn50-openai-none"),
    ]
    assert part.text == ("36 runs of 3 methods on 2 data sets. Bars: 95 % t-intervals over seeds.")
    assert [(inner.title, inner.folded) for inner in part.parts] == [
        ("Over shots, all methods", True),
        ("4 shots, all methods", False),
        ("1 shot, all methods", True),
    ]
    names = [[table.name for table in inner.tables] for inner in part.parts]
    assert names[0] == [
        f"shots-rn50-openai-none-{place}" for place in ("average", "plants", "animals")
    ]
    assert names[1] == ["accuracy-rn50-openai-none-4-shot", "gains-rn50-openai-none-4-shot"]


def test_figures_show_the_best_the_baseline_and_zero_shot(parts_of: Parts) -> None:
    methods = ("zero-shot", "gda", "ncm", "tip-adapter", "proker")  # each better than the last
    (part, *_) = parts_of(frame(methods), baseline="gda", top=1)[1]
    seen = {point["line"] for point in part.figures[0].spec["data"]["values"]}
    assert seen == {"proker", "gda", "zero-shot"}
    assert (
        "Figures show the best on average over everything, with gda and zero-shot; "
        "2 others stand in the tables."
    ) in part.text
    assert len(next(tables([part])).rows) == 5
    # Against seconds all are there, those without a colour as others.
    points = part.figures[-1].spec["data"]["values"]
    assert sorted(p["line"] for p in points if p["shown"] == "others") == ["ncm", "tip-adapter"]


def test_what_figures_show_is_counted(parts_of: Parts) -> None:
    """The best are said to be as many as they are, and nothing is named that is not there."""
    methods = ("zero-shot", "gda", "ncm", "tip-adapter", "proker")  # each better than the last
    (part, *_) = parts_of(frame(methods), top=2)[1]
    assert "Figures show the 2 best on average over everything, with zero-shot; 2" in part.text
    (part, *_) = parts_of(frame(methods[1:]), top=3)[1]
    assert "Figures show the 3 best on average over everything, with gda;" not in part.text
    assert "zero-shot" not in part.text
    (part, *_) = parts_of(frame(methods[:2]), top=1)[1]
    assert "Figures" not in part.text  # all are there


def test_the_table_of_some_shots_has_their_best_first(parts_of: Parts) -> None:
    """And not those of all shots, among which the worst at one shot was the best at four."""
    made = frame(("gda", "ncm"), shots=(1, 4), seeds=(1, 2))
    late = (made["method"] == "gda") & (made["shots"] == 4)
    made.loc[late, "accuracy"] += 8.0
    found = {table.name: table for table in tables(parts_of(made)[1])}
    order = {
        k: [line[0] for line in found[f"accuracy-rn50-openai-none-{k}-shot"].rows] for k in (1, 4)
    }
    assert order == {1: ["ncm", "gda"], 4: ["gda", "ncm"]}


def test_a_method_keeps_its_colour_when_others_do_better(parts_of: Parts) -> None:
    def colours(methods: tuple[str, ...]) -> dict[str, str]:
        scale = parts_of(frame(methods))[1][0].figures[0].spec["layer"][0]["encoding"]["color"]
        return dict(zip(scale["scale"]["domain"], scale["scale"]["range"], strict=True))

    assert colours(("gda", "ncm", "proker")) == colours(("proker", "ncm", "gda"))


def test_the_baseline_is_zero_shot_or_what_was_asked_for(parts_of: Parts) -> None:
    def against(rows: pandas.DataFrame, asked: str | None = None) -> str:
        found = tables(parts_of(rows, baseline=asked)[1])
        return next(t.title for t in found if t.name.startswith("gains"))

    assert against(frame()) == "Against zero-shot, 4 shots, RN50:openai, policy none"
    assert against(frame(), "gda").startswith("Against gda,")
    assert against(frame(("gda", "ncm"))).startswith("Against gda,")
    own = [row(seed=s, settings={"x": x}, accuracy=50.0 + x) for x in (1, 2) for s in (1, 2)]
    assert against(pandas.DataFrame(own), "gda, x=2").startswith("Against gda, x=2,")


def test_a_section_without_the_baseline_says_so(parts_of: Parts) -> None:
    made = [row(method="zero-shot", seed=s) for s in (1, 2)]
    made += [row(method="transclip", transductive=1, seed=s) for s in (1, 2)]
    plain, transductive, *_ = parts_of(made)[1]
    assert "has no run here" not in plain.text
    assert transductive.text.endswith(" The baseline zero-shot has no run here.")
    assert not any(table.name.startswith("gains") for table in tables([transductive]))


@pytest.mark.parametrize(("policy", "warned"), [("none", True), ("full-val", False)])
def test_settings_compared_on_the_test_split_are_warned_of(
    parts_of: Parts, policy: str, warned: bool
) -> None:
    made = [row(settings={"x": x}, policy=policy, seed=s) for x in (1, 2) for s in (1, 2)]
    (part, *_) = parts_of(made)[1]
    assert ("chooses on the test split" in part.text) == warned
    assert "4 runs of 1 method in 2 settings on 1 data set." in part.text


def test_a_sweep_stands_with_its_best_and_has_its_own_part(parts_of: Parts) -> None:
    made = [
        row(method="tip-adapter", settings={"alpha": a}, config={"alpha": a, "beta": a % 2},
            val_score=float(a), accuracy=50.0 - a, seed=s)
        for a in range(1, 8)
        for s in (1, 2)
    ]  # fmt: skip
    made += [row(method="zero-shot", seed=s) for s in (1, 2)]
    (part, *_) = parts_of(made)[1]
    assert part.text.startswith("4 runs of 2 methods on 1 data set.")
    assert "Methods run in more than 6 settings stand here with their defaults" in part.text
    sweep = part.parts[-1]
    assert sweep.title == "Sweep of tip-adapter on animals, 14 runs"
    assert sweep.folded
    assert [figure.name for figure in sweep.figures] == [
        f"sweep-rn50-openai-none-tip-adapter-animals-{end}" for end in ("parallel", "alpha", "beta")
    ]
    # Nothing but shots varies: that is no sweep.
    rest = [row(settings={"word": w}, config={"word": w}, shots=k) for w in "ab" for k in (1, 2)]
    assert not any("Sweep" in inner.title for inner in parts_of(rest)[1][0].parts)


def test_seconds_are_those_of_the_most_shots_and_all_data_sets(parts_of: Parts) -> None:
    figure = parts_of(frame())[1][0].figures[-1]
    assert figure.title == "Accuracy against seconds, average"
    assert figure.note.startswith("At 4 shots, medians of the clock seconds")
    points = {point["line"]: point for point in figure.spec["data"]["values"]}
    assert points["tip-adapter"]["seconds"] == pytest.approx(0.3)
    own = frame()[lambda f: (f["method"] == "tip-adapter") & (f["shots"] == 4)]
    assert points["tip-adapter"]["mean"] == pytest.approx(own["accuracy"].mean(), abs=1e-4)
    # Where no line has so many shots on every data set, they are those of the runs there are.
    made = frame()[lambda f: (f["shots"] == 1) | (f["dataset"] == "plants")]
    points = parts_of(made)[1][0].figures[-1].spec["data"]["values"]
    assert {point["line"] for point in points} == {"zero-shot", "gda", "tip-adapter"}


def test_accuracy_stands_against_the_processors_seconds(parts_of: Parts) -> None:
    """Those of the clock lie where something else ran; what has no others says so."""
    made = frame().assign(fit_processor_seconds=0.01)
    figure = parts_of(made)[1][0].figures[-1]
    values = figure.spec["data"]["values"]
    assert {(v["seconds"], v["label"]) for v in values} == {
        (0.01, "zero-shot"), (0.01, "gda"), (0.01, "tip-adapter"),
    }  # fmt: skip
    assert "processor seconds" in figure.note
    assert "processor seconds" in json.dumps(figure.spec)
    made.loc[made["method"] == "gda", "fit_processor_seconds"] = None
    figure = parts_of(made)[1][0].figures[-1]
    found = {v["label"]: v["seconds"] for v in figure.spec["data"]["values"]}
    assert found == pytest.approx({"zero-shot": 0.01, "gda (clock)": 0.2, "tip-adapter": 0.01})
    assert "(clock): those of the clock" in figure.note


def test_a_section_of_other_sets_shows_the_source_and_the_mean(parts_of: Parts) -> None:
    """Not a figure for each of ten targets; the table that a paper wants is open and first."""
    made = [
        r
        for shots in (1, 4)
        for s in (1, 2)
        for m in ("zero-shot", "gda")
        for r in elsewhere(method=m, seed=s, shots=shots)
    ]
    (part, *_) = parts_of(made)[1]
    name = "rn50-openai-domain-generalization-birds-none"
    assert [figure.name for figure in part.figures] == [
        f"over-shots-{name}-birds", f"over-shots-{name}-mean-of-targets", f"seconds-{name}",
    ]  # fmt: skip
    assert part.text == (
        "8 runs of 2 methods fitted on birds and scored on 2 other sets. Bars: 95 % t-intervals "
        "over seeds."
    )
    assert [(inner.title, inner.folded) for inner in part.parts] == [
        ("4 shots, all methods", False),
        ("1 shot, all methods", False),
        ("Over shots, all methods", True),
    ]


def test_lines_are_ranked_by_other_sets_where_there_are_any() -> None:
    better_at_home = [
        {**r, "accuracy": r["accuracy"] + (30 if r["target"] == "birds" else -1)}
        for r in elsewhere(method="ncm")
    ]
    section = section_of(pandas.DataFrame([*better_at_home, *elsewhere()]))
    assert rank(section.rows) == ["gda", "ncm"]


def test_seconds_of_other_sets_are_those_where_all_were_scored(parts_of: Parts) -> None:
    made = [*elsewhere(shots=4), *elsewhere(shots=16)[:2]]
    (part, *_) = parts_of(made)[1]
    assert part.figures[-1].note.startswith("At 4 shots")


def test_where_nothing_was_fitted_there_are_no_seconds(parts_of: Parts) -> None:
    (part, *_) = parts_of(elsewhere(fit_seconds=None))[1]
    assert [figure.name.partition("-")[0] for figure in part.figures] == ["over", "over"]
    over = [table for table in part.parts[-1].tables if table.name.startswith("shots-")]
    assert [table.rows[0][-1] for table in over] == ["–", "–"]


def test_what_others_published_under_other_policies_stands_below_by_itself(
    tmp_path: Path,
) -> None:
    made = frame(methods=("gda",), datasets=("eurosat",), shots=(16,), seeds=(1,))
    report(runs(made.assign(policy="full-val")), tmp_path, "results.sqlite")
    ours = (tmp_path / "tables" / "accuracy-rn50-openai-full-val-16-shot.md").read_text()
    theirs = (tmp_path / "tables" / "published-rn50-openai-full-val-16-shot-none.md").read_text()
    assert "| tip-adapter, published" in ours
    assert "| zero-shot, published" not in ours
    assert "| zero-shot, published" in theirs
    assert "| gda | " not in theirs


def test_a_notebook_shows_the_figures_of_rows() -> None:
    shown = build.figures(frame(methods=("zero-shot", "gda"), datasets=("eurosat",)))
    found = shown._repr_html_()
    inside = [*figures([shown])]
    assert found.count("<img ") == len(inside) > 0
    assert all(figure.title in found for figure in inside)
    with pytest.raises(CacheError, match="no finished run"):
        build.figures(frame(methods=("gda",), datasets=("eurosat",))[:0])
