"""Command lines that write, each in a folder of its own, and what they leave when nothing fails."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from adapters.results import Results
from featcache import FeatureCache
from featcache.errors import CacheError
from featcache.store import shard
from tests.entries import arrays
from tests.trust.warm import Ended, Warm

ENCODE = "featcache encode --dataset ./pics --views 2 --workers 1 --device cpu"
EXPORT = "featcache export pics --out out.npz"
FIT = "adapters fit --dataset pics --method tip-adapter --shots 1 --out runs"
SWEEP = (
    "adapters sweep --dataset pics --method zero-shot,tip-adapter --shots 1 --seed 1,2 "
    "--jobs 1 --results runs/results.sqlite"
)
# Without a cache, for what it cannot fit anew a report passes over and says so.
REPORT = "adapters report --results runs/results.sqlite --out report --cache nowhere"

# What is typed, after what.
LINES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "encode": (ENCODE, ()),
    "tower": (f"{ENCODE} --extra text-tower", (ENCODE,)),
    "import": ("featcache import in.npz --dataset taken --backbone hf-hub:made/narrow", ()),
    "export": (EXPORT, (ENCODE,)),
    "fit": (FIT, (ENCODE,)),
    "sweep": (SWEEP, (ENCODE,)),
    "report": (REPORT, (ENCODE, SWEEP)),
}
# Columns that no two runs have alike.
MEASURED = ("fit_seconds", "fit_processor_seconds", "predict_seconds", "time")
LACKING = re.compile(r"has \d+ of \d+ rows|no prompts are encoded|the prompts '.*' are not there")
RESULTS = "results.sqlite"
GENERATION = re.compile(r"(-\d{5})(-\d+)?(\.[0-9a-f]{8})?\.h5$")


@dataclass(frozen=True)
class Scene:
    """A command line, the folder it starts from, and what it leaves there undisturbed."""

    name: str
    line: tuple[str, ...]
    start: Path
    whole: Ended
    left: Mapping[str, str]

    def begin(self, folder: Path) -> Path:
        """A copy of the folder that the command line starts from."""
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.start, folder))

    @cached_property
    def before(self) -> Mapping[str, str]:
        """What lies there before."""
        return content(self.start)


def scene(name: str, warm: Warm, scratch: Path) -> Scene:
    """Prepare a scene below a folder and see it undisturbed."""
    line, before = LINES[name]
    start = Path(shutil.copytree(_prepared(before, warm, scratch), scratch / name / "start"))
    there = Path(shutil.copytree(start, scratch / name / "whole"))
    ended = _done(warm.run(line.split(), there))
    return Scene(name, tuple(line.split()), start, ended, content(there))


def _prepared(before: tuple[str, ...], warm: Warm, scratch: Path) -> Path:
    """A folder with pictures and feature files, after those command lines; made once."""
    folder = scratch / f"after-{len(before)}"
    if not folder.exists():
        folder.mkdir(parents=True)
        pictures(folder)
        np.savez(folder / "in.npz", **arrays())
        (folder / "out.npz").write_bytes(b"what was exported before")
        for each in before:
            _done(warm.run(each.split(), folder))
    return folder


def content(folder: Path) -> dict[str, str]:
    """Hashes of the files of a folder by name; of results files what the rows say.

    File times, which the originals of an entry's rows hold, are those of each copy of a folder, and
    how often an entry was brought up to date stands in the names of its shards, of originals also
    when they were last looked at: none of that counts.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = GENERATION.sub(r"\1.h5", str(path.relative_to(folder)))
        if path.name == RESULTS:
            found[name] = _rows(path)
        elif path.is_file() and path.name != ".lock" and not path.name.startswith(RESULTS):
            found[name] = hashlib.sha256(_lasting(path)).hexdigest()
    return found


def _lasting(path: Path) -> bytes:
    """What of a file is the same in every copy of a folder; all of it where it makes no sense."""
    if path.name.startswith("pictures-"):
        with suppress(CacheError):
            held = shard.read(path)
            return b"".join(held[name].tobytes() for name in ("id", "label", "digest"))
    if path.name == "manifest.json":
        with suppress(ValueError, KeyError, TypeError):
            manifest = json.loads(path.read_bytes())
            for key in ("checksum", "generation"):
                manifest.pop(key, None)
            shards = {}
            for name, record in manifest["shards"].items():
                record.pop("generation", None)
                if record["kind"] == "pictures":
                    record = {key: record[key] for key in ("split", "start", "stop")}
                shards[GENERATION.sub(r"\1.h5", name)] = record
            return json.dumps({**manifest, "shards": shards}, sort_keys=True).encode()
    return path.read_bytes()


def differing(scene: Scene, folder: Path) -> list[str]:
    """Names of the files that are not those that an undisturbed run leaves."""
    found = content(folder)
    return [n for n in {**found, **scene.left} if found.get(n) != scene.left.get(n)]


def unsound(folder: Path) -> list[str]:
    """What `featcache verify` finds, but for what is still to be written."""
    entries, broken = FeatureCache(folder / "cache").look()
    found = [problem for entry in entries for problem in entry.problems()]
    return [*broken.values(), *(each for each in found if not LACKING.search(each))]


def _rows(path: Path) -> str:
    frame = Results(path).frame().drop(columns=[*MEASURED])
    return str(frame.sort_values(["run", "target"]).to_csv(index=False))


def _done(ended: Ended) -> Ended:
    assert ended.status == 0, ended
    return ended


def pictures(folder: Path) -> None:
    """Pictures in two class folders, reddish and bluish noise."""
    chance = np.random.default_rng(0)
    for name, tint in (("red", (255, 60, 60)), ("blue", (60, 60, 255))):
        (folder / "pics" / name).mkdir(parents=True)
        for i in range(5):
            pixels = (chance.random((40, 50, 3)) * tint).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pics" / name / f"{i}.png")
