"""Result rows made ready: which are done, which may stand side by side, what each line is called.

Rows of different backbone, task, measure, policy, draw or transductive flag are different sections;
within one, each data set has its own column and figure. A measure is what a task's target is called
where that is no data set, such as the base and the new classes, and what they add up to. Settings,
prompts, views, cache entries or other features that differ make different lines. Of several runs of
one line at one draw (after a change of code) the newest counts.

Rows of a task that is scored on other sets have a source, and stand in one section: their data set
is the one that they were scored on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.compose import get
from adapters.registry import LEFT_OUT
from adapters.report.labels import SPLIT, apart, labelled
from adapters.report.parts import EVERY, slug
from adapters.report.timing import timed
from adapters.results import read as rows_of
from featcache.draws import ALL, BALANCED, NATURAL
from featcache.errors import CacheError

if TYPE_CHECKING:
    import pandas

APART = ("backbone", "task", "source", "measure", "policy", "transductive", "draw")
SUMMARIES = ("harmonic_mean",)
RUN = ("dataset", "line", "shots", "seed")
DRAWN = {NATURAL: "classes as they occur", ALL: "every training picture"}
SWEPT = 6  # lines of one method that are still compared with others; more are a sweep


@dataclass(frozen=True)
class Section:
    """Rows that may stand side by side, with a column `line` that names method and settings."""

    backbone: str
    task: str
    policy: str
    transductive: bool
    rows: pandas.DataFrame
    measure: str = ""
    draw: str = BALANCED
    source: str = ""

    @property
    def problems(self) -> bool:
        """Whether they are of lists of problems, with a standard error over these."""
        return "standard_error" in self.rows and bool(self.rows["standard_error"].notna().any())

    @property
    def title(self) -> str:
        """Such as `RN50:openai, policy full-val`."""
        task = "" if self.task == "few-shot" else f", {self.task}"
        source = f" on {self.source}" if self.problems else f" from {self.source}"
        task += source if self.source else ""
        task += f" ({self.measure})" if self.measure else ""
        kind = ", transductive methods" if self.transductive else ""
        draw = "" if self.draw == BALANCED else f", {DRAWN.get(self.draw, self.draw)}"
        return f"{self.backbone}{task}{draw}, policy {self.policy}{kind}"

    @property
    def name(self) -> str:
        """The title as part of a file name."""
        task = "" if self.task == "few-shot" else self.task
        kind = "transductive" if self.transductive else ""
        draw = "" if self.draw == BALANCED else self.draw
        return slug(self.backbone, task, self.source, self.measure, self.policy, draw, kind)

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, in order of the alphabet; the source before its targets."""
        if not self.source:
            return sorted(self.rows["dataset"].unique())
        held = list(dict.fromkeys(self.rows["dataset"]))  # targets as they were asked for
        return sorted(held, key=lambda name: name != self.source)

    @property
    def shots(self) -> list[int]:
        """Numbers of shots, ascending."""
        return sorted(int(k) for k in self.rows["shots"].unique())


@dataclass(frozen=True)
class Runs:
    """What a results file holds: finished rows, failed rows, and how many were superseded."""

    done: pandas.DataFrame
    failed: pandas.DataFrame
    superseded: int

    @property
    def count(self) -> int:
        """How many finished runs there are; one with several targets has several rows."""
        return int(self.done["run"].nunique())

    def sections(self) -> Iterator[Section]:
        """The rows by what may stand side by side.

        Few-shot comes before other tasks, what targets add up to after these, and what is
        transductive last.
        """
        order = ["transductive", "backbone", "task", "source", "measure", "draw", "policy"]
        found = []
        for key, rows in self.done.groupby(order, sort=True):
            transductive, backbone, task, source, measure, draw, policy = map(str, key)
            apart = transductive == str(True)
            found.append(Section(backbone, task, policy, apart, rows, measure, draw, source))
        yield from sorted(found, key=_place)


def _place(section: Section) -> tuple[object, ...]:
    """Where a section stands among others, which come by name."""
    summed = section.measure.replace(" ", "_") in SUMMARIES
    few_shot = section.task == "few-shot"
    return (
        section.transductive,
        section.backbone,
        not few_shot,
        section.task,
        section.source,
        summed,
    )


def read(path: Path | str, where: Sequence[str] = ()) -> Runs:
    """The runs of a results file that fulfil every condition `column=value[,value]`.

    Raises `CacheError` where there is no file or no finished run is left, `ConfigError` and
    `UnknownNameError` for a condition that is none.
    """
    found = runs(rows_of([Path(path)], where))
    if found.done.empty:
        raise CacheError(
            f"{path} holds no finished run{' that fulfils --where' * bool(where)}; fit first, or "
            "take away conditions."
        )
    return found


def runs(frame: pandas.DataFrame) -> Runs:
    """Split a results frame into finished and failed rows, and name data sets and lines."""
    frame = labelled(frame)
    if "target_entry" not in frame:  # of an earlier version
        frame = frame.assign(target_entry=None)
    scored = frame["accuracy"].notna()
    if "status" in frame:
        scored &= frame["status"].fillna("done") == "done"
    done = frame[scored]
    every = done["shots"] == ALL  # a column of its own, and no place on an axis of shots
    done = done.assign(shots=done["shots"].mask(every, EVERY), draw=_draws(done))
    done = done.astype({"shots": int, "seed": int, "accuracy": float})
    done = done.assign(transductive=done["transductive"].astype(float).fillna(0).astype(bool))
    if "text" in done:  # what was shown the answer stands apart from what was not
        shown = done["text"].fillna("").astype(str)
        done = done.assign(task=done["task"] + shown.where(shown == "", ", " + shown))
    done = _measured(done)
    done = done.assign(line=_lines(done)).sort_values("time", kind="stable")
    newest = timed(done.drop_duplicates([*APART, *RUN], keep="last"), [*APART, "line"])
    older = done["run"].nunique() - newest["run"].nunique()
    return Runs(newest, frame[~scored], int(older))


def _draws(done: pandas.DataFrame) -> Any:
    """The draw of each row; rows of before there were several have CoOp's."""
    return done["draw"].fillna(BALANCED) if "draw" in done else BALANCED


def _measured(done: pandas.DataFrame) -> pandas.DataFrame:
    """The rows with what each measures; what the targets of a run add up to is one row more."""
    import pandas

    target = done["target"].fillna(done["dataset"])
    elsewhere = done["target_entry"].notna()
    part = target.str.extract(SPLIT)[0].where(elsewhere).fillna("")
    measures = target.where(~elsewhere & (target != done["dataset"]), part)
    source = done["dataset"].where(elsewhere, "")
    done = done.assign(
        source=source, measure=measures, dataset=done["dataset"].where(~elsewhere, target)
    )
    parts = [done]
    for measure in SUMMARIES:
        if measure in done and (held := done[done[measure].notna()]).size:
            once = held.drop_duplicates("run")
            parts.append(once.assign(accuracy=once[measure], measure=measure.replace("_", " ")))
    return pandas.concat(parts)


def targets(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows less those on the set that was fitted on, where they are of others too."""
    return rows[rows["dataset"] != rows["source"]]


def compared(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of a section by which methods are compared.

    Of a method with more than `SWEPT` lines it is the one with the defaults, else the one that did
    best on validation by its own criterion; where neither can be told, all of them.
    """
    kept = rows["line"].notna()
    for method, own in rows.groupby("method"):
        if own["line"].nunique() > SWEPT and (line := _stands_for(str(method), own)):
            kept &= (rows["method"] != method) | (rows["line"] == line)
    return rows[kept]


def _stands_for(method: str, rows: pandas.DataFrame) -> str | None:
    if (rows["line"] == method).any():
        return method
    if rows["val_score"].isna().any():
        return None
    # Lines are judged where all of them were run.
    cells = rows.pivot_table("val_score", ["dataset", "shots", "seed"], "line").dropna()
    means = cells.astype(float).mean()
    if means.isna().any():
        return None
    lower = get(method).criterion == "cross-entropy" or rows["policy"].isin(LEFT_OUT).any()
    return str(means.idxmin() if lower else means.idxmax())


def _lines(done: pandas.DataFrame) -> list[str]:
    """What each row is called: the method with its settings, and what else tells it apart."""
    # A line has one name on all sets that one fit is scored on.
    fitted = done["source"].where(done["source"] != "", done["dataset"])
    done = done.assign(fitted=fitted)
    same = [*APART, "fitted", "method"]
    names = [
        ", ".join([method, *(f"{k}={_value(v)}" for k, v in json.loads(settings or "{}").items())])
        for method, settings in zip(done["method"], done["settings"], strict=True)
    ]
    for column, say in (("bank", "prompts {}"), ("views", "{} views"), ("entry", "{}")):
        differs = done.groupby(same, dropna=False)[column].transform("nunique") > 1
        names = [
            f"{name}, {say.format(str(value).rpartition('/')[2])}" if many else name
            for name, value, many in zip(names, done[column], differs, strict=True)
        ]
    if "features" not in done:
        return names
    # What is still called the same and read other features, such as prompts encoded anew.
    lines = done.assign(line=names)
    several = lines.groupby([*same, "line"], dropna=False)["features"].transform("nunique") > 1
    return [str(name) for name in apart(lines["line"], lines["features"], several)]


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
