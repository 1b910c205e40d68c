"""Methods that cannot run on cached embeddings: why not, and what their authors or others report.

They are named so that a person who asks for one is told the reason, and so that their numbers can
stand beside ours with the protocol they were made under. Marks of sources: [L] official log,
[R] official README or project page, [A] abstract, [F] read off a figure, +- 0.3, [T] table of
another project. Rows of different protocols are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BASE_TO_NEW = "base-to-new, ViT-B/16, 16 shots, mean of 11 sets, 3 seeds"
ELEVEN = "1/2/4/8/16 shots, ViT-B/16, mean of 11 sets"
CLIP_SVD = f"{ELEVEN}, 3 seeds, no validation pictures [T: HealthX-Lab/CLIP-SVD README]"

BOTH_TOWERS = "trains parameters inside both towers, so no embedding can be kept"
DIFFUSION = "classifies by the denoising error of a diffusion model, not by embeddings"


@dataclass(frozen=True)
class Published:
    """A reported number, in per cent, and the protocol that it was made under."""

    value: str
    protocol: str


@dataclass(frozen=True)
class Unavailable:
    """A method that is here by name only."""

    title: str
    reason: str
    numbers: tuple[Published, ...] = ()


def _reported(
    by_shots: str, base_to_new: str = "", source: str = "R or T"
) -> tuple[Published, ...]:
    rows = ((by_shots, CLIP_SVD), (base_to_new, f"{BASE_TO_NEW} [{source}]"))
    return tuple(Published(value, protocol) for value, protocol in rows if value)


METHODS: Mapping[str, Unavailable] = {
    "apollo": Unavailable(
        "APoLLo (arXiv 2312.01564)",
        BOTH_TOWERS,
        (
            Published(
                "ImageNet 78.91 / 73.43, DTD 83.95 / 65.21, Aircraft 40.62 / 39.87, "
                "UCF101 87.88 / 80.52",
                "base / new, ViT-B/16, 16 shots [F]",
            ),
        ),
    ),
    "clip-lora": Unavailable(
        "CLIP-LoRA (arXiv 2405.18541)",
        f"{BOTH_TOWERS} (its text half is here as text-lora)",
        _reported("72.20 / 75.41 / 77.32 / 80.10 / 82.89", "H 79.18"),
    ),
    "clip-svd": Unavailable(
        "CLIP-SVD (arXiv 2509.03740)",
        BOTH_TOWERS,
        _reported("73.20 / 76.06 / 78.18 / 80.55 / 82.97", "H 80.13"),
    ),
    "comple": Unavailable(
        "CoMPLe (of the GCPL paper)",
        DIFFUSION,
        (
            Published(
                "Cars 87.69, Flowers 90.73, CRC5k 76.36, ISIC 49.27, LC25000 94.83, "
                "Fractals 88.83, Cornseeds 45.79",
                "16 shots [F]",
            ),
        ),
    ),
    "dcar": Unavailable(
        "DCAR (arXiv 2508.04028)",
        "tunes prompts of both towers for retrieval",
        (Published("37.65 / 27.25", "retrieval R@1 image to text / text to image, ViT-B/32 [R]"),),
    ),
    "gcpl": Unavailable(
        "GCPL (prompts of a diffusion model)",
        DIFFUSION,
        (
            Published(
                "Cars 88.47, Flowers 93.45, CRC5k 74.76, ISIC 48.84, LC25000 93.44, "
                "Fractals 90.76, Cornseeds 43.42",
                "16 shots [F]",
            ),
        ),
    ),
    "ldc": Unavailable(
        "LDC",
        "reads maps from between the layers of the image tower",
        (
            Published(
                "72.58 / 74.55 / 77.42 / 80.07 / 82.93", f"{ELEVEN}, one seed, epoch on test [L]"
            ),
        ),
    ),
    "maple": Unavailable(
        "MaPLe (arXiv 2210.03117)",
        BOTH_TOWERS,
        _reported("69.27 / 72.58 / 75.37 / 78.89 / 81.79", "82.28 / 75.14, H 78.55", "R: MaPLe"),
    ),
    "mf-adapter": Unavailable(
        "MF-Adapter (arXiv 2407.05647)",
        "needs low-level maps of the image tower at several scales; its equations were not found",
    ),
    "plot": Unavailable(
        "PLOT (arXiv 2210.01253)",
        "matches prompts with local outputs of the image tower's pooling, which are not kept, and "
        "on one embedding a picture it is no more than the mean of contexts (proda has several)",
    ),
    "promptsrc": Unavailable(
        "PromptSRC",
        BOTH_TOWERS,
        (
            Published("72.3 / 75.3 / 78.4 / 80.7 / 82.9", f"{ELEVEN}, no validation pictures [F]"),
            Published("H 79.97", f"{BASE_TO_NEW} [R or T]"),
        ),
    ),
    "2sfs": Unavailable(
        "2SFS (arXiv 2503.11609)",
        "tunes layer norms inside both towers before it fits a classifier",
        _reported("", "H 80.20"),
    ),
}


def numbers(method: Unavailable) -> str:
    """The reported numbers, each with its protocol, one a line."""
    return "\n".join(f"{n.value} ({n.protocol})" for n in method.numbers) or "none found"


def refusal(name: str) -> str:
    """The sentence for somebody who wants to fit that method."""
    method = METHODS[name]
    return (
        f"{name} cannot be fitted here: it {method.reason}, and this project fits on cached "
        "embeddings; `adapters methods --all` shows its published numbers."
    )
