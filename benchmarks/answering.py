"""Processor seconds of answering 20,000 pictures among 1,000 classes, every method, as JSON.

    python benchmarks/answering.py [--methods a,b] [--pictures 20000] [--out FILE]

Made-up features as in imagenet_size.py (512 wide, one view), states by a real fit of a few steps,
one thread, processor seconds, the best of some rounds. Beside each stands what normalising the
pictures and one product with 1,000 class vectors takes in the same rounds (`times`), and what the
products that the method's own equation cannot do without would take at that rate (`of_equation`).
Of an equation the products count that depend on the pictures; what does not (class vectors after a
graph, the weights of a regression) is left out, for it is to be done once. Exponentials, sums over
classes and softmaxes are left out too, so that `of_equation` is above 1 where they weigh.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from imagenet_size import CLASSES, WIDTH, invented
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters import Episode, Query, names
from adapters.compose import get
from adapters.episode import TEXT_TOWER
from adapters.method import Method, State

PICTURES, ROUNDS = 20_000, 3
# How well it was trained does not change what an answer takes.
FEW = {"steps": 2, "iterations": 2, "episodes": 1, "epochs": 1}
TRANSDUCTIVE_SHARE = 10  # of whose pictures a tenth are asked: all are compared with all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    # What needs the text tower is timed by benchmarks/prompt_learning.py.
    own = [name for name in names() if TEXT_TOWER not in get(name).needs]
    parser.add_argument("--methods", default=",".join(own))
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(arguments.methods.split(","), arguments.pictures)
    text = json.dumps(found, indent=1, sort_keys=True)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(text + "\n")


def measured(methods: list[str], pictures: int = PICTURES) -> dict[str, Any]:
    """The machine, and of each method its seconds beside the product's and its equation's."""
    episode, _ = invented(views=0)
    wide, _ = invented(views=0, extras=True)
    rows = {
        name: answered(name, wide if get(name).needs else episode, pictures) for name in methods
    }
    return {
        "pictures": pictures,
        "classes": CLASSES,
        "width": WIDTH,
        "threads": torch.get_num_threads(),
        "methods": rows,
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def answered(name: str, episode: Episode, pictures: int) -> dict[str, float]:
    """Seconds of the method, of the product, and how many times the one is of the other."""
    method = get(name)
    config = short(method)
    state = method.fit(episode, config, Generator().manual_seed(0))
    asked = pictures // TRANSDUCTIVE_SHARE if method.transductive else pictures
    query = made_up(episode, asked)
    classes = normalize(torch.randn(CLASSES, WIDTH), dim=-1)
    # In turn, so that a busy neighbour slows both.
    own, plain = [], []
    for _ in range(ROUNDS):
        plain.append(seconds(lambda: normalize(query.x, dim=-1) @ classes.T))
        own.append(seconds(lambda: method.answer(state, config, query, CLASSES)))
    needed = EQUATIONS.get(name, cosine)(asked, state, config) / cosine(asked, state, config)
    return {
        "seconds": round(min(own), 3),
        "product_seconds": round(min(plain), 3),
        "pictures": asked,
        "times": round(min(own) / min(plain), 2),
        "equation": round(needed, 2),
        "of_equation": round(min(own) / min(plain) / needed, 2),
    }


def short(method: Method) -> Any:
    """The method's config with few steps of training."""
    config = method.config()
    known = {field.name for field in fields(config)} & {*FEW}
    return replace(config, **{name: min(FEW[name], getattr(config, name)) for name in known})


def made_up(episode: Episode, pictures: int) -> Query:
    """Raw embeddings near the class texts, and pre-projection features where the fit had some."""
    g = Generator().manual_seed(1)
    text = episode.text.unit()[torch.arange(pictures) % CLASSES]
    x = 10 * normalize(text + torch.randn(text.shape, generator=g) / WIDTH**0.5, dim=-1)
    if episode.projection is None:
        return Query(x)
    return Query(x, pre=x @ episode.projection.weight.T)


def seconds(work: Callable[[], Tensor]) -> float:
    """Processor seconds of one call."""
    with torch.inference_mode():
        began = time.process_time()
        work()
        return time.process_time() - began


# What each equation multiplies, in floating-point operations on so many pictures. A product of
# `[q, n]` with `[n, m]` is 2 q n m of them, and `chain` those of one product after the other.


def chain(q: int, *widths: int) -> float:
    return sum(2.0 * q * n * m for n, m in pairwise(widths))


def cosine(q: int, state: State, config: Any) -> float:
    """f T^T."""
    return chain(q, WIDTH, CLASSES)


def bottleneck(q: int, state: State, config: Any) -> float:
    """relu(W2 relu(W1 g)), then f' T^T."""
    hidden, d = state.get("down", state.get("visual.down", torch.empty(0))).shape
    return chain(q, d, hidden, d) + cosine(q, state, config)


def hyperbolic(q: int, state: State, config: Any) -> float:
    """A1 relu(A0 f) of the image side, then f' t'^T."""
    return chain(q, WIDTH, len(state["image.0"]), WIDTH) + cosine(q, state, config)


def keys(q: int, state: State, config: Any) -> float:
    """f T^T and f X^T; of APE the keys' channels."""
    n, channels = state["keys"].shape
    return cosine(q, state, config) + chain(q, channels, n)


def regression(q: int, state: State, config: Any) -> float:
    """f T^T and k(f, X) A, whose A is known before any picture."""
    n, d = state["keys"].shape
    return cosine(q, state, config) + chain(q, d, n, CLASSES)


def two_products(q: int, state: State, config: Any) -> float:
    """f T^T and f W^T, or softmaxes of both."""
    return 2 * cosine(q, state, config)


def projected(q: int, state: State, config: Any) -> float:
    """g W + b, then f T^T."""
    return chain(q, *state["weight"].shape) + cosine(q, state, config)


def flow(q: int, state: State, config: Any) -> float:
    """The field's layers that see the picture, at each of M steps, then x_M T^T."""
    seen = [p for name, p in state.items() if p.dim() == 2 and OF_STATE.search(name)]
    field = sum(chain(q, *p.shape) for p in seen)
    return float(config.inference_steps) * field + cosine(q, state, config)


def mixture(q: int, state: State, config: Any) -> float:
    """Cosines of all pictures with all, and likelihoods and means each round."""
    return chain(q, WIDTH, q) + float(1 + 2 * config.rounds) * cosine(q, state, config)


def prototypes(q: int, state: State, config: Any) -> float:
    """As `bottleneck`, with softmaxes of two products."""
    return bottleneck(q, state, config) + cosine(q, state, config)


# Layers of a flow that see the picture; those of time do not.
OF_STATE = re.compile(r"(^|\.|/)(in|out|block\d+\.[01])\.weight$")
# Every other method's is one product with class vectors.
EQUATIONS: dict[str, Callable[[int, State, Any], float]] = {
    "ape": keys,
    "ape-t": keys,
    "clip-adapter": bottleneck,
    "fma": flow,
    "gda": two_products,
    "hegraph-adapter": keys,
    "lathadapter": hyperbolic,
    "proker": regression,
    "prolip": projected,
    "proto-clip": two_products,
    "proto-clip-f": prototypes,
    "sgva": bottleneck,
    "timo": two_products,
    "tip-adapter": keys,
    "tip-adapter-f": keys,
    "transclip": mixture,
}


if __name__ == "__main__":
    main()
