"""On a CPU: decoding, the model, the product and the plain loop; memory by pictures."""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

from encoding_parts import loops
from encoding_parts.material import SMALL, USUAL, kilobytes, loaded, pictures
from encoding_parts.result import Part, Result, in_turn
from encoding_parts.slept import pipeline_alone
from featcache import FeatureCache, encode_dataset, load_backbone
from featcache.encoding.sizes import default_size

MODELS = ["demo", "ViT-B-32"]
LITTLE, FEW, MANY = 300, 2_700, 27_000


def on_cpu(result: Result, arguments: argparse.Namespace, folder: Path) -> None:
    for model in arguments.model or MODELS:
        _one(result, model, USUAL, arguments, folder)
        if model == "demo":  # decoding binds, and costs what is in the file
            _one(result, model, SMALL, arguments, folder)
    if not arguments.model:
        few, many = (
            int(subprocess.check_output([sys.executable, sys.argv[0], "--peak", str(count)]))
            for count in (FEW, MANY)
        )
        result.add("peak_memory_mb", **{str(FEW): few, str(MANY): many}, ratio=round(many / few, 3))
        result.add("pipeline_alone", **pipeline_alone(arguments.rounds or 3))


def _one(
    result: Result,
    model: str,
    kind: tuple[int, int],
    arguments: argparse.Namespace,
    folder: Path,
) -> None:
    backbone, source = loaded(model, folder, arguments.device)
    light, workers = model == "demo", arguments.workers
    count = arguments.pictures or (3_000 if light else LITTLE)
    data, size = pictures(folder, count, kind), default_size(backbone)
    batches = -(-(count if light else 96) // size)
    loops.forward(backbone, size, 1)
    found = in_turn(
        arguments.rounds or 3,
        {
            "decode_only": Part(count, partial(loops.decode, data, backbone, workers)),
            "forward_only": Part(batches * size, partial(loops.forward, backbone, size, batches)),
            "product": Part(count, partial(loops.product, data, backbone, workers)),
            "plain_loop": Part(count, partial(loops.plain, data, backbone, source, 64)),
        },
    )
    product, loop = found["product"], found["plain_loop"]
    together = 1 / (1 / found["decode_only"].rate + 1 / found["forward_only"].rate)
    result.add(
        model if kind == USUAL else f"{model}, small files",
        pictures=count,
        kilobytes=kilobytes(data),
        splits={name: len(items) for name, items in data.splits.items()},
        batch_size=size,
        **{name: each.rate for name, each in found.items()},
        processor_us={name: each.processor_us for name, each in found.items()},
        share_of_what_cores_allow=round(product.rate / together, 3),
        times_the_plain_loop=round(product.rate / loop.rate, 3),
        times_in_processor_seconds=round(loop.processor_us / product.processor_us, 3),
    )


def peak(count: int, folder: Path) -> int:
    """Megabytes that encoding so many pictures with the demo backbone takes at most."""
    import resource

    data = pictures(folder, count)
    encode_dataset(data, load_backbone("demo", device="cpu"), FeatureCache(folder / "peak"))
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says began with the process that started this one
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
