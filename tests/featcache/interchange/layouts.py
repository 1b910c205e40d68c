"""Feature files as other projects lay them out, made of small worlds, and what lies in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

CLASSES, WIDTH, SHOTS = 5, 16, 2
NAMES = ("ant", "bee", "cat", "dog", "emu")
Made = Callable[[Path], "Held"]


@dataclass
class Held:
    """What lies in the files: `splits` of features and labels, `supports` [v, n, d] by draw."""

    folder: Path
    splits: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    supports: dict[tuple[int, int | None], tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict
    )
    text: np.ndarray | None = None  # [c, p, d]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cloud(labels: np.ndarray, seed: int, views: int = 1, width: int = WIDTH) -> np.ndarray:
    """Raw float32 features `[v, n, d]` around the axis of each class, views near each other."""
    rng = np.random.default_rng(seed)
    centre = 4 * np.eye(CLASSES, width)[labels]
    pictures = centre + rng.normal(size=(len(labels), width))
    return (pictures + 0.2 * rng.normal(size=(views, *pictures.shape))).astype(np.float32)


def drawn(shots: int = SHOTS) -> np.ndarray:
    """Labels of a draw, class blocks that are not in label order."""
    return np.repeat([2, 0, 1, 4, 3], shots)


def save(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_tensors(content), path)


def _tensors(content: Any) -> Any:
    if isinstance(content, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(content))
    if isinstance(content, Mapping):
        return {key: _tensors(each) for key, each in content.items()}
    return content


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(labels.max() + 1, dtype=np.float16)[labels]


def classes(folder: Path) -> Path:
    path = folder / "names.txt"
    path.write_text("\n".join(NAMES) + "\n")
    return path


def _half(x: np.ndarray) -> np.ndarray:
    return unit(x).astype(np.float16)


def _splits(held: Held, name: Callable[[str, str], str], raw: str = "") -> None:
    for seed, split in enumerate(("val", "test"), 10):
        labels = np.arange(15) % CLASSES
        x = cloud(labels, seed)[0]
        x = x.astype(np.float16) if raw else _half(x)
        held.splits[split] = x, labels
        save(held.folder / name(split, "f"), x)
        save(held.folder / name(split, "l"), labels)


def _keys(
    held: Held, name: Callable[[str, int], str], labels: Callable[[int], np.ndarray] = drawn
) -> None:
    for shots in (1, SHOTS):
        y = labels(shots)
        keys = _half(unit(cloud(y, shots, views=3)).mean(0))
        held.supports[shots, None] = keys[None], y
        save(held.folder / name("keys", shots), keys.T)
        save(held.folder / name("values", shots), one_hot(y))


def tip_adapter(folder: Path) -> Held:
    held = Held(folder / "caches" / "pets")
    _keys(held, lambda what, k: f"{what}_{k}shots.pt")
    _splits(held, lambda split, what: f"{split}_{what}.pt")
    text = _half(cloud(np.arange(CLASSES), 7)[0])
    held.text = text[:, None]
    save(held.folder / "text_weights_cupl_t.pt", text.T)
    return held


def timo(folder: Path, raw: bool = False) -> Held:
    held = Held(folder / "caches" / "ViT-B" / "16" / "3" / "pets")
    y = drawn()
    for twin in ("", "_unnormed")[: 1 + raw]:
        x = cloud(y, 1, views=3)
        x = x.astype(np.float16) if twin else _half(x)
        held.supports[SHOTS, 3] = x, y
        save(held.folder / f"{SHOTS}_vecs_f{twin}.pt", x.reshape(-1, WIDTH))
        _splits(held, lambda split, what, t=twin: f"{split}_{what}{t * (what == 'f')}.pt", raw=twin)
    save(held.folder / f"{SHOTS}_labels_f.pt", np.tile(y, 3))
    held.text = _half(cloud(np.arange(CLASSES), 7, views=CLASSES)).transpose(1, 0, 2)
    save(held.folder / "text_weights_cupl_t_all.pt", held.text)
    return held


def transclip(folder: Path, views: int = 3) -> Held:
    held = Held(folder / "caches" / "pets")
    y = drawn()
    x = _half(cloud(y, 1, views=max(views, 1)))
    held.supports[SHOTS, None] = x, y
    save(held.folder / f"keys_{SHOTS}shots.pt", x if views else x[0])
    save(held.folder / f"values_{SHOTS}shots.pt", one_hot(y))
    _splits(held, lambda split, what: f"{split}_{what}.pt")
    return held


def proto_clip(folder: Path) -> Held:
    held = Held(folder / "pets" / "models" / "RN50")
    name = "K-{k}/aug/visual_mb_{what}_aug_10_{k}_shots.pt"
    _keys(held, lambda what, k: name.format(what=what, k=k), lambda k: np.sort(drawn(k)))
    words = {"f": "features", "l": "labels"}
    for shots in (1, SHOTS):
        _splits(held, lambda split, what, k=shots: f"K-{k}/{split}_{words[what]}.pt")
    return held


def sus_x(folder: Path, dataset: str = "pets", backbone: str = "RN50") -> Held:
    held = Held(folder / "features")
    word = {"keys": "f", "values": "t", "f": "f", "l": "t"}
    _keys(held, lambda what, k: f"{dataset}_{word[what]}_train_m{backbone}_k{k}.pt")
    _splits(held, lambda split, what: f"{dataset}_{word[what]}_{split}_m{backbone}.pt")
    text = _half(cloud(np.arange(CLASSES), 7)[0])
    held.text = text[:, None]
    save(held.folder / f"{dataset}_zeroshot_text_weights_m{backbone}_ptensemble.pt", text.T)
    return held


def cafo(folder: Path) -> Held:
    held = Held(folder / "caches" / "pets")
    _keys(held, lambda what, k: f"clip_{what}_{k}shots.pt")
    _splits(held, lambda split, what: f"{split}_clip_{what}.pt")
    save(held.folder / "dino_keys_2shots.pt", np.ones((7, 10), np.float16))
    return held


def proker(folder: Path) -> Held:
    held = Held(folder / "pets")
    y = drawn()
    x = unit(cloud(y, 1, views=3))
    held.supports[SHOTS, 4] = x, y
    content = {"vecs": x.reshape(-1, WIDTH), "labels": np.tile(y, 3)}
    save(held.folder / f"pets_shots_s4_k{SHOTS}.pt", content)
    labels = np.arange(15) % CLASSES
    held.splits["test"] = unit(cloud(labels, 11)[0]), labels
    save(held.folder / "pets_test.pt", {"features": held.splits["test"][0], "labels": labels})
    return held


def cross_modal(folder: Path) -> Held:
    held = Held(folder / "features")
    image = held.folder / "image" / "RN50_0" / "pets"
    for seed in (1, 2):
        y = drawn()
        x = cloud(y, seed)
        held.supports[SHOTS, seed] = x, y
        paths = [f"/home/somebody/pets/{n}/{i}.jpg" for i, n in enumerate(y)]
        part = {"features": x[0], "labels": y, "paths": paths}
        content = {"train": part, "val": {**part, "features": x[0] + 1}}
        save(image / "none" / f"shot_{SHOTS}-seed_{seed}.pth", content)
    labels = np.arange(15) % CLASSES
    held.splits["test"] = cloud(labels, 11)[0], labels
    paths = [f"pets/test/{i}.jpg" for i in range(15)]
    content = {"features": held.splits["test"][0], "labels": labels, "paths": paths}
    save(image / "test.pth", content)
    held.text = cloud(np.arange(CLASSES), 7, views=2).transpose(1, 0, 2)
    text = {
        "features": held.text.reshape(-1, WIDTH),
        "labels": np.repeat(np.arange(CLASSES), 2),
        "eot_indices": np.full(2 * CLASSES, 7),
        "prompts": {c: [f"a {NAMES[c]}.", f"the {NAMES[c]}."] for c in range(CLASSES)},
        "lab2cname": dict(enumerate(NAMES)),
    }
    save(held.folder / "text" / "RN50_0" / "pets" / "hand_crafted.pth", text)
    return held


def coop(folder: Path) -> Held:
    held = Held(folder / "clip_feat" / "Pets")
    held.folder.mkdir(parents=True)
    for seed, split in enumerate(("train", "val", "test")):
        labels = np.arange(15) % CLASSES
        held.splits[split] = cloud(labels, seed)[0], labels
        x = held.splits[split][0].tolist()  # floats of Python, as CoOp saves them
        np.savez(held.folder / f"{split}.npz", feature_list=x, label_list=labels.tolist())
    return held


def prolip(folder: Path, width: int = WIDTH, shuffled: bool = False) -> Held:
    """With `width` numbers before the projection."""
    held = Held(folder / "features_RN50_pets")
    y = drawn(4)
    x = cloud(y, 1, views=3, width=width)
    if shuffled:
        x[2] = x[2][np.random.default_rng(3).permutation(len(y))]
    held.supports[4, 1] = x, y
    place = held.folder / "4_shot" / "seed1"
    for view, features in enumerate(x):
        save(place / f"f{view}.pth", features)
    save(place / "label.pth", y)
    return held


def ss_text(folder: Path) -> Held:
    held = Held(folder)
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(110) % CLASSES
    held.splits["pool"] = cloud(labels, 3)[0], labels
    held.text = cloud(np.arange(CLASSES), 7)[0][:, None]
    np.savez(
        folder / "pets_conch.npz",
        feats_ds=held.splits["pool"][0],
        refs_ds=labels.astype(np.float32),
        logits_ds=np.zeros((len(labels), CLASSES), np.float32),
        logit_scale=np.array(56.3),
        initial_prototypes=held.text[:, 0],
    )
    return held


# Every layout that needs no model: its project, and the seed that has to be told with it.
ALL: dict[str, tuple[Made, int | None]] = {
    "tip-adapter": (tip_adapter, 1),
    "timo": (timo, None),
    "transclip": (transclip, 1),
    "proto-clip": (proto_clip, 1),
    "sus-x": (sus_x, 1),
    "cafo": (cafo, 1),
    "proker": (proker, None),
    "cross-modal": (cross_modal, None),
    "coop": (coop, None),
    "ss-text": (ss_text, None),
}
