"""Pictures a second from JPEG files to shards, by stage, beside the loop that people write.

    python benchmarks/encoding.py [--device auto] [--model demo --model ViT-B-32] [--rounds 3]

The weights are random (but those of demo): speed does not depend on them. Pictures are 500 x 375
JPEGs made on the spot. What is compared is measured in turn, several times; medians are given. On a
CPU: decoding alone, the model alone, the product, the plain loop, and memory for many and few
pictures. On CUDA: the card's rate of matrix products, decoding in threads, in processes and on the
card, and each model as it is and compiled. Writes benchmarks/results/encoding-<device>.json after
each part, and its table into docs/encoding.md (--page FILE: of what another machine wrote).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from featcache import FeatureCache, encode_dataset, load_backbone
from featcache.backbones import compiling
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import features_of
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding import processes
from featcache.encoding.crops import Maker, Wanted, crops_ahead
from featcache.encoding.sizes import default_size
from featcache.pictures import card
from featcache.pictures.preprocess import Preprocess
from featcache.pictures.views import ViewRecipe
from featcache.prompts import PromptBank
from featcache.resources import data_path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "encoding.md"
BEGIN, END = "<!-- make bench -->", "<!-- end of make bench -->"
CUDA = "<!-- make bench on CUDA -->"
BANK = PromptBank("one", (("a",), ("b",)))
FLOPS = {
    "ViT-B-32": 8.8e9,
    "ViT-B-16": 35.1e9,
    "ViT-L-14": 162e9,
    "RN50": 12.2e9,
}  # a picture, forward
CPU_MODELS, CUDA_MODELS = ["demo", "ViT-B-32"], ["ViT-B-32", "ViT-B-16", "ViT-L-14", "RN50"]
LITTLE, FEW, MANY = 300, 2_700, 27_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", action="append")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=0, help="0: 3, of ViT-L-14 on CUDA 2")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=0, help="of the fast measurements")
    parser.add_argument("--no-page", action="store_true", help="leave docs/encoding.md as it is")
    parser.add_argument("--page", type=Path, help="only: the table of what was measured elsewhere")
    parser.add_argument("--peak", type=int, help="only: peak memory in MB of encoding so many")
    arguments = parser.parse_args()
    if arguments.page:
        write_page(json.loads(arguments.page.read_text()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.peak is not None:
            print(peak(arguments.peak, folder))
            return
        kind = load_backbone("demo", device=arguments.device).device.type
        result = Result(kind)
        measure = on_cuda if kind == "cuda" else on_cpu
        measure(result, arguments, folder)
    if not arguments.no_page:
        write_page(result.document)


class Result:
    """What was measured so far: told, and written after each part."""

    def __init__(self, kind: str) -> None:
        name = torch.cuda.get_device_name() if kind == "cuda" else "cpu"
        slug = name.lower().replace(" ", "-")
        self.path = HERE / "results" / f"encoding-{slug}.json"
        packages = ("torch", "open_clip_torch", "numpy", "pillow", "simplejpeg")
        self.document: dict[str, Any] = {
            "device": name,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "versions": {each: _version(each) for each in packages},
            "picture": "500 x 375 JPEG, quality 90",
        }
        self.began = time.perf_counter()

    def add(self, part: str, **values: Any) -> None:
        self.document.setdefault(part, {}).update(values)
        self.document["seconds"] = round(time.perf_counter() - self.began, 1)
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.document, indent=1) + "\n")
        print(f"[{self.document['seconds']:6.1f} s] {part}: {json.dumps(values)}", flush=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except Exception:
        return "?"


def in_turn(rounds: int, parts: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Medians of rates that are measured in turn."""
    found: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, measure in parts.items():
            found[name].append(measure())
    return {name: round(median(rates), 2) for name, rates in found.items()}


def rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


# On a CPU


def on_cpu(result: Result, arguments: argparse.Namespace, folder: Path) -> None:
    rounds, workers = arguments.rounds or 3, arguments.workers
    for model in arguments.model or CPU_MODELS:
        backbone, source = loaded(model, folder, arguments.device)
        light = model == "demo"
        count = arguments.pictures or (3_000 if light else LITTLE)
        data = pictures(folder, count)
        size = default_size(backbone)
        parts = {
            "decode_only": lambda d=data, b=backbone: decode_rate(d, b, workers),
            "forward_only": lambda b=backbone, s=size, n=count if light else 96: forward_rate(
                b, s, n
            ),
            "product": lambda d=data, b=backbone: product_rate(d, b, workers),
            "plain_loop": lambda d=data, b=backbone, s=source: plain_rate(d, b, s, 64),
        }
        found = in_turn(rounds, parts)
        together = 1 / (1 / found["decode_only"] + 1 / found["forward_only"])
        result.add(
            model,
            pictures=count,
            splits={name: len(items) for name, items in data.splits.items()},
            batch_size=size,
            **found,
            share_of_what_cores_allow=round(found["product"] / together, 3),
            times_the_plain_loop=round(found["product"] / found["plain_loop"], 3),
        )
    if not arguments.model:
        few, many = (
            int(subprocess.check_output([sys.executable, __file__, "--peak", str(count)]))
            for count in (FEW, MANY)
        )
        result.add("peak_memory_mb", **{str(FEW): few, str(MANY): many}, ratio=round(many / few, 3))


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


# On CUDA


def on_cuda(result: Result, arguments: argparse.Namespace, folder: Path) -> None:
    """A part that fails is told, and the others are measured all the same."""
    processes.warm_up()  # as the command line does while it loads the model
    result.add("card", matrix_tflops=round(matrix_rate() / 1e12, 1))
    seen, cores = _with_side(load_backbone("demo", device="cpu"), 224), os.cpu_count() or 1
    few, many = pictures(folder, 5_000), pictures(folder, 20_000)
    parts: dict[str, Callable[[], float]] = {
        "threads": lambda: decode_rate(few, seen, cores),
        "processes": lambda: median(shared_rate(many, seen, arguments.workers) for _ in range(2)),
        "nvjpeg": lambda: nvjpeg_rate(folder),
    }
    for name, measure in parts.items():
        _surviving(result, "decode", lambda n=name, m=measure: {n: round(m())})
    for model in arguments.model or CUDA_MODELS:
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
    data = pictures(folder, arguments.pictures or (15_000 if model == "ViT-L-14" else 30_000))
    found = [_product_on_cuda(data, backbone, arguments, "processes") for _ in range(rounds)]
    rates = sorted(each["img_per_s"] for each in found)
    decode = result.document["decode"]
    ceiling = max(decode[name] for name in ("threads", "processes") if name in decode)
    share = round(median(rates) / min(ceiling, forward), 3)
    result.add(model, product=found[-1], product_img_per_s=rates, share_of_ceiling=share)
    if model == "ViT-B-32":
        on_card = _product_on_cuda(data, backbone, arguments, "card")
        few = pictures(folder, 5_000)
        in_threads = _product_on_cuda(few, backbone, arguments, "threads")
        result.add(model, product_decoded_on_the_card=on_card, product_in_threads=in_threads)
        plain = plain_rate(pictures(folder, 2_000), backbone, source, 256)
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
            bank=BANK,
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
    from copy import deepcopy
    from dataclasses import replace

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


def nvjpeg_rate(folder: Path) -> float:
    """Pictures a second decoded and resized on the card, 128 together and all of one size."""
    files = sorted((folder / "pictures").glob("*.jpg"))
    content = [torch.frombuffer(bytearray(f.read_bytes()), dtype=torch.uint8) for f in files] * 2
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


# Both


def decode_rate(data: Dataset, backbone: Backbone, workers: int) -> float:
    """Pictures a second as the product reads, decodes and crops them, without a model."""
    items = [item for rows in data.splits.values() for item in rows]
    asked = ((Wanted(item, True, False),) for item in items)
    makers = [Maker(ViewRecipe(0), backbone.preprocess)]

    def work() -> None:
        with crops_ahead(asked, makers, workers) as crops:
            for _ in crops:
                pass

    return rate(len(items), work)


def forward_rate(backbone: Backbone, size: int, count: int) -> float:
    """Pictures a second of the model alone, on pictures that lie in memory."""
    side = backbone.preprocess.size
    batch = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8)
    features_of(backbone, batch)
    rounds = -(-count // size)
    return rate(rounds * size, lambda: [features_of(backbone, batch) for _ in range(rounds)])


def product_rate(data: Dataset, backbone: Backbone, workers: int) -> float:
    """Pictures a second of `featcache encode`, all of it but loading the model."""
    with tempfile.TemporaryDirectory() as cache:
        report = encode_dataset(data, backbone, FeatureCache(cache), bank=BANK, workers=workers)
    return report.encoded / report.wall


class Files(TorchDataset[torch.Tensor]):
    def __init__(
        self, paths: list[Path], preprocess: Callable[[Image.Image], torch.Tensor]
    ) -> None:
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.paths[row]).convert("RGB"))


def plain_rate(data: Dataset, backbone: Backbone, source: str, size: int) -> float:
    """Pictures a second of the loop that people write, with a loader's worker a core."""
    _, _, preprocess = open_clip.create_model_and_transforms(source)
    model, device = backbone.model, backbone.device
    low = device.type == "cuda"

    def work() -> list[np.ndarray]:
        out = []
        for items in data.splits.values():
            files = Files([item.source for item in items], preprocess)
            workers = os.cpu_count() or 1
            loader = DataLoader(files, batch_size=size, num_workers=workers, pin_memory=low)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=low):
                for batch in loader:
                    out.append(model.encode_image(batch.to(device)).float().cpu().numpy())
        return out

    return rate(sum(map(len, data.splits.values())), work)


def loaded(model: str, folder: Path, device: str) -> tuple[Backbone, str]:
    """The backbone, of random weights where it is not demo, and what open_clip calls it."""
    source = f"local-dir:{data_path(model)}" if model == "demo" else random_weights(model, folder)
    return load_backbone("demo" if model == "demo" else source, device=device), source


def _with_side(backbone: Backbone, side: int) -> Backbone:
    from dataclasses import replace

    return replace(backbone, preprocess=replace(backbone.preprocess, size=side))


def random_weights(model: str, folder: Path) -> str:
    """A local-dir model of that architecture with random weights."""
    target = folder / model
    if not target.is_dir():
        target.mkdir()
        made = open_clip.create_model(model, pretrained=None)
        weights = {key: value.contiguous() for key, value in made.state_dict().items()}
        save_file(weights, target / "open_clip_model.safetensors")
        config = {"model_cfg": open_clip.get_model_config(model), "preprocess_cfg": {}}
        (target / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{target}"


def pictures(folder: Path, count: int) -> Dataset:
    """`count` items over 64 files, so that the disk holds little and the decoder works as ever.

    Half of them are of the training split, a fifth of val, the rest of test.
    """
    paths = list(_files(folder / "pictures"))
    items = tuple(Item(f"{i}", paths[i % 64], i % 2) for i in range(count))
    train, val = count // 2, count // 2 + count // 5
    splits = {"train": items[:train], "val": items[train:val], "test": items[val:]}
    return Dataset("bench", ("a", "b"), splits)


def _files(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(64):
        path = folder / f"{i}.jpg"
        if not path.is_file():
            rough = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            picture = Image.fromarray(rough).resize((500, 375), Image.Resampling.BICUBIC)
            noisy = np.asarray(picture, np.int16) + rng.integers(-12, 13, (375, 500, 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        yield path


def write_page(document: dict[str, Any]) -> None:
    """Put the table of what was measured where the page has room for it."""
    on_cpu = document["device"] == "cpu"
    begin, lines = (BEGIN, cpu_lines(document)) if on_cpu else (CUDA, cuda_lines(document))
    page = PAGE.read_text()
    if lines and begin in page:
        before, rest = page.split(begin)
        _, after = rest.split(END, 1)
        PAGE.write_text(before + "\n".join([begin, *lines, END]) + after)


def _models(document: dict[str, Any], part: str) -> list[str]:
    return [name for name, held in document.items() if isinstance(held, dict) and part in held]


def cpu_lines(document: dict[str, Any]) -> list[str]:
    lines = [
        f"{document['cores']} cores ({document['machine']}), {document['picture']}, torch "
        f"{document['versions']['torch']}; pictures a second, medians:",
        "",
        "| model | pictures | batch | decoding alone | model alone | product | of what the cores "
        "allow | plain loop | times the plain loop |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in _models(document, "product"):
        m = document[name]
        lines.append(
            f"| {name} | {m['pictures']:,} | {m['batch_size']} | {m['decode_only']:,.0f} | "
            f"{m['forward_only']:,.1f} | {m['product']:,.1f} | "
            f"{m['share_of_what_cores_allow']:.2f} | {m['plain_loop']:,.1f} | "
            f"{m['times_the_plain_loop']:.2f} |"
        )
    if memory := document.get("peak_memory_mb"):
        lines += ["", f"Memory of {MANY:,} pictures by that of {FEW:,}: {memory['ratio']:.2f}."]
    return lines


def cuda_lines(document: dict[str, Any]) -> list[str]:
    decode = ", ".join(
        f"{rate:,} {words}"
        for name, words in (
            ("threads", "in threads"),
            ("processes", "in processes"),
            ("nvjpeg", "on the card"),
        )
        if isinstance(rate := document["decode"].get(name), int)
    )
    lines = [
        f"{document['device']} and {document['cores']} cores, {document['picture']}, torch "
        f"{document['versions']['torch']}; decoded alone: {decode} a second; the card makes "
        f"{document['card']['matrix_tflops']:,.0f} TFLOP/s in bf16 products. Pictures a second:",
        "",
        "| model | precision | batch | model alone | of the card's products | compiled | product "
        "| of the lower ceiling | plain loop |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in _models(document, "forward_only"):
        m = document[name]
        product = f"{median(m['product_img_per_s']):,.0f}" if "product_img_per_s" in m else ""
        share = f"{m['share_of_ceiling']:.2f}" if "share_of_ceiling" in m else ""
        lines.append(
            f"| {name} | {m['precision']} | {m['batch_size']} | {m['forward_only']:,} | "
            f"{m.get('share_of_matrix_rate', 0):.2f} | {m.get('forward_compiled', '')} | "
            f"{product} | {share} | {m.get('plain_loop', '')} |"
        )
    return lines


if __name__ == "__main__":
    main()
