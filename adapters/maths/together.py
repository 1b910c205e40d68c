"""Many trainings as one: `torch.vmap` over their losses, one optimiser over all their parameters.

They share a loss with its settings, the shapes of all their tensors and the number of steps. Each
keeps its own chance, so a stacked training is the training alone up to the rounding of batched
matrix products. Tensors that all of them hold as one and the same are not copied.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from adapters.maths.training import Tensors, Training


def together(trainings: Sequence[Training]) -> list[dict[str, Tensor]]:
    """The states of trainings of one kind, trained as one, in their order."""
    paces: dict[Hashable, list[int]] = {}
    for i, each in enumerate(trainings):
        paces.setdefault(_pace(each), []).append(i)
    order = [i for same in paces.values() for i in same]
    runs = [trainings[i] for i in order]
    device = device_of(runs[0])
    start = _batch([run.start for run in runs], device)
    leaves = {name: p.detach().requires_grad_() for name, p in start.items()}
    data, axes = _shared([run.data for run in runs], device)
    optimiser = _Paced(runs, leaves)
    for step, batches in enumerate(zip(*(run.batches for run in runs), strict=True)):
        batch, among = _shared(batches, device)
        losses = torch.vmap(runs[0].loss, in_dims=(0, axes, among))
        with sdpa_kernel(SDPBackend.MATH):  # vmap knows no rule for the others on a processor
            total = losses(leaves, data, batch).sum()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step(step)
    ended = {i: _row(leaves, place) for place, i in enumerate(order)}
    return [each.finish(ended[i]) for i, each in enumerate(trainings)]


class _Paced:
    """The runs' own optimiser over stacked parameters, a group for each pace of learning.

    A group holds slices of the parameters: those of its runs. Optimisers act on each number apart,
    so that every run is stepped as it would be alone.
    """

    def __init__(self, runs: Sequence[Training], leaves: Tensors) -> None:
        self.leaves = leaves
        self.groups: list[tuple[slice, Training, list[Tensor]]] = []
        first = 0
        for _, same in itertools.groupby(runs, _pace):
            members = list(same)
            place = slice(first, first + len(members))
            parts = [p.detach()[place] for p in leaves.values()]
            self.groups.append((place, members[0], parts))
            first = place.stop
        options = [{"params": ps, **run.optimiser.keywords} for _, run, ps in self.groups]
        self.inner = runs[0].optimiser.func(options)

    def step(self, number: int) -> None:
        """One step along the gradients of the leaves, which are gone afterwards."""
        for group, (place, run, parts) in zip(self.inner.param_groups, self.groups, strict=True):
            group["lr"] = run.optimiser.keywords["lr"] * run.schedule[number]
            for part, leaf in zip(parts, self.leaves.values(), strict=True):
                part.grad = None if leaf.grad is None else leaf.grad[place]
        self.inner.step()
        for leaf in self.leaves.values():
            leaf.grad = None


def _pace(run: Training) -> tuple[Hashable, ...]:
    """How it learns: the optimiser's settings and the schedule."""
    return (*sorted(run.optimiser.keywords.items()), tuple(run.schedule))


def _shared(
    each: Sequence[Tensors], device: torch.device
) -> tuple[dict[str, Tensor], dict[str, int | None]]:
    """The tensors of all with the axis of the runs, None where they hold one and the same."""
    found: dict[str, Tensor] = {}
    axes: dict[str, int | None] = {}
    for name, one in each[0].items():
        own = [tensors[name] for tensors in each]
        same = all(other is one for other in own)
        found[name] = (one if same else torch.stack(own)).to(device)
        axes[name] = None if same else 0
    return found, axes


def _batch(batches: Sequence[Tensors], device: torch.device) -> dict[str, Tensor]:
    return {name: torch.stack([b[name] for b in batches]).to(device) for name in batches[0]}


def _row(leaves: Tensors, place: int) -> dict[str, Tensor]:
    return {name: p.detach()[place].clone() for name, p in leaves.items()}


def device_of(run: Training) -> torch.device:
    """Where its parameters lie."""
    return next(iter(run.start.values())).device
