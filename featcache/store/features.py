"""What an entry gives: the features of a split, of a prompt bank, and the last map of a tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageFeatures:
    """One split, row i being item i of the data set.

    `embedding [n, d]` raw, float32 unless it was asked for as it is kept, `label [n]`, `id [n]`,
    `valid [n]` (false where the picture could not be read; its embedding is zero and `reason` says
    why).
    """

    embedding: NDArray[Any]
    label: NDArray[np.int64]
    id: tuple[str, ...]
    valid: NDArray[np.bool_]
    reason: tuple[str, ...]


@dataclass(frozen=True)
class TextFeatures:
    """One prompt bank: `embedding [c, p, d]` raw float32, `mask [c, p]`, and the prompts."""

    bank: str
    embedding: NDArray[np.float32]
    mask: NDArray[np.bool_]
    prompts: tuple[tuple[str, ...], ...]
    classnames: tuple[str, ...]


@dataclass(frozen=True)
class ProjectionWeights:
    """The last map of the image tower: `weight [p, d]` and `bias [d]`, 0 where it has none.

    `pre_projection @ weight + bias` is the raw embedding.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
