"""How many pictures go through the model at once: by device and model, in a few fixed sizes.

A unit's batches are whole but for its last, which is rounded up to an eighth of a whole one: so
little is computed for nothing, and a row's numbers do not depend on what was encoded before.
"""

from __future__ import annotations

import torch

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import features_of
from featcache.backbones.memory import is_out_of_memory
from featcache.encoding.plan import BATCH
from featcache.store.entry import Entry
from featcache.store.writing import amend

PARTS = 8
PIXELS = 32 * 224 * 224  # a batch on a CPU: larger ones leave its caches and are slower (measured)
OTHERS = 64  # accelerators that do not say what room they have
MOST = {"cpu": 256, "cuda": 256}  # twice as many gain 1 to 4 % on an H100
PROBE = 8  # pictures that are tried to see what one takes
SHARE = 0.5  # of the free memory: others may want some, and fragments are lost


def default_size(backbone: Backbone) -> int:
    """Pictures a batch where nobody says it, a power of two: by pixels, on CUDA by free memory."""
    kind, side = backbone.device.type, backbone.preprocess.size
    if kind == "cpu":
        return _between(16, PIXELS // side**2, MOST["cpu"])
    return _between(1, _fitting(backbone), MOST["cuda"]) if kind == "cuda" else OTHERS


def size_of(entry: Entry, backbone: Backbone, given: int | None, work: bool) -> int:
    """Pictures a batch: as given, or as the entry was begun on such a device, or by default.

    Where there is work to do the entry keeps it, so that a run that goes on, or works beside this
    one, ends with the same bytes. Raises `CacheError` where the disk refuses.
    """
    kind = backbone.device.type
    held = entry.manifest.get(BATCH, {}).get(kind)
    size = given or held or (default_size(backbone) if work else 1)
    if work and size != held:
        with amend(entry) as manifest:
            kept = manifest.setdefault(BATCH, {})
            # Of two that begin at once the first settles what fits.
            size = size if given else kept.get(kind, size)
            kept[kind] = size
    return int(size)


def padded(count: int, size: int) -> int:
    """The size of a batch of `count` pictures, at most `size`: the next whole number of steps."""
    step = -(-size // PARTS)
    return min(size, -(-count // step) * step)


def _between(least: int, count: int, most: int) -> int:
    return max(least, min(most, 1 << max(0, count.bit_length() - 1)))


def _fitting(backbone: Backbone) -> int:
    """How many pictures have room on a CUDA device, by what a few of them take."""
    side, device = backbone.preprocess.size, backbone.device
    try:
        backbone.seeing.to(device)  # a copy of the weights is none of what a picture takes
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        pictures = torch.zeros((PROBE, side, side, 3), dtype=torch.uint8, device=device)
        features_of(backbone, pictures)
        each = (torch.cuda.max_memory_allocated(device) - before) / PROBE
    except RuntimeError as error:
        if is_out_of_memory(error):
            return 1
        raise
    free, _ = torch.cuda.mem_get_info(device)
    return int(SHARE * free / max(1, each))
