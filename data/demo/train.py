"""Trains the small dual encoder `demo` from scratch on pictures that it renders itself."""

import argparse
import csv
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from featcache.datasets.worlds import pairs, shapes
from featcache.datasets.worlds.scenes import glyphs
from featcache.datasets.worlds.scenes.captions import captions
from featcache.datasets.worlds.scenes.random_scenes import random_scene
from featcache.datasets.worlds.scenes.rendering import SIDE

SIZE = 32
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": SIZE,
            "layers": [1, 2, 2, 1],
            "width": 16,
            "head_width": 64,
            "patch_size": None,
        },
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 64,
            "heads": 4,
            "layers": 2,
        },
    },
    "preprocess_cfg": {
        "size": SIZE,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}
PROMPTS = {
    "one: clip": ('a photo of the number: "{}".',),
    "bank": (
        'a photo of the number {}: "{}"',
        'a photo of the number: "{}".',
        "a photo of the number {}.",
        "a photo of the digit {}.",
        'a handwritten digit "{}"',
        "the digit {}",
        "the number {}",
    ),
}
SHAPE_PROMPTS = ("a photo of a {}.", "a picture of a {}", "a {}", "{}")


def draw(seed: int) -> NDArray[np.uint8]:
    """Render the random scene of one seed, resized as the model's preprocessing does it."""
    picture = Image.fromarray(random_scene(np.random.default_rng(seed)).pixels())
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def render_pool(seeds: Sequence[int]) -> NDArray[np.uint8]:
    """Render the scenes of many seeds in parallel, uint8 [n, size, size, 3]."""
    with multiprocessing.get_context("spawn").Pool() as workers:
        return np.stack(list(workers.imap(draw, seeds, chunksize=256)))


def caption_pool(seeds: Sequence[int]) -> tuple[Tensor, list[str]]:
    """Return the captions of many seeds as rows [n, k] of places in a list of texts, -1 padded."""
    known: dict[str, int] = {}
    rows: list[Tensor] = []
    for seed in seeds:
        said = captions(random_scene(np.random.default_rng(seed)))
        rows.append(torch.tensor([known.setdefault(text, len(known)) for text in said]))
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1), list(known)


def choose_captions(
    rows: Tensor, texts: int, count: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw a caption for each of the first pictures.

    Returns the distinct ones as places in the list of texts [m], m at most count, and which of
    them are true of which picture [n, m].
    """
    weight = (rows[:count] >= 0).float()
    picked = rows[:count].gather(1, torch.multinomial(weight, 1, generator=rng)).flatten()
    chosen = torch.from_numpy(np.unique(picked.numpy()))
    column = torch.full((texts + 1,), len(chosen))
    column[chosen] = torch.arange(len(chosen))
    true = torch.zeros(len(rows), len(chosen) + 1)
    # A padding of -1 reads the spare last entry and so lands in the spare last column.
    true.scatter_(1, column[rows], 1.0)
    return chosen, true[:, :-1]


def augment(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Move, stretch, coarsen, relight and roughen pictures in 0..1, [n, 3, size, size]."""
    n = len(pictures)

    def normal(spread: float, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng) * spread

    zoom = torch.exp(normal(0.09, n, 2))
    turn, shear = normal(0.09, n), normal(0.07, n)
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = zoom[:, 0] * turn.cos(), shear - turn.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin(), zoom[:, 1] * turn.cos()
    matrix[:, :, 2] = normal(0.05, n, 2)
    grid = functional.affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    for cells, share in ((8, 0.08), (16, 0.06)):
        coarse = torch.rand(n, generator=rng) < share
        tiny = functional.adaptive_avg_pool2d(moved[coarse], cells)
        moved[coarse] = functional.interpolate(tiny, SIZE, mode="bicubic", align_corners=False)
    gain, lift = torch.exp(normal(0.15, n, 1, 1, 1)), normal(0.06, n, 1, 1, 1)
    rough = torch.rand(n, 1, 1, 1, generator=rng).pow(3) * 0.12
    noise = torch.randn(moved.shape, generator=rng) * rough
    return ((moved - 0.5) * gain + 0.5 + lift + noise).clamp(0, 1)


def contrast(logits: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy both ways, each row's weight shared among all that is true of it."""

    def one_way(scores: Tensor, positive: Tensor) -> Tensor:
        # A row may have nothing true of it in this batch: then it only serves as a contrast.
        target = positive / positive.sum(1, keepdim=True).clamp(min=1)
        return -(target * scores.log_softmax(1)).sum(1).mean()

    return (one_way(logits, true) + one_way(logits.T, true.T)) / 2


def normalise(pictures: Tensor) -> Tensor:
    """Scale pictures in 0..1 as the preprocessing in the config does."""
    preprocess = CONFIG["preprocess_cfg"]
    mean, std = (torch.tensor(preprocess[key]).view(3, 1, 1) for key in ("mean", "std"))
    return ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)


def optimiser(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """Build AdamW; norms, biases and embeddings do not decay, so unseen tokens keep their start."""
    plain: list[Tensor] = []
    decayed: list[Tensor] = []
    for name, weight in model.named_parameters():
        (plain if weight.ndim < 2 or "embedding" in name else decayed).append(weight)
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


def precision(wanted: str, device: str) -> torch.dtype:
    """Choose bfloat16 where the processor multiplies it natively, float32 elsewhere."""
    if wanted == "auto":
        fast = device != "cpu" or torch.cpu.get_capabilities().get("amx_bf16", False)
        wanted = "bfloat16" if fast else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def train(args: argparse.Namespace) -> nn.Module:
    """Train from scratch and write the curve; returns the model in evaluation mode."""
    torch.manual_seed(args.seed)
    rng = torch.Generator().manual_seed(args.seed)
    dtype = precision(args.precision, args.device)
    start = time.monotonic()
    seeds = range(args.seed * 10**7, args.seed * 10**7 + args.pictures)
    if args.pool is not None and args.pool.exists():
        pictures = torch.from_numpy(np.load(args.pool))
    else:
        pictures = torch.from_numpy(render_pool(seeds))
    pictures = pictures.permute(0, 3, 1, 2)
    rows, texts = caption_pool(seeds)
    tokenizer = open_clip.SimpleTokenizer(
        context_length=CONFIG["model_cfg"]["text_cfg"]["context_length"]
    )
    tokens = tokenizer(texts)
    print(f"{len(pictures)} pictures, {len(texts)} captions, {time.monotonic() - start:.0f} s")
    model = open_clip.CLIP(**CONFIG["model_cfg"]).to(args.device, memory_format=torch.channels_last)
    steps_of = optimiser(model, args.rate)
    draws = np.random.default_rng([args.seed, 1])
    held_out = [random_scene(draws, kind="digit") for _ in range(300)]
    labels = [int(scene.things[0].name) for scene in held_out]
    shown = torch.from_numpy(np.stack([scene.pixels() for scene in held_out]))
    shown = functional.avg_pool2d(shown.permute(0, 3, 1, 2) / 255, SIDE // SIZE)
    start = time.monotonic()
    step, loss_sum, seen, progress = 0, 0.0, 0, 0.0
    with (args.out / "curve.csv").open("w", newline="") as file:
        curve = csv.writer(file, lineterminator="\n")
        curve.writerow(["step", "seconds", "rate", "loss", "scale", "rendered digits"])
        while progress < 1:
            progress = max(step / args.steps, (time.monotonic() - start) / 60 / args.minutes)
            rate = args.rate * min(1, (step + 1) / 200) * (1 + math.cos(math.pi * min(1, progress)))
            for group in steps_of.param_groups:
                group["lr"] = rate / 2
            batch = torch.randint(len(pictures), (args.batch,), generator=rng)
            chosen, true = choose_captions(rows[batch], len(texts), args.captions, rng)
            inputs = normalise(augment(pictures[batch].float() / 255, rng)).to(args.device)
            with torch.autocast(args.device, dtype, enabled=dtype != torch.float32):
                seen_as = model.encode_image(inputs, normalize=True)
            said_as = model.encode_text(tokens[chosen].to(args.device), normalize=True)
            logits = model.logit_scale.exp() * seen_as.float() @ said_as.T
            loss = contrast(logits, true.to(args.device))
            steps_of.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            steps_of.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))
            step, loss_sum, seen = step + 1, loss_sum + loss.item(), seen + 1
            if step % 100 == 0 or progress >= 1:
                seconds = time.monotonic() - start
                scale = model.logit_scale.exp().item()
                right = rendered_digits(model, tokenizer, shown, labels)
                row = [step, round(seconds), f"{rate / 2:.6f}", f"{loss_sum / seen:.4f}"]
                row += [f"{scale:.2f}", f"{right:.3f}"]
                curve.writerow(row)
                file.flush()
                print(*row, flush=True)
                loss_sum, seen = 0.0, 0
    return model.eval()


def rendered_digits(model: Any, tokenizer: Any, pictures: Tensor, labels: list[int]) -> float:
    """Return the zero-shot accuracy on rendered digits; the model is left in training mode."""
    model.eval()
    with torch.no_grad():
        inputs = normalise(pictures).to(next(model.parameters()).device)
        features = model.encode_image(inputs, normalize=True)
    classes = text_classes(model, tokenizer, digit_prompts(PROMPTS["bank"], "both"))
    model.train()
    return accuracy(features, classes, labels)


@torch.no_grad()
def text_classes(model: Any, tokenizer: Any, names: list[list[str]]) -> Tensor:
    """Average the unit embeddings of each class's prompts into [classes, d] unit rows."""
    device = next(model.parameters()).device
    rows = [model.encode_text(tokenizer(s).to(device), normalize=True).mean(0) for s in names]
    return functional.normalize(torch.stack(rows), dim=1)


@torch.no_grad()
def embed(model: Any, preprocess: Any, pictures: list[NDArray[np.uint8]]) -> Tensor:
    """Embed pictures uint8 [h, w, 3] through the model's own preprocessing into unit rows."""
    rows = []
    for low in range(0, len(pictures), 256):
        batch = torch.stack([preprocess(Image.fromarray(p)) for p in pictures[low : low + 256]])
        rows.append(model.encode_image(batch, normalize=True))
    return torch.cat(rows)


def accuracy(features: Tensor, classes: Tensor, labels: list[int]) -> float:
    """Return the share of rows whose nearest class is their label."""
    right = (features @ classes.T).argmax(1).cpu() == torch.tensor(labels)
    return round(right.float().mean().item(), 4)


def digit_prompts(templates: tuple[str, ...], forms: str) -> list[list[str]]:
    """Fill templates for each digit with its "numeral", its "word", or "both"."""
    names = {"numeral": slice(0, 1), "word": slice(1, 2), "both": slice(0, 2)}[forms]
    pairs = zip(glyphs.DIGITS, glyphs.WORDS, strict=True)
    return [[t.format(name, name) for name in pair[names] for t in templates] for pair in pairs]


def measure(folder: Path) -> dict[str, Any]:
    """Load the written model as a user would and measure it zero-shot on what it never saw.

    scikit-learn's digits are the only real pictures here, and only read at this point.
    """
    from sklearn.datasets import load_digits

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder.resolve()}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder.resolve()}")
    model.eval()
    digits = load_digits()
    grey = np.rint(digits.images * 255 / 16).astype(np.uint8)
    features = embed(model, preprocess, [np.repeat(p[:, :, None], 3, 2) for p in grey])
    found: dict[str, Any] = {"digits": {}, "shapes": {}}
    for name, templates in PROMPTS.items():
        for forms in ("numeral", "word", "both"):
            classes = text_classes(model, tokenizer, digit_prompts(templates, forms))
            found["digits"][f"{name}, {forms}"] = accuracy(features, classes, list(digits.target))
    best = text_classes(model, tokenizer, digit_prompts(PROMPTS["bank"], "both"))
    guess = (features @ best.T).argmax(1).numpy()
    table = np.zeros((10, 10), int)
    np.add.at(table, (digits.target, guess), 1)
    found["digits confusion"] = table.tolist()
    named = [[t.format(name) for t in SHAPE_PROMPTS] for name in shapes.CLASSES]
    classes = text_classes(model, tokenizer, named)
    for style in shapes.STYLES:
        items = shapes.items(style, 0, "test", 40)
        features = embed(model, preprocess, [scene.pixels() for _, scene, _ in items])
        found["shapes"][style] = accuracy(features, classes, [label for *_, label in items])
    related = pairs.items(0, "test", 400)
    features = embed(model, preprocess, [scene.pixels() for _, scene, _ in related])
    hits = 0
    for row, (_, scene, label) in zip(features, related, strict=True):
        said = text_classes(model, tokenizer, [[text] for text in pairs.relation_choices(scene)])
        hits += int((said @ row).argmax()) == label
    found["relations"] = hits / len(related)
    return found


def main() -> None:
    """Train, write the config, the weights and the curve, then measure what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=80.0, help="stop training by then")
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--captions", type=int, default=96, help="captions a step")
    parser.add_argument("--threads", type=int, default=1, help="more pay only on idle cores")
    parser.add_argument("--pool", type=Path, help="pictures rendered before, a .npy file")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["auto", "bfloat16", "float32"], default="auto")
    parser.add_argument("--measure-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    if not args.measure_only:
        model = train(args)
        weights = {key: value.half().cpu() for key, value in model.state_dict().items()}
        weights = {key: value.contiguous() for key, value in weights.items()}
        (args.out / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
        save_file(weights, args.out / "open_clip_model.safetensors")
    found = measure(args.out)
    (args.out / "measured.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
