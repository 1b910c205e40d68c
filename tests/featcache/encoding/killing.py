"""An encode that is killed again and again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from featcache import FeatureCache
from tests.featcache.encoding.noise import files

SCRIPT = """
import sys
from featcache import FeatureCache, encode_dataset, load_backbone
from featcache.encoding import plan
from tests.featcache.encoding.noise import VIEWS, noise
plan.SHARD_ROWS = 32
backbone = load_backbone("local-dir:" + sys.argv[1], device="cpu", precision="fp32")
print("ready", flush=True)
encode_dataset(noise(300), backbone, FeatureCache(sys.argv[2]), views=VIEWS, {how})
"""


def check(folder: Path, backbone: Path, how: str, times: int, longest: float, seed: int) -> None:
    """Killed so many times and then left alone, it ends with the bytes of one that never was.

    `how` is what else `encode_dataset` is given, `longest` the seconds that a run has at most.
    """
    command = [sys.executable, "-c", SCRIPT.format(how=how), str(backbone)]
    subprocess.run([*command, str(folder / "whole")], check=True, stdout=subprocess.DEVNULL)
    rng = random.Random(seed)
    for _ in range(times):
        run = subprocess.Popen([*command, str(folder / "killed")], stdout=subprocess.PIPE)
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(rng.uniform(0.05, longest))
        run.send_signal(signal.SIGKILL)
        run.wait()
    subprocess.run([*command, str(folder / "killed")], check=True, stdout=subprocess.DEVNULL)
    whole, killed = (files(FeatureCache(folder / name)) for name in ("whole", "killed"))
    left = {name for name in killed if ".tmp" in name}
    assert {name: killed[name] for name in killed if name not in left} == whole
