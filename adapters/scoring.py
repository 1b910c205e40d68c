"""Scores of a fitted adapter: on the targets beside its draw, and on any other cached set."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from adapters import registry
from adapters.adapter import Adapter
from adapters.compose import get
from adapters.confidence.measures import Confidence, Scored, confidence, scored
from adapters.devices.device import moved, name_of, wait
from adapters.drawing import classes_of, pictures_of, text_of
from adapters.episode import Draw, Target
from adapters.evaluate import class_shares, share
from adapters.matching import Classes, columns
from adapters.run_identity import code_version, target_features
from adapters.targets import UNKNOWN, same_weights
from featcache import threads
from featcache.drawn import PREFIX, Drawn
from featcache.draws import ALL, NATURAL, Shots
from featcache.errors import CacheError, EpisodeError, MethodError
from featcache.store.entry import Entry
from featcache.store.sameness import data_id

Row = dict[str, Any]

# What an adapter and the entry that it is scored on have in common, in words.
BETWEEN = {
    "classes": "the classes",
    "fingerprint": "weights with the fingerprint",
    "support": "the pictures",
}
SAME_CLASSES, OTHER_CLASSES = "domain-generalization", "cross-dataset"


@dataclass(frozen=True)
class Score:
    """How an adapter does on one target: accuracies in per cent, of all and of each class.

    `strict` counts among all classes of the adapter where the target has only some of them; it is
    None where the target has others. What confidence is worth is told of the logits as they are,
    `raw`, and, where the adapter is calibrated, at its temperature.
    """

    target: str
    accuracy: float
    n_test: int
    by_class: dict[str, float]
    strict: float | None = None
    seconds: float = 0.0
    raw: Confidence | None = None
    calibrated: Confidence | None = None

    @property
    def confidence(self) -> Row:
        """What its confidence is worth, as columns of a row: as it is, and calibrated."""
        found = {} if self.raw is None else self.raw.row
        if self.calibrated is None:
            return found
        told = self.calibrated.row
        shown = {"ece_calibrated": told["ece"], "nll_calibrated": told["nll"]}
        return {**found, **shown, "confidence": told["confidence"]}


def score_target(adapter: Adapter, target: Target) -> Score:
    """Score the target's pictures among its classes.

    Raises `MethodError` where scores are not finite, for they would still have an accuracy, and
    what `Adapter.with_text` and `Adapter.answer` raise. A label is looked at when the scores of its
    picture are there, of which no more are kept than is told of them.
    """
    began, looking = time.perf_counter(), 0.0
    target = moved(target, adapter.device)
    asked = adapter if target.text is None else adapter.with_text(target.text)
    kept = [*range(len(asked.classnames))] if target.columns is None else [*target.columns]
    own = torch.tensor(kept, device=adapter.device)  # [k]
    heats = [*dict.fromkeys((1.0, asked.temperature))]
    bad = 0

    def see(rows: slice, every: Tensor) -> list[Tensor]:
        nonlocal bad, looking
        wait(adapter.device)  # else the look would wait for the answer, and the clock leave it out
        seen = time.perf_counter()
        labels = target.pictures.labels[rows]
        logits = every if target.columns is None else every[:, own]  # [m, k]
        bad += _not_finite(every)
        found = [each for heat in heats for each in scored(logits, labels, heat)]
        if target.columns is not None:
            found.append(every.argmax(1) == own[labels])
        looking += time.perf_counter() - seen
        return found

    told = asked.answer(target.pictures.query, see)
    seconds = time.perf_counter() - began - looking
    labels = target.pictures.labels
    if bad:
        raise MethodError(
            f"{adapter.method} gives scores that are not finite to {bad} of {len(labels)} pictures "
            f"of {target.name}, so it has no accuracy; fit it with other settings (such as a lower "
            "learning rate)."
        )
    first, *more = (Scored(*told[4 * i : 4 * i + 4]) for i in range(len(heats)))
    right = first.guess == labels
    by_class = zip(
        (asked.classnames[i] for i in kept),
        class_shares(first.guess, labels, len(kept)).tolist(),
        strict=True,
    )
    return Score(
        target.name,
        share(right),
        len(labels),
        _named(by_class),
        share(right if target.columns is None else told[-1]) if target.text is None else None,
        seconds,
        confidence(first, labels),
        confidence(more[0], labels) if more else None,
    )


def _not_finite(logits: Tensor) -> int:
    """How many pictures have a score that is not finite."""
    # The sum of a row is finite only if all of it is, and a third as dear to look at.
    if bool(logits.sum(1).isfinite().all()):
        return 0
    return int((~logits.isfinite().all(1)).sum())


def _named(pairs: Any) -> dict[str, float]:
    """Accuracies by name; a name that stands again (ImageNet has two missiles) gets a number."""
    found: dict[str, float] = {}
    for label, (name, value) in enumerate(pairs):
        found[name if name not in found else f"{name} ({label})"] = value
    return found


@threads.for_work(0)  # but for `Adapter.logits` of many pictures
def score(adapter: Adapter, entry: Entry) -> list[Score]:
    """How a saved adapter does on the targets of its task that lie beside its own draw of `entry`.

    Raises `CacheError` where they are not of what it was fitted on, and what drawing and
    `score_target` raise.
    """
    drawn = registry.task(adapter.told("task")).draw(
        entry,
        _shots(adapter),
        adapter.told("seed"),
        bank=adapter.told("bank"),
        views=0,
        extras=adapter.extras,
        **_way(adapter),
    )
    _check_fits(adapter, entry, drawn)
    if not drawn.targets:
        raise EpisodeError(
            f"{entry.dataset} has no test split; name another set with --dataset, or one of its "
            "own splits with --split."
        )
    return [score_target(adapter, target) for target in drawn.targets]


def _way(adapter: Adapter) -> dict[str, Any]:
    """How its draw differs from CoOp's, as a keyword of a task's `draw`: of a file the pictures."""
    way = str(adapter.about.get("draw", ""))
    if way.startswith(PREFIX):
        name, _, digest = way.removeprefix(PREFIX).rpartition("@")
        return {"kind": Drawn(name, digest, tuple(adapter.told("support")))}
    return {"kind": NATURAL} if way == NATURAL else {}


def _shots(adapter: Adapter) -> Shots:
    """The shots that were asked for; the adapter itself says how many they were."""
    way = str(adapter.about.get("draw"))
    shots: Shots = ALL if way == ALL or way.startswith(PREFIX) else adapter.told("shots")
    return shots


@threads.for_work(0)
def score_on(
    adapter: Adapter, entry: Entry, split: str = "test", bank: str | None = None
) -> tuple[Score, Row]:
    """How a saved adapter does on a split of any entry of its backbone, and the row of it.

    Where all classes of the entry are the adapter's they are told apart by its scores for them;
    where they are others, by their names (`with_text`, with prompts of the entry: `bank`, or the
    newest). Raises `CacheError` for another backbone, `MethodError` where the method has scores for
    no other classes, `EpisodeError` for a split that there is not.
    """
    check_backbone(adapter, entry)
    pictures = pictures_of(entry, adapter.told("seed"), adapter.extras, split)
    name = entry.dataset if split == "test" else f"{entry.dataset} ({split})"
    mine = Classes(adapter.told("dataset"), adapter.classnames, class_ids(adapter))
    try:
        target = Target(name, pictures, columns=columns(mine, classes_of(entry)))
    except EpisodeError as error:
        if get(adapter.method).with_text is None:
            raise MethodError(
                f"{adapter.method} has parameters for the classes it was fitted on and none for "
                f"new ones, and {str(error).partition(';')[0]}; fit it on {entry.dataset}, or take "
                "a method that scores names (zero-shot, fma, …)."
            ) from None
        target = Target(name, pictures, text_of(entry, bank))
    scored = score_target(adapter, target)
    read = target_features(entry, adapter.extras, target.text is not None, bank, split)
    return scored, _row(adapter, entry, target, scored, read)


def class_ids(adapter: Adapter) -> tuple[str, ...]:
    """What tells the adapter's classes apart where names do not; empty if it does not say."""
    return tuple(adapter.about.get("class_ids", ()))


def seen(adapter: Adapter, entry: Entry, split: str) -> int:
    """How many pictures of a split of its own entry the adapter was fitted on."""
    if entry.key != adapter.about.get("entry") or split == "test":
        return 0
    return len({*entry.ids(split)} & {*adapter.about.get("support", ())})


def check_backbone(adapter: Adapter, entry: Entry) -> None:
    """Raise `CacheError` where the entry is not of the backbone that the adapter was fitted on."""
    held, about = entry.manifest["backbone"], adapter.about
    prints = (str(about.get("fingerprint", UNKNOWN)), str(held["fingerprint"]))
    if about.get("backbone") != entry.backbone or not same_weights(about, held):
        raise CacheError(
            f"the adapter was fitted on {about.get('backbone')} (weights {prints[0][:16]}), and "
            f"{entry.key} is of {entry.backbone} (weights {prints[1][:16]}); encode "
            f"{entry.dataset} with the adapter's, or fit on this one."
        )


def _check_fits(adapter: Adapter, entry: Entry, drawn: Draw) -> None:
    """Raise `CacheError` where the entry's draw is not the one that the adapter was fitted on.

    Other pictures beside those it was fitted on, or under their names, are no hindrance.
    """
    held, before = entry.manifest["backbone"], adapter.about.get("fingerprint")
    theirs = {
        "classes": drawn.episode.text.classnames,
        # Adapters of before have a hash of the weights alone.
        "fingerprint": before if before == held.get("weights", "") else held["fingerprint"],
        "support": drawn.episode.support.ids,
    }
    for what, found in theirs.items():
        own = adapter.classnames if what == "classes" else adapter.about.get(what, found)
        if list(own) != list(found):
            raise CacheError(
                f"the adapter was fitted on {BETWEEN[what]} {_brief(own)}, and {entry.key} has "
                f"{_brief(found)}; take the entry it was fitted on, or fit it again."
            )


def _brief(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value[:16]
    return ", ".join(value[:6]) + (f", … ({len(value)})" if len(value) > 6 else "")


def _row(adapter: Adapter, entry: Entry, target: Target, scored: Score, read: Sequence[str]) -> Row:
    """The row of an adapter on another set; it has no seconds of a fit, for nothing was fitted."""
    about = {key: value for key, value in adapter.about.items() if key not in OF_THE_ADAPTER}
    if "features" not in about:  # of before, whose `data` was another hash
        about.pop("data", None)
    task = OTHER_CLASSES if target.text is not None else SAME_CLASSES
    return {
        **about,
        "run": _run(adapter, target, read),
        "shots": _shots(adapter),
        "task": task,
        "target": target.name,
        "target_entry": entry.key,
        "target_data": data_id(entry),
        "method": adapter.method,
        "transductive": get(adapter.method).transductive,
        "settings": adapter.about.get("settings", {}),
        "config": asdict(adapter.config),
        "code": code_version(adapter.method, task),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "accuracy": scored.accuracy,
        "strict_accuracy": scored.strict,
        "n_test": scored.n_test,
        "predict_seconds": scored.seconds,
        **scored.confidence,
        "temperature": adapter.temperature,
        "device": name_of(adapter.device),
        "status": "done",
    }


# What `about` says and no row does.
OF_THE_ADAPTER = ("weights", "width", "logit_scale", "support", "class_ids", "calibration")


def _run(adapter: Adapter, target: Target, read: Sequence[str]) -> str:
    """The id of asking this adapter of that: the same question again is the same run."""
    digest = hashlib.sha256()
    for name, tensor in sorted(adapter.state.items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    told = [
        "evaluate", adapter.method, asdict(adapter.config), adapter.classnames,
        dict(adapter.about), digest.hexdigest(), target.name, *read,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
