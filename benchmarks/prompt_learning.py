"""Seconds a step and memory of learning prompts, against whole padded sentences, to docs/scale.md.

    python benchmarks/prompt_learning.py [--device cuda] [--classes 10,100,397,1000] [--out FILE]

A text tower as large as ViT-B/16's (512 wide, 12 blocks, 8 heads, context 77) with random weights,
16 shared vectors before names of one to four tokens, 16 pictures a class, AdamW. *Plain* is what
prompt learners do: all classes as sentences of 77 tokens, the whole graph kept. Both ways train in
the same run, on the same numbers. It needs torch and this project alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, layer_norm, normalize

from adapters.maths import prompts, text_tower
from adapters.maths.text_tower import Tower

RESULTS = Path(__file__).parent / "results" / "prompt_learning.json"
PAGE = Path("docs/scale.md")
HEAD = "## A step of learning prompts"
WIDTH, BLOCKS, HEADS, CONTEXT, VOCABULARY = 512, 12, 8, 77, 49408
VECTORS, SHOTS, MOST_NAME = 16, 16, 4
STEPS, LEAST = 5, 2  # timed after one to warm up; fewer where a step is long
LONG = 20.0  # seconds of steps, after which no more than LEAST are timed
WAYS = ("plain", "ours", "ours, bf16", "plain, bf16")
ROOM = 0.6  # of the memory at hand that the plain way may take; where it is more it is not run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--classes", default="10,100,397,1000")
    parser.add_argument("--ways", default=None, help="such as plain;ours (those of the device)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    cuda = arguments.device.startswith("cuda")
    ways = arguments.ways.split(";") if arguments.ways else WAYS if cuda else WAYS[:2]
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = kept[arguments.device.partition(":")[0]] = {}
    for classes in map(int, arguments.classes.split(",")):
        for way in ways:
            row = alone(way, classes, arguments.device, arguments.threads, not cuda)
            rows[f"{classes} {way}"] = row
            print(classes, way, row, flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    write(arguments.out, kept)


def alone(way: str, classes: int, device: str, threads: int, apart: bool) -> dict[str, Any]:
    """What a step took; on a processor in a fresh process, so that its peak memory is its own."""
    tokens = classes * CONTEXT
    about = {"threads": threads, "cores": os.cpu_count(), "torch": torch.__version__}
    about |= {"python": platform.python_version(), "machine": platform.machine()}
    about |= {"time": datetime.now(UTC).isoformat(timespec="seconds"), "load": os.getloadavg()[0]}
    if not apart:
        about["device"] = torch.cuda.get_device_name(device)
    needed = text_tower.SAVED * tokens * BLOCKS * WIDTH * (2 if "bf16" in way else 4)
    if way.startswith("plain") and needed > ROOM * at_hand(device):
        return {**about, "skipped": f"about {needed / 1e9:.0f} GB"}
    if not apart:
        return {**measure(way, classes, device, threads), **about}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=answer, args=(way, classes, device, threads, there))
    process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        found = {"skipped": "ended without an answer"}
    process.join()
    return {**found, **about}


def at_hand(device: str) -> int:
    """Bytes of memory that are free there."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    most = limit.read_text().strip() if limit.exists() else "max"
    return pages if most == "max" else min(pages, int(most))


def answer(way: str, classes: int, device: str, threads: int, there: Connection) -> None:
    there.send(measure(way, classes, device, threads))


def measure(way: str, classes: int, device: str, threads: int) -> dict[str, Any]:
    """Median seconds of a step, processor seconds, and the most memory held."""
    torch.set_num_threads(threads)
    where, cuda = torch.device(device), device.startswith("cuda")
    tower = random_tower().to(where)
    if "bf16" in way:
        tower = tower.multiplying(torch.bfloat16)
    encode = encoder(way, tower, classes)
    g = torch.Generator().manual_seed(2)
    f = normalize(torch.randn(SHOTS * classes, WIDTH, generator=g), dim=-1).to(where)
    labels = torch.arange(classes, device=where).repeat_interleave(SHOTS)
    v = (0.02 * torch.randn(VECTORS, WIDTH, generator=g)).to(where).requires_grad_()
    optimiser = torch.optim.AdamW([v], lr=2e-3)
    if cuda:
        torch.cuda.reset_peak_memory_stats(where)
    clocks, busy, losses = [], [], []
    while len(clocks) < 1 + STEPS and not (sum(clocks) > LONG and len(clocks) > LEAST):
        began, work = time.perf_counter(), time.process_time()
        optimiser.zero_grad()
        loss = cross_entropy(100 * f @ normalize(encode(v), dim=-1).T, labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())  # waits for the device
        clocks.append(time.perf_counter() - began)
        busy.append(time.process_time() - work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "step_s": statistics.median(clocks[1:]),
        "cpu_s": statistics.median(busy[1:]),
        "least_cpu_s": min(busy[1:]),
        "steps": len(clocks) - 1,
        "peak_gb": (torch.cuda.max_memory_allocated(where) if cuda else peak) / 1e9,
        "losses": losses[:2],
    }


def encoder(way: str, tower: Tower, classes: int) -> Callable[[Tensor], Tensor]:
    """From vectors `[M, w]` to raw class embeddings `[c, d]`."""
    g = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, MOST_NAME + 1, (classes,), generator=g).tolist()
    names = [torch.randint(1, 49000, (k,), generator=g).tolist() for k in lengths]
    stop, device = tower.stop, tower.weights["token_embedding"].device
    if way.startswith("ours"):
        those = prompts.sentences(tower, names, [[269]] * classes, VECTORS)
        return lambda v: prompts.encode(those, v[None])[0]
    rows = [[tower.start, *[0] * VECTORS, *name, 269, stop] for name in names]
    ids = torch.tensor([row + [0] * (CONTEXT - len(row)) for row in rows], device=device)
    ends = torch.tensor([len(row) - 1 for row in rows], device=device)
    fixed = text_tower.embed(tower, ids)

    def whole(v: Tensor) -> Tensor:
        shared = v.expand(classes, -1, -1)
        x = torch.cat([fixed[:, :1], shared, fixed[:, 1 + VECTORS :]], 1)[None]
        x, _ = text_tower.placed(tower, x)
        x, _ = text_tower.through(tower, x, None, range(BLOCKS))
        w = tower.weights
        x = layer_norm(x[0], (WIDTH,), w["ln_final.weight"], w["ln_final.bias"], tower.epsilon)
        return x[torch.arange(classes, device=device), ends] @ w["projection"]

    return whole


def random_tower() -> Tower:
    """Weights as open_clip draws them at first."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int, std: float) -> Tensor:
        return std * torch.randn(*shape, generator=g)

    weights = {
        "token_embedding": normal(VOCABULARY, WIDTH, std=0.02),
        "positional_embedding": normal(CONTEXT, WIDTH, std=0.01),
        "ln_final.weight": torch.ones(WIDTH),
        "ln_final.bias": torch.zeros(WIDTH),
        "projection": normal(WIDTH, WIDTH, std=WIDTH**-0.5),
    }
    inner, late = WIDTH**-0.5, (WIDTH**-0.5) * (2 * BLOCKS) ** -0.5
    for i in range(BLOCKS):
        own = {
            "ln_1.weight": torch.ones(WIDTH),
            "ln_2.weight": torch.ones(WIDTH),
            "attn.in_proj_weight": normal(3 * WIDTH, WIDTH, std=inner),
            "attn.out_proj.weight": normal(WIDTH, WIDTH, std=late),
            "mlp.c_fc.weight": normal(4 * WIDTH, WIDTH, std=(2 * WIDTH) ** -0.5),
            "mlp.c_proj.weight": normal(WIDTH, 4 * WIDTH, std=late),
        }
        biases = {"ln_1": 1, "ln_2": 1, "attn.out_proj": 1, "mlp.c_fc": 4, "mlp.c_proj": 1}
        own |= {f"{name}.bias": torch.zeros(k * WIDTH) for name, k in biases.items()}
        own["attn.in_proj_bias"] = torch.zeros(3 * WIDTH)
        weights |= {f"blocks.{i}.{name}": each for name, each in own.items()}
    return Tower(weights, BLOCKS, HEADS, CONTEXT, "quick_gelu", 1e-5, 49406, 49407)


def write(page: Path, kept: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Put the section in its place at the end of the page."""
    before = page.read_text(encoding="utf-8").partition(f"\n{HEAD}")[0] if page.exists() else ""
    page.write_text(f"{before}\n{section(kept)}", encoding="utf-8")


def section(kept: dict[str, dict[str, dict[str, Any]]]) -> str:
    text = f"""{HEAD}

Written by `python benchmarks/prompt_learning.py [--device cuda]`; do not edit by hand.

A text tower as large as ViT-B/16's ({WIDTH} wide, {BLOCKS} blocks) with random weights, {VECTORS}
shared vectors before names of one to {MOST_NAME} tokens, {SHOTS} cached pictures a class, all of
them in each step. *Plain* are whole padded sentences of {CONTEXT} tokens with the whole graph
kept, as prompt learners run them; *ours* is what `coop` does, the same numbers by less work:
nothing after a sentence's end, what all sentences begin with once, the last block at the ends
alone, and more classes than memory has room for in parts. Seconds are medians of a few steps, by
the clock and of the processor, all its cores together; where the plain way would keep more than
there is room for, how much stands there.
"""
    for device, rows in sorted(kept.items()):
        first = next(iter(rows.values()))
        name = first.get("device") or f"{first['threads']} threads on {first['cores']} cores"
        text += f"\n{name}, {first['machine']}, torch {first['torch']}:\n\n"
        text += "| classes | way | a step, s | processor s | memory, GB |\n"
        text += "| ---: | --- | ---: | ---: | ---: |\n"
        for key, row in sorted(rows.items(), key=lambda each: int(each[0].split()[0])):
            classes, way = key.split(" ", 1)
            told = [f"{int(classes):,}", way]
            if "skipped" in row:
                told += ["", "", f"({row['skipped']})"]
            else:
                own = f"{row['cpu_s']:.2f}" if device == "cpu" else ""
                told += [f"{row['step_s']:.3g}", own, f"{row['peak_gb']:.1f}"]
            text += f"| {' | '.join(told)} |\n"
    return text


if __name__ == "__main__":
    main()
