"""Support sets as they are kept: embeddings of every view, and what stood before the projection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.names import BackboneName
from featcache.errors import ImportRefusedError
from featcache.interchange.rows import compact
from featcache.interchange.taken import Drawn
from featcache.store.entry import EMBEDDING, PRE_PROJECTION
from featcache.store.features import ProjectionWeights
from featcache.store.shard import strings
from featcache.store.support import KIND
from featcache.store.writing import NewShard


@dataclass(frozen=True)
class Embedded:
    """A support set with `embedding [v, n, d]` and, where it was that, `pre [v, n, p]`."""

    drawn: Drawn
    embedding: NDArray[Any]
    pre: NDArray[Any] | None = None

    @property
    def name(self) -> str:
        """What the set is called."""
        return self.drawn.name


def embedded(
    drawn: Sequence[Drawn], backbone: BackboneName, width: int
) -> tuple[list[Embedded], ProjectionWeights | None]:
    """The sets as they are kept, and the backbone's projection where some need it.

    It is loaded then. Raises `BackboneError` where it cannot be, `ImportRefusedError` where its
    projection is of another width, or embeddings are not all of `width`, if that is not 0.
    """
    projection = _projection(backbone) if any(each.pre for each in drawn) else None
    found = []
    for each in drawn:
        kept = _compact(each.features)
        if not each.pre or projection is None:
            found.append(Embedded(each, kept))
            continue
        if each.features.shape[-1] != len(projection.weight):
            raise ImportRefusedError(
                f"support {each.name} is {each.features.shape[-1]} wide before the projection and "
                f"{backbone.canonical} has {len(projection.weight)} there; name the backbone that "
                "it was made with."
            )
        x = each.features.astype(np.float32) @ projection.weight + projection.bias
        found.append(Embedded(each, _compact(x), kept))
    widths = {each.embedding.shape[-1] for each in found} | ({width} if width else set())
    if len(widths) > 1:
        raise ImportRefusedError(
            f"embeddings are {' and '.join(map(str, sorted(widths)))} wide; support sets, splits "
            "and text must come from the same backbone."
        )
    return found, projection


def support_shards(each: Embedded, rows: int) -> Iterator[NewShard]:
    """The shards of a set, of so many rows of views at most."""
    drawn, step = each.drawn, max(1, rows // len(each.embedding))
    ids = drawn.ids or [f"{drawn.name}/{row:06d}" for row in range(len(drawn.labels))]
    for number, start in enumerate(range(0, len(drawn.labels), step)):
        stop = min(start + step, len(drawn.labels))
        record = {
            "kind": KIND,
            "split": drawn.part,
            "start": start,
            "stop": stop,
            "set": drawn.name,
            "shots": drawn.shots,
            "seed": drawn.seed,
        }
        arrays = {
            EMBEDDING: _by_picture(each.embedding, start, stop),
            "id": strings(ids[start:stop]),
            "label": drawn.labels[start:stop].astype(np.int64),
        }
        if each.pre is not None:
            arrays[PRE_PROJECTION] = _by_picture(each.pre, start, stop)
        yield NewShard(f"support-{drawn.name}-{number:05d}.h5", record, arrays)


def _by_picture(x: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    return np.ascontiguousarray(x[:, start:stop].transpose(1, 0, 2))  # [n, v, d]


def _compact(x: NDArray[Any]) -> NDArray[Any]:
    return compact(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def _projection(name: BackboneName) -> ProjectionWeights:
    # Torch and the model are loaded for the one project that needs them.
    from featcache.backbones import backbone, image_tower

    loaded = backbone.load(name.canonical)
    image_tower.check(name.canonical, loaded.model, [PRE_PROJECTION])
    weight, bias = (each.float().cpu().numpy() for each in image_tower.projection(loaded.model))
    return ProjectionWeights(np.ascontiguousarray(weight), bias)
