"""On CUDA: the card's products, decoding by three ways, each model as it is and compiled."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from encoding_parts import loops
from encoding_parts.material import files, loaded, pictures, with_side
from encoding_parts.result import Result, rate
from featcache import FeatureCache, encode_dataset, load_backbone
from featcache.backbones import compiling
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import features_of
from featcache.datasets.dataset import Dataset
from featcache.encoding.decoding import processes
from featcache.encoding.decoding.crops import Maker, Wanted
from featcache.encoding.sizes import default_size
from featcache.pictures import card
from featcache.pictures.preprocess import Preprocess
from featcache.pictures.views import ViewRecipe

MODELS = ["ViT-B-32", "ViT-B-16", "ViT-L-14", "RN50"]
FLOPS = {
    "ViT-B-32": 8.8e9,
    "ViT-B-16": 35.1e9,
    "ViT-L-14": 162e9,
    "RN50": 12.2e9,
}  # a picture, forward


def on_cuda(result: Result, arguments: argparse.Namespace, folder: Path) -> None:
    """A part that fails is told, and the others are measured all the same."""
    processes.warm_up()  # as the command line does while it loads the model
    result.add("card", matrix_tflops=round(matrix_rate() / 1e12, 1))
    seen, cores = with_side(load_backbone("demo", device="cpu"), 224), os.cpu_count() or 1
    few, many = pictures(folder, 5_000), pictures(folder, 20_000)
    parts: dict[str, Callable[[], float]] = {
        "threads": lambda: rate(5_000, lambda: loops.decode(few, seen, cores)),
        "processes": lambda: median(shared_rate(many, seen, arguments.workers) for _ in range(2)),
        "nvjpeg": lambda: nvjpeg_rate(many),
    }
    for name, measure in parts.items():
        _surviving(result, "decode", lambda n=name, m=measure: {n: round(m())})
    for model in arguments.model or MODELS:
        _surviving(
            result,
            model,
            lambda m=model: _one_on_cuda(
                result, m, arguments, folder, arguments.rounds or (2 if m == "ViT-L-14" else 3)
            ),
        )


def _surviving(result: Result, part: str, measure: Callable[[], dict[str, Any] | None]) -> None:
    try:
        result.add(part, **(measure() or {}))
    except Exception as error:
        traceback.print_exc()
        result.add(part, error=f"{type(error).__name__}: {error}"[:300])


def _one_on_cuda(
    result: Result, model: str, arguments: argparse.Namespace, folder: Path, rounds: int
) -> None:
    began = time.perf_counter()
    backbone, source = loaded(model, folder, arguments.device)
    size = default_size(backbone)
    result.add(model, load_seconds=round(time.perf_counter() - began, 1), batch_size=size)
    forward = cuda_rate(backbone, size, None)
    result.add(model, precision=backbone.precision, forward_only=round(forward))
    result.add(model, cosine_with_fp32=_agreement(backbone, None))
    if model in FLOPS:
        peak_rate = result.document["card"]["matrix_tflops"] * 1e12
        result.add(model, share_of_matrix_rate=round(forward * FLOPS[model] / peak_rate, 3))
    gains = compiling.gains(backbone.model)
    if gains:
        began = time.perf_counter()
        tower = compiling.compiled(backbone.seeing)
        cuda_rate(backbone, size, tower, seconds=0.1)
        took = round(time.perf_counter() - began, 1)
        fast = round(cuda_rate(backbone, size, tower))
        result.add(model, forward_compiled=fast, compiling_seconds=took)
        result.add(model, cosine_compiled_with_fp32=_agreement(backbone, tower))
    if model == "RN50" and not arguments.model:
        return  # what it is here for has been measured
    # Some 15 seconds each: with fewer, what begins and ends a run is much of it.
    count = arguments.pictures or (30_000 if model == "ViT-L-14" else 60_000)
    data = pictures(folder, count)
    found = [_product_on_cuda(data, backbone, arguments, "processes") for _ in range(rounds)]
    rates = sorted(each["img_per_s"] for each in found)
    decode = result.document["decode"]
    ceiling = max(decode[name] for name in ("threads", "processes") if name in decode)
    share = round(median(rates) / min(ceiling, forward), 3)
    result.add(model, pictures=count, product=found[-1], product_img_per_s=rates)
    result.add(model, share_of_ceiling=share)
    if model == "ViT-B-32":
        on_card = _product_on_cuda(data, backbone, arguments, "card")
        few = pictures(folder, 5_000)
        in_threads = _product_on_cuda(few, backbone, arguments, "threads")
        result.add(model, product_decoded_on_the_card=on_card, product_in_threads=in_threads)
        some = pictures(folder, 2_000)
        plain = rate(2_000, lambda: loops.plain(some, backbone, source, 256))
        times = round(median(rates) / plain, 2)
        result.add(model, plain_loop=round(plain), times_the_plain_loop=times)
    torch._dynamo.reset()
    torch.cuda.empty_cache()


def _product_on_cuda(
    data: Dataset,
    backbone: Backbone,
    arguments: argparse.Namespace,
    decode_in: str,
    compiled: bool = False,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as cache:
        torch.cuda.reset_peak_memory_stats()
        told: list[float] = []
        began = time.perf_counter()
        report = encode_dataset(
            data,
            backbone,
            FeatureCache(cache),
            bank=loops.BANK,
            workers=arguments.workers,
            decode_in=decode_in,
            compiled=compiled,
            progress=lambda done, total: told.append(time.perf_counter() - began),
        )
        return {
            "img_per_s": round(report.encoded / report.wall),
            "wall": round(report.wall, 2),
            "wall_before_the_first_picture": round(told[0], 2),
            "wall_until_the_first_batch": round(told[1], 2),
            "wall_until_the_last_picture": round(told[-1], 2),
            "seconds": {k: round(v, 2) for k, v in report.seconds.items()},
            "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
            "batch_size": report.batch_size,
            "notes": report.notes,
        }


def _agreement(backbone: Backbone, tower: torch.nn.Module | None) -> float:
    """Least cosine of the card's embeddings with those of fp32 on the CPU."""
    size, side = default_size(backbone), backbone.preprocess.size
    batch = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8)
    found = features_of(backbone, batch.to(backbone.device), (), tower)["embedding"]
    exact = features_of(_on_cpu(backbone), batch[:8])["embedding"]
    cosine = torch.nn.functional.cosine_similarity(found[:8].float().cpu(), exact)
    return round(float(cosine.min()), 6)


def _on_cpu(backbone: Backbone) -> Backbone:
    model = deepcopy(backbone.model).float().cpu()
    return replace(backbone, model=model, device=torch.device("cpu"), precision="fp32")


def matrix_rate(side: int = 8192) -> float:
    """Operations a second of the card's bf16 matrix product, of which a model takes a share."""
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(50):
        a @ b
    torch.cuda.synchronize()
    return 50 * 2 * side**3 / (time.perf_counter() - began)


def cuda_rate(
    backbone: Backbone, size: int, tower: torch.nn.Module | None, seconds: float = 2.0
) -> float:
    """Pictures a second of the model on bytes that lie on the card."""
    side = backbone.preprocess.size
    batch = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8, device="cuda")
    for _ in range(3):
        features_of(backbone, batch, (), tower)
    torch.cuda.synchronize()
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(4):
            features_of(backbone, batch, (), tower)
        torch.cuda.synchronize()
        rounds += 4
    return rounds * size / (time.perf_counter() - began)


def nvjpeg_rate(data: Dataset) -> float:
    """Pictures a second decoded and resized on the card, 128 together and all of one size."""
    held = [bytearray(file.read_bytes()) for file in files(data)]
    content = [torch.frombuffer(each, dtype=torch.uint8) for each in held] * 2
    preprocess, device = card.on_card(Preprocess(224, (0.5,) * 3, (0.5,) * 3)), torch.device("cuda")

    def once() -> None:
        card.fit_square(torch.stack(card.decode_all(content, device)), preprocess)
        torch.cuda.synchronize()

    once()
    return rate(16 * len(content), lambda: [once() for _ in range(16)])


def shared_rate(data: Dataset, backbone: Backbone, workers: int) -> float:
    """Pictures a second decoded by one process a core, once all of them are up."""
    items = [item for rows in data.splits.values() for item in rows]
    asked = ((Wanted(item, True, False),) for item in items)
    makers = [Maker(ViewRecipe(0), backbone.preprocess)]
    with processes.crops_from_processes(asked, makers, workers) as crops:
        for _ in range(len(items) // 4):
            next(crops)
        return rate(len(items) - len(items) // 4, lambda: [None for _ in crops])
