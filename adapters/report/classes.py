"""One run looked at class by class: fitted again from its row, beside the baseline on its draw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.report.parts import Figure, Part, Spec, of_shots
from adapters.report.vega import COLOURS, data, layered, name, tips
from featcache.drawn import PREFIX
from featcache.draws import ALL, BALANCED, NATURAL
from featcache.errors import CacheError, FeatcacheError

if TYPE_CHECKING:
    import pandas
    from torch import Tensor

    from featcache.store.cache import FeatureCache

SHARE = "% of the true class"
LONGEST = 60.0  # seconds; a longer fit is made again only where somebody names the run
MOST_CLASSES = 40  # of a confusion matrix that can still be read; beyond it, pairs
NEAR = 0.5  # points of accuracy within which a run counts as repeated


@dataclass(frozen=True)
class Refitted:
    """Predictions of a run and of the baseline for the same test pictures."""

    classnames: tuple[str, ...]
    labels: Tensor  # [q]
    predicted: Tensor  # [q]
    baseline: Tensor  # [q]


def part(
    runs: pandas.DataFrame, run: str | None, baseline: str, cache: FeatureCache | None
) -> Part:
    """The chapter of one run: `run`, or else the most accurate that can be repeated in a minute.

    Where it cannot be fitted again the chapter says why instead of showing figures.
    """
    title = "Class by class"
    row = _row(runs, run)
    if row is None:
        return Part(title, f"Left out: no finished run has the id {run}.")
    said = (
        f"{row['line']} on {row['dataset']}, {row['backbone']}, {of_shots(row['shots'])}, "
        f"seed {row['seed']}, policy {row['policy']} (run {row['run']})"
    )
    if reason := _refusal(row, run is not None):
        return Part(title, f"Left out: {said} cannot be shown, for {reason}")
    try:
        refitted, accuracy = refit(row, baseline, cache)
    except FeatcacheError as error:
        return Part(title, f"Left out: {said} could not be fitted again: {error}")
    text = f"{said}: fitted again, {accuracy:.2f} % (its row says {row['accuracy']:.2f} %)."
    if abs(accuracy - row["accuracy"]) > NEAR:
        text += " They differ, so its code or its features have changed since."
    return Part(
        title,
        text,
        [
            Figure("class-gains", f"Gain over {baseline} by class", gains(refitted), _GAINS),
            Figure("confusion", "Confusions", confusion(refitted), _CONFUSION),
        ],
    )


def refit(row: Any, baseline: str, cache: FeatureCache | None) -> tuple[Refitted, float]:
    """Fit the run of a results row again, and the baseline on its draw.

    Raises what `adapters.fitting.run` raises, `CacheError` where the entry is gone or the draw was
    that of a file, which a row does not hold.
    """
    if str(row["draw"]).startswith(PREFIX):
        raise CacheError(f"the draw {row['draw']} is not kept in results; fit it again by itself.")
    from featcache.store.cache import FeatureCache

    entry = (cache or FeatureCache()).get(str(row["entry"]))

    # Imported late, for torch is slow to load and of no use where the entry is gone.
    from adapters.experiment import Experiment
    from adapters.fitting import draw_for, run

    settings = json.loads(row["settings"] or "{}")
    experiment = Experiment(
        str(row["method"]), int(row["shots"]) or ALL, int(row["seed"]), str(row["policy"]),
        settings, row["bank"] or None, int(row["views"]),
        draw=NATURAL if row["draw"] == NATURAL else BALANCED,
    )  # fmt: skip
    drawn = draw_for(entry, experiment)
    test = drawn.test
    outcome = run(entry, experiment, drawn)
    plain = Experiment(baseline, experiment.shots, experiment.seed, experiment.policy, {},
                       experiment.bank, experiment.views, draw=experiment.draw)  # fmt: skip
    other = run(entry, plain, drawn)
    return Refitted(
        outcome.adapter.classnames,
        test.labels,
        outcome.adapter.logits(test.query).argmax(1),
        other.adapter.logits(test.query).argmax(1),
    ), float(outcome.row["accuracy"])


def gains(refitted: Refitted) -> Spec:
    """Bars of each class's accuracy less that of the baseline; of many classes the extremes."""
    import pandas

    rows = []
    for c, classname in enumerate(refitted.classnames):
        own = refitted.labels == c
        if not own.any():
            continue
        after, before = (
            100 * float((p[own] == c).double().mean())
            for p in (refitted.predicted, refitted.baseline)
        )
        shown = {"class": classname, "gain": after - before, "accuracy": after, "baseline": before}
        rows.append({**shown, "pictures": int(own.sum())})
    found = pandas.DataFrame(rows).sort_values("gain", ascending=False, kind="stable")
    if len(found) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        found = pandas.concat([found.head(half), found.tail(half)])
    colour = {"condition": {"test": "datum.gain >= 0", "value": COLOURS[0]}, "value": COLOURS[1]}
    return _bars(found, "gain", "gain, points", "class", {"color": colour})


def confusion(refitted: Refitted) -> Spec:
    """The confusion matrix in per cent of each true class; of many classes the worst pairs."""
    import pandas
    import torch

    names = list(refitted.classnames)
    c = len(names)
    flat = refitted.labels * c + refitted.predicted
    counts = torch.bincount(flat, minlength=c * c).reshape(c, c).double()  # [true, predicted]
    shares = 100 * counts / counts.sum(1, keepdim=True).clamp(min=1)
    rows = pandas.DataFrame(
        [
            {"true": names[i], "predicted": names[j],
             "share": float(shares[i, j]), "pictures": int(counts[i, j])}
            for i, j in counts.nonzero().tolist()
        ]
    )  # fmt: skip
    if c > MOST_CLASSES:
        wrong = rows[rows["true"] != rows["predicted"]]
        wrong = wrong.sort_values("share", ascending=False, kind="stable").head(MOST_CLASSES)
        wrong = wrong.assign(pair=wrong["true"] + " → " + wrong["predicted"])
        return _bars(wrong, "share", SHARE, "pair", {"color": {"value": COLOURS[1]}})
    # The paper shines through, white or black; one picture in a hundred is seen on both.
    shades = {"domain": [0, 100], "range": [0.2, 1]}
    legend = {
        "orient": "top", "title": SHARE, "values": [1, 25, 50, 75, 100], "symbolType": "square",
        "symbolFillColor": COLOURS[0], "symbolStrokeWidth": 0,
    }  # fmt: skip
    encoding = {
        "x": name("predicted", scale={"domain": names}, axis={"labelAngle": -60, "labelLimit": 90}),
        "y": name("true", scale={"domain": names}, axis={"labelLimit": 90}),
        "color": {"value": COLOURS[0]},
        "opacity": {"field": "share", "type": "quantitative", "scale": shades, "legend": legend},
        "tooltip": tips(*rows),
    }
    size = {"width": 360, "height": max(160, 18 * c)}
    return layered(data(rows), [{"mark": "rect", "encoding": encoding}], **size)


def _bars(rows: pandas.DataFrame, value: str, title: str, label: str, more: Spec) -> Spec:
    """A bar a row, in the order of the rows."""
    encoding = {
        "x": {"field": value, "type": "quantitative", "title": title},
        "y": name(label, sort=None, title=None, axis={"labelLimit": 150}),
        "tooltip": tips(*rows),
    }
    layers = [{"mark": "bar", "encoding": {**encoding, **more}}]
    return layered(data(rows), layers, width=340, height=15 * len(rows) + 20)


def _row(runs: pandas.DataFrame, run: str | None) -> Any:
    if run is not None:
        named = runs[runs["run"] == run]
        return None if named.empty else named.iloc[0]
    plain = (runs["task"] == "few-shot") & ~runs["policy"].isin(("oracle-test", "transfer"))
    quick = runs[plain & (_wait(runs) <= LONGEST)]
    quick = quick if len(quick) else runs
    return quick.iloc[int(quick["accuracy"].to_numpy().argmax())]


def _refusal(row: Any, named: bool) -> str:
    if row["task"] != "few-shot":
        return f"only few-shot runs are fitted again, and its task is {row['task']}."
    if row["policy"] == "transfer":
        return "a row does not say which data set its settings were transferred from."
    if _wait(row) > LONGEST and not named:
        return f"it took {_wait(row):.0f} s; name it with --run {row['run']} all the same."
    return ""


def _wait(runs: Any) -> Any:
    """How long to fit again takes: by the clock, or by the processor where others had a share."""
    import numpy as np

    return np.minimum(*(np.asarray(runs[name], float) for name in ("fit_seconds", "seconds")))


_GAINS = f"Sorted; of more than {MOST_CLASSES} classes the greatest gains and losses."
_CONFUSION = (
    "Rows are true classes, columns predictions, per cent of the row; nothing is drawn where "
    f"nothing was predicted. Of more than {MOST_CLASSES} classes the most frequent confusions."
)
