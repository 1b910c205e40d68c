"""The published settings of each method: defaults, what is accepted, presets.

A default that changes changes results under the same name, so it has to be changed here too. Beside
each default stand its choices or the interval it is taken from, `[` and `]` where an end belongs to
it.
"""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from pydantic import ValidationError

from adapters import compose

# Of every learner of prompts.
PROMPTS: dict[str, tuple[Any, Any]] = {
    "words": ("a photo of a", ("a photo of a", "", "a sketch of")),
    "context": (16, "[1, inf)"),
    "position": ("end", ("end", "middle", "front")),
    "steps": (100, "[0, inf)"),
    "epochs": (0, "[0, inf)"),
    "batch": (0, "[0, inf)"),
    "optimiser": ("adamw", ("adamw", "sgd")),
    "learning_rate": (2e-3, "(0, inf)"),
    "weight_decay": (5e-4, "[0, inf)"),
    "warm_up": (1e-5, "[0, inf)"),
    "centre": (True, (True, False)),
    "precision": ("fp32", ("fp32", "bf16")),
    "room": (3.0, "(0, inf)"),
}
COOP_CODE = {
    "steps": 0,
    "batch": 32,
    "optimiser": "sgd",
    "learning_rate": 2e-3,
    "weight_decay": 5e-4,
    "centre": False,
}
SETTINGS: dict[str, dict[str, tuple[Any, Any]]] = {
    "ape": {
        "alpha": (2.0, "[0, inf)"),
        "beta": (1.0, "[0, inf)"),
        "gamma": (0.1, "(-inf, inf)"),
        "alpha_scale": (10.0, "[0.1, inf)"),
        "beta_scale": (12.0, "[0.1, inf)"),
        "share": (0.7, "(0, 1]"),
        "similarity": (0.7, "[0, inf)"),
        "variance": (0.3, "[0, inf)"),
        "importance_from": ("text", ("text", "text and pictures")),
    },
    "ape-t": {
        "alpha": (2.0, "[0, inf)"),
        "beta": (1.0, "[0, inf)"),
        "gamma": (0.1, "(-inf, inf)"),
        "alpha_scale": (10.0, "[0.1, inf)"),
        "beta_scale": (12.0, "[0.1, inf)"),
        "share": (0.7, "(0, 1]"),
        "similarity": (0.7, "[0, inf)"),
        "variance": (0.3, "[0, inf)"),
        "importance_from": ("text", ("text", "text and pictures")),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.1, "[0, inf)"),
        "eps": (0.0001, "(0, inf)"),
        "epochs": (20, "[0, inf)"),
        "batch": (256, "[1, inf)"),
        "most_steps": (640, "[0, inf)"),
    },
    "attn-adapter": {
        "alpha": (2.0, "[0, inf)"),
        "training_alpha": (2.0, "[0, inf)"),
        "hidden": (128, "[1, inf)"),
        "local": (0.5, "[0, inf)"),
        "training_local": (0.5, "[0, inf)"),
        "local_hidden": (32, "[1, inf)"),
        "batch": (128, "[1, inf)"),
        "steps": (200, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
    },
    "clap": {
        "text_norm": (10.0, "(0, inf)"),
        "batch": (256, "[1, inf)"),
        "warm_up": (1e-05, "[0, inf)"),
        "multipliers": ("class", ("class", "mean", "one")),
        "distance": ("l2", ("l2", "cosine")),
        "learning_rate": (0.1, "(0, inf)"),
        "momentum": (0.9, "[0, 1)"),
        "epochs": (300, "[0, inf)"),
        "most_steps": (2500, "[0, inf)"),
    },
    "clip-adapter": {
        "ratio": (0.6, "[0, 1]"),
        "side": ("visual", ("visual", "text", "both")),
        "hidden": (0, "[0, inf)"),
        "batch": (72, "[1, inf)"),
        "steps": (240, "[0, inf)"),
        "learning_rate": (0.0013, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
    },
    "cocoop": {
        **PROMPTS,
        "steps": (200, "[0, inf)"),
        "learning_rate": (5e-3, "(0, inf)"),
        "batch": (8, "[0, inf)"),
        "centre": (False, (True, False)),
        "silent": (True, (True, False)),
    },
    "coop": {**PROMPTS, "per_class": (False, (True, False))},
    "cross-modal": {
        "share": (0.0, "[0, 1]"),
        "learning_rate": (0.001, "(0, inf)"),
        "steps": (400, "[0, inf)"),
        "horizon": (12800, "[1, inf)"),
        "warm_steps": (50, "[0, inf)"),
        "warm_up": (1e-05, "[0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
        "batch": (32, "[2, inf)"),
    },
    "fma": {
        "readout": ("last", ("last", "ensemble")),
        "beta": (1.0, "(0, inf)"),
        "ridge": (0.01, "(0, inf)"),
        "exact_rows": (2000, "[0, inf)"),
        "landmarks": (1000, "[1, inf)"),
        "inference_steps": (7, "[0, 10]"),
        "solver": ("euler", ("euler", "midpoint", "rk4", "dopri5", "closed-form")),
        "target": ("interpolant", ("paper", "interpolant", "endpoint")),
        "gamma": (0.0, "[0, inf)"),
        "times": ("euler", ("euler", "uniform")),
        "clamp": (0.001, "(0, 0.5)"),
        "blocks": (3, "[0, inf)"),
        "width": (256, "[0, inf)"),
        "batch": (80, "[1, inf)"),
        "epochs": (0, "[0, inf)"),
        "steps": (250, "[0, inf)"),
        "learning_rate": (0.002, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
        "warm_up": ("clean", ("clean", "released")),
    },
    "gda": {
        "alpha": (1.0, "[0, inf)"),
    },
    "graph-adapter": {
        "beta": (0.4, "[0, 1]"),
        "share": (0.7, "[0, 1]"),
        "sharpness": (10.0, "[0, inf)"),
        "class_bias": (False, (False, True)),
        "batch": (128, "[1, inf)"),
        "steps": (200, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
    },
    "hegraph-adapter": {
        "alpha": (2.0, "[0, inf)"),
        "beta": (1.0, "[0, inf)"),
        "alpha_scale": (10.0, "[0.1, inf)"),
        "beta_scale": (12.0, "[0.1, inf)"),
        "negatives": ("prompts", ("prompts", "reflected", "others")),
        "from_text": (0.06, "[0, inf)"),
        "from_image": (0.24, "[0, inf)"),
        "training_negative": (0.2, "[0, inf)"),
        "negative": (0.1, "[0, inf)"),
        "power": (3.0, "(0, inf)"),
        "contrast": (0.5, "(0, inf)"),
        "own_edges": (True, (False, True)),
        "gamma": (1.0, "[0, inf)"),
        "batch": (128, "[1, inf)"),
        "steps": (200, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
    },
    "hoso-adapter": {
        "start": (0.2, "(0, 1)"),
        "refit": (True, (True, False)),
        "hidden": (0, "[0, inf)"),
        "batch": (2048, "[0, inf)"),
        "steps": (300, "[0, inf)"),
        "learning_rate": (1e-3, "(0, inf)"),
        "ratio_rate": (0.05, "(0, inf)"),
        "eps": (1e-4, "(0, inf)"),
    },
    "krr-press": {
        "tau": (1.0, "(0, inf)"),
        "beta": (1.0, "(0, inf)"),
        "ridge": (0.1, "(0, inf)"),
        "by": ("press", ("press", "evidence", "policy")),
        "exact_rows": (4000, "[1, inf)"),
    },
    "mix": {
        "kappa": (4.0, "[0, inf)"),
        "align": (False, (False, True)),
        "lda": (0.0, "[0, inf)"),
    },
    "semobridge": {
        "bridge": (1.0, "[0, inf)"),
        "query": (1.0, "[0, inf)"),
        "least": (0.3, "[0, inf)"),
        "trained": (False, (False, True)),
        "steps": (1000, "[0, inf)"),
        "learning_rate": (1.5e-4, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
    },
    "stata": {
        "neighbours": (3, "[0, inf)"),
        "rounds": (10, "[1, inf)"),
        "steps": (5, "[1, inf)"),
    },
    "kgcoop": {
        **PROMPTS,
        "steps": (200, "[0, inf)"),
        "learning_rate": (5e-3, "(0, inf)"),
        "weight": (8.0, "[0, inf)"),
    },
    "lathadapter": {
        "ratio": (0.1, "[0, 1]"),
        "training_ratio": (0.1, "[0, 1]"),
        "sides": ("both", ("both", "image", "text")),
        "reduction": (4, "[1, inf)"),
        "last_relu": (False, (False, True)),
        "weight": (0.1, "[0, inf)"),
        "every": (3, "[1, inf)"),
        "keep": (3.0, "[0, inf)"),
        "attributes": (64, "[2, inf)"),
        "start": ("k-means", ("k-means", "random")),
        "attention": (False, (False, True)),
        "model": ("poincare", ("poincare", "lorentz")),
        "curvature": (0.1, "(0, inf)"),
        "learn_curvature": (False, (False, True)),
        "scale": (2.0, "(0, inf)"),
        "radius": (2.3, "(0, inf)"),
        "neighbours": (20, "[1, inf)"),
        "one_sided": (False, (False, True)),
        "triplets": (4, "[1, inf)"),
        "temperature": (0.1, "(0, inf)"),
        "margin": (0.1, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
        "batch": (80, "[1, inf)"),
        "steps": (300, "[0, inf)"),
        "attribute_prompts": (0, "[0, inf)"),
    },
    "linear-probe": {
        "C": (0.316, "(0, inf)"),
        "iterations": (1000, "[1, inf)"),
    },
    "lp++": {
        "variant": ("paper", ("paper", "code")),
        "steps": (300, "[0, inf)"),
        "alpha_every": (10, "[1, inf)"),
        "alpha_scale": (250.0, "[0, inf)"),
        "momentum": (0.9, "[0, 1)"),
        "batch": (2048, "[0, inf)"),
    },
    "ncm": {
        "mix": (1.0, "[0, 1]"),
        "search": (False, (False, True)),
    },
    "node-adapter": {
        "horizon": (1.0, "[0, 1]"),
        "mix": ("feature", ("feature", "class", "fixed")),
        "mix_value": (0.15, "[0, 1]"),
        "odds": (1.0, "[0, inf)"),
        "field": ("attention", ("attention", "local", "mlp")),
        "heads": (8, "[1, inf)"),
        "head_width": (8, "[1, inf)"),
        "rivals": (4, "[0, inf)"),
        "estimates": (4, "[1, inf)"),
        "fusion": ("variance", ("variance", "mean")),
        "talk": (True, (False, True)),
        "pull": (True, (False, True)),
        "solver": ("rk4", ("euler", "midpoint", "rk4", "dopri5")),
        "steps": (2, "[1, inf)"),
        "tolerance": (0.001, "(0, inf)"),
        "adjoint": (False, (False, True)),
        "renormalise": (True, (False, True)),
        "queries": (0.75, "(0, 1)"),
        "least_shots": (3, "[2, inf)"),
        "iterations": (60, "[0, inf)"),
        "episodes": (4, "[1, inf)"),
        "most_queries": (2048, "[1, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
        "text_weight": (0.0, "[0, inf)"),
        "move_new": (False, (False, True)),
    },
    "proda": {
        **PROMPTS,
        "contexts": (8, "[1, inf)"),
        "chosen": (0, "[0, inf)"),
        "spread": (0.01, "[0, inf)"),
        "orthogonality": (0.1, "[0, inf)"),
        "mixed": (True, (True, False)),
    },
    "prograd": {
        **PROMPTS,
        "steps": (200, "[0, inf)"),
        "learning_rate": (5e-3, "(0, inf)"),
        "weight": (1.0, "[0, inf)"),
        "temperature": (1.0, "(0, inf)"),
        "padded": (False, (True, False)),
    },
    "proker": {
        "beta": (1.0, "(0, inf)"),
        "lambda_": (0.1, "(0, inf)"),
        "views": (1, "[1, inf)"),
        "exact_rows": (3200, "[1, inf)"),
        "landmarks": (1000, "[1, inf)"),
        "beta_from": (0.01, "(0, inf)"),
        "beta_to": (10.0, "(0, inf)"),
        "betas": (10, "[1, inf)"),
        "lambda_from": (0.001, "(0, inf)"),
        "lambda_to": (100.0, "(0, inf)"),
        "lambdas": (16, "[1, inf)"),
        "spacing": ("log", ("even", "log")),
    },
    "prolip": {
        "power": (1.0, "[0, inf)"),
        "weight": (1.0, "[0, inf)"),
        "steps": (300, "[0, inf)"),
        "learning_rate": (0.0001, "(0, inf)"),
        "eps": (0.0001, "(0, inf)"),
        "batch": (1024, "[0, inf)"),
    },
    "proto-clip": {
        "share": (0.5, "[0, 1]"),
        "sharpness": (20.0, "(0, inf)"),
    },
    "proto-clip-f": {
        "share": (0.5, "[0, 1]"),
        "sharpness": (20.0, "(0, inf)"),
        "training_share": (0.5, "[0, 1]"),
        "training_sharpness": (20.0, "(0, inf)"),
        "adapter": ("fc", ("fc", "none")),
        "ratio": (0.2, "[0, 1]"),
        "alignment": (1.0, "[0, inf)"),
        "temperature": (0.05, "(0, inf)"),
        "classes": (0.4, "(0, 1]"),
        "steps": (300, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.05, "[0, inf)"),
        "eps": (0.0001, "(0, inf)"),
    },
    "sgva": {
        "share": (0.5, "[0, 1]"),
        "residual": (0.5, "[0, 1]"),
        "prototypical": (1.0, "[0, inf)"),
        "distillation": (1.0, "[0, inf)"),
        "temperature": (5.0, "(0, inf)"),
        "hidden": (0, "[0, inf)"),
        "batch": (48, "[1, inf)"),
        "steps": (100, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
        "prompt_steps": (0, "[0, inf)"),
    },
    "ss-text": {
        "variant": ("text", ("text", "text+")),
        "factor": (1.0, "(0, inf)"),
        "least": (0.001, "(0, inf)"),
        "embeddings": ("unit", ("unit", "raw")),
        "search": (False, (False, True)),
    },
    "taskres": {
        "text_norm": (10.0, "(0, inf)"),
        "batch": (256, "[1, inf)"),
        "warm_up": (1e-05, "[0, inf)"),
        "alpha": (0.5, "[0, inf)"),
        "learning_rate": (0.002, "(0, inf)"),
        "epochs": (0, "[0, inf)"),
        "most_steps": (2500, "[0, inf)"),
    },
    "tcp": {
        **PROMPTS,
        "position": ("end", ("end",)),
        "weight": (8.0, "[0, inf)"),
        "block": (0, "[0, inf)"),
    },
    "text-lora": {
        **PROMPTS,
        "rank": (2, "[1, inf)"),
        "alpha": (1.0, "(0, inf)"),
        "dropout": (0.0, "[0, 1)"),
        "steps_a_shot": (0, "[0, inf)"),
    },
    "timo": {
        "alpha": (100.0, "[0, inf)"),
        "gamma": (50.0, "[0, inf)"),
        "share": (1.0, "[0, 2]"),
        "search": (False, (False, True)),
    },
    "tip-adapter": {
        "alpha": (2.0, "[0, inf)"),
        "beta": (1.0, "[0, inf)"),
        "alpha_scale": (10.0, "[0.1, inf)"),
        "beta_scale": (12.0, "[0.1, inf)"),
    },
    "tip-adapter-f": {
        "alpha": (2.0, "[0, inf)"),
        "beta": (1.0, "[0, inf)"),
        "alpha_scale": (10.0, "[0.1, inf)"),
        "beta_scale": (12.0, "[0.1, inf)"),
        "training_alpha": (2.0, "[0, inf)"),
        "training_beta": (1.0, "[0, inf)"),
        "learning_rate": (0.001, "(0, inf)"),
        "weight_decay": (0.01, "[0, inf)"),
        "eps": (0.0001, "(0, inf)"),
        "epochs": (20, "[0, inf)"),
        "batch": (256, "[1, inf)"),
        "most_steps": (320, "[0, inf)"),
    },
    "tmm": {**PROMPTS, "sharpness": (10.0, "[0, inf)"), "reduction": (16, "[1, inf)")},
    "transclip": {
        "support_weight": (0.02, "[0, inf)"),
        "text_weight": (0.5, "[0, inf)"),
        "neighbours": (3, "[0, inf)"),
        "rounds": (10, "[1, inf)"),
        "steps": (5, "[1, inf)"),
        "confident": (8, "[1, inf)"),
    },
    "zs-lp": {
        "text_norm": (10.0, "(0, inf)"),
        "batch": (256, "[1, inf)"),
        "warm_up": (1e-05, "[0, inf)"),
        "learning_rate": (0.1, "(0, inf)"),
        "momentum": (0.9, "[0, 1)"),
        "epochs": (300, "[0, inf)"),
        "most_steps": (5000, "[0, inf)"),
    },
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "cocoop": {"paper": {**COOP_CODE, "epochs": 10, "batch": 1, "silent": False}},
    "coop": {"paper": {**COOP_CODE, "words": "", "context": 16}, "paper-words": COOP_CODE},
    **{name: {"paper": {"most_steps": 0}} for name in ("ape-t", "clap", "taskres", "zs-lp")},
    **{name: {"paper": {"batch": 0}} for name in ("lp++", "prolip")},
    "tip-adapter-f": {"paper": {"most_steps": 0}},
    "fma": {
        "closed-form": {"solver": "closed-form"},
        "long": {"steps": 500, "learning_rate": 0.001},
        "code": {
            "times": "uniform",
            "width": 0,
            "batch": 32,
            "epochs": 200,
            "learning_rate": 0.0002,
            "blocks": 12,
            "warm_up": "released",
        },
        "paper": {
            "times": "uniform",
            "width": 0,
            "batch": 32,
            "epochs": 200,
            "learning_rate": 0.0002,
            "blocks": 6,
            "target": "paper",
        },
    },
    "kgcoop": {
        "paper": {**COOP_CODE, "epochs": 100, "batch": 128},
        "paper-few-shot": {**COOP_CODE, "epochs": 100},
    },
    "krr-press": {
        "strong": {"tau": 10.0},
        "fixed": {"tau": 10.0, "beta": 1.0, "ridge": 0.1, "by": "policy"},
        "evidence": {"by": "evidence"},
    },
    "mix": {"align": {"align": True}, "lda": {"lda": 1.0}},
    "semobridge": {"trained": {"trained": True}},
    "lathadapter": {
        "default": {},
        "plain": {"weight": 0.0},
        "each-step": {"every": 1},
        "prompts": {"attribute_prompts": 4},
    },
    "ncm": {"half": {"mix": 0.5}, "mixed": {"search": True}},
    "node-adapter": {"local": {"field": "local"}},
    "proker": {
        "eurosat": {
            "beta_from": 0.5,
            "beta_to": 3,
            "betas": 20,
            "lambda_from": 0.001,
            "lambda_to": 1,
            "lambdas": 100,
            "spacing": "even",
        },
        "imagenet": {
            "beta_from": 1.5,
            "beta_to": 3,
            "betas": 10,
            "lambda_from": 0.05,
            "lambda_to": 0.25,
            "lambdas": 10,
            "spacing": "even",
        },
        "caltech": {
            "beta_from": 0.5,
            "beta_to": 3,
            "betas": 20,
            "lambda_from": 0.001,
            "lambda_to": 1,
            "lambdas": 10,
            "spacing": "even",
        },
        "dtd": {
            "beta_from": 0.1,
            "beta_to": 10,
            "betas": 20,
            "lambda_from": 0.001,
            "lambda_to": 10,
            "lambdas": 100,
            "spacing": "even",
        },
        "pets": {
            "beta_from": 0.01,
            "beta_to": 5,
            "betas": 40,
            "lambda_from": 0.01,
            "lambda_to": 0.3,
            "lambdas": 20,
            "spacing": "even",
        },
        "cars": {
            "beta_from": 0.1,
            "beta_to": 10,
            "betas": 5,
            "lambda_from": 0.01,
            "lambda_to": 1,
            "lambdas": 5,
            "spacing": "even",
        },
        "sun": {
            "beta_from": 0.1,
            "beta_to": 10,
            "betas": 20,
            "lambda_from": 0.01,
            "lambda_to": 10,
            "lambdas": 10,
            "spacing": "even",
        },
    },
    "proda": {"paper": {**COOP_CODE, "words": "", "contexts": 32, "chosen": 4}},
    "prograd": {"paper": {**COOP_CODE, "padded": True}},
    "sgva": {"prompts": {"prompt_steps": 100}},
    "ss-text": {"plus": {"variant": "text+"}, "searched": {"search": True}},
    "tcp": {
        "paper": {
            **{**COOP_CODE, "optimiser": "adamw"},
            "words": "",
            "context": 4,
            "epochs": 50,
        }
    },
    "text-lora": {
        "paper": {
            "steps_a_shot": 500,
            "batch": 32,
            "learning_rate": 2e-4,
            "weight_decay": 0.01,
            "dropout": 0.25,
            "centre": False,
        }
    },
    "timo": {"s": {"search": True}},
}


def check(name: str) -> None:
    """The method has these settings and presets, and takes what it should and no more."""
    method, wanted = compose.get(name), SETTINGS[name]
    default = method.config()
    assert {f.name: getattr(default, f.name) for f in fields(default)} == {
        field: value for field, (value, _) in wanted.items()
    }
    assert dict(method.presets) == PRESETS.get(name, {})
    with pytest.raises(FrozenInstanceError):
        setattr(default, next(iter(wanted)), 1)
    for field, (value, allowed) in wanted.items():
        taken, refused = _taken(value, allowed), _refused(value, allowed)
        for one in taken:
            assert getattr(method.config(**{field: one}), field) == one, field
        for one in refused:
            with pytest.raises(ValidationError, match=field):
                method.config(**{field: one})


def _taken(default: Any, allowed: str | tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(allowed, tuple):
        return allowed
    low, high = _ends(allowed)
    step = _step(default)
    least = low if allowed.startswith("[") else low + step
    most = high if allowed.endswith("]") else high - step
    return tuple(type(default)(x) for x in (least, most) if math.isfinite(x))


def _refused(default: Any, allowed: str | tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(allowed, tuple):
        free = bool in {*map(type, allowed)} or "" in allowed  # no text is refused
        return () if free else ("no such choice",)
    low, high = _ends(allowed)
    step = _step(default)
    under = low - step if allowed.startswith("[") else low
    over = high + step if allowed.endswith("]") else high
    return tuple(type(default)(x) for x in (under, over) if math.isfinite(x))


def _ends(interval: str) -> tuple[float, float]:
    low, _, high = interval[1:-1].partition(", ")
    return float(low), float(high)


def _step(default: Any) -> float:
    return 1 if isinstance(default, int) else 1e-9
