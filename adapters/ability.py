"""What a task takes: which methods, shots, policies and texts, and why not the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters import registry
from adapters.compose import get
from adapters.experiment import Configured, Experiment, spelt_out
from adapters.method import refuse_new_classes
from adapters.problems.reading import CONCEPT
from featcache.draws import BALANCED, Shots
from featcache.errors import ConfigError, FeatcacheError, MethodError

if TYPE_CHECKING:
    from featcache.store.entry import Entry

SHOTS, POLICY = 16, "few-shot-val"  # where neither words nor task say so


def usual(task: str, shots: Shots | None, policy: str | None) -> tuple[Shots, str]:
    """Shots and policy of a task where they were left open."""
    known = registry.task(task)
    asked = known.shots or SHOTS if shots is None else shots
    return asked, policy or (*known.policies, POLICY)[0]


def refusal(method: str, task: str, text: str | None = None) -> MethodError | None:
    """Why a method cannot do a task, or None where it can.

    New classes need scores that come of their names; where no text is shown a method has to do
    without.
    """
    known, asked = registry.task(task), get(method)
    if known.new_classes and asked.with_text is None:
        return refuse_new_classes(method)
    if known.solve is None:
        return None
    if asked.choose is not None:
        return MethodError(
            f"{method} is made of methods that choose their settings one after the other, and "
            f"{task} chooses once for all problems; take one of its methods by itself."
        )
    if asked.needs:
        return MethodError(
            f"{method} needs {' and '.join(sorted(asked.needs))}, which problems do not have; take "
            "a method that does without (gda, ncm, …)."
        )
    if text is None and not asked.without_text:
        return MethodError(
            f"{method} needs texts of the classes, and in {task} the name of the concept is the "
            f"answer; take a method that does without (gda, ncm, …), or show it by --text "
            f"{CONCEPT}, as rows then say."
        )
    return None


def check_entry(entry: Entry, known: Configured) -> None:
    """Raise `MethodError` where an entry is without text or lengths that the method cannot lack.

    Nothing is read but its manifest.
    """
    words, task = known.experiment, registry.task(known.experiment.task)
    if entry.textless and task.solve is None and words.bank is None:
        way = "import it again with `featcache import … --text FILE`"
        if task.new_classes:
            raise MethodError(
                f"{words.task} tells new classes apart by their names, and {entry.key} was "
                f"imported without text; {way}."
            )
        if not known.method.without_text:
            raise refuse_textless(words.method, f"{entry.key} was imported without", way)
    if entry.manifest.get("normalised") and known.method.raw(known.config):
        raise MethodError(
            f"{words.method} with these settings reads the lengths of embeddings, and those of "
            f"{entry.key} were normalised before they were imported; leave embeddings at unit, or "
            "encode the pictures."
        )


def refuse_textless(method: str, why: str, way: str) -> MethodError:
    """The refusal of a method that needs text, why there is none and the way to it."""
    return MethodError(
        f"{method} needs texts of the classes, and {why}; {way}, or take a method that does "
        "without (gda, ncm, …)."
    )


def why_not(task: str) -> str:
    """Why a task leaves methods out, of all of them at once."""
    if registry.task(task).solve is None:
        return (
            "their parameters belong to the classes that they were fitted on, and its targets have "
            "others"
        )
    return f"they need texts or features that problems do not have (see --text {CONCEPT})"


def check(experiment: Experiment) -> None:
    """Raise `MethodError` or `ConfigError` where the task does not take the experiment's words."""
    words = spelt_out(experiment)
    if unable := refusal(words.method, words.task, words.text):
        raise unable
    if refused := _refused(words):
        raise refused


def _refused(words: Experiment) -> FeatcacheError | None:
    name, task = words.task, registry.task(words.task)
    if words.text not in (None, *task.texts):
        known = f"take --text {' or '.join(task.texts)}" if task.texts else "leave --text out"
        return ConfigError(f"{name} has no text {words.text!r} to show; {known}.")
    if task.policies and words.policy not in task.policies:
        return ConfigError(
            f"{name} chooses settings on its lists of validation problems or not at all, and "
            f"policy {words.policy} is neither; take --policy {' or '.join(task.policies)}."
        )
    if task.shots and words.shots != task.shots:
        return ConfigError(
            f"problems of {name} come with {task.shots} pictures a class, not {words.shots}; leave "
            "--shots out."
        )
    if task.solve and words.draw != BALANCED:
        return ConfigError(f"problems of {name} come with their pictures; leave --draw out.")
    if task.solve and words.bank and not words.text:
        return ConfigError(
            f"{name} shows no text unless it is asked for; add --text {' or '.join(task.texts)}, "
            "or leave --prompts out."
        )
    return None
