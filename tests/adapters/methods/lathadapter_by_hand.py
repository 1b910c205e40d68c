"""The training of `lathadapter` written out: picture by picture, triplet by triplet."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize, relu

from adapters.episode import Episode
from adapters.maths import hyperbolic
from adapters.methods.lathadapter import Config


def moved(p: Any, side: str, x: Tensor, r: float, config: Config) -> Tensor:
    """f' or t' of one unit vector `x [d]`."""
    if config.sides not in ("both", side):
        return x
    seen = x
    if config.attention:
        attributes = p["attributes"]
        shares = torch.stack([16**0.5 * (x @ a) for a in attributes]).softmax(0)
        heard = sum(share * a for share, a in zip(shares, attributes, strict=True))
        seen = x + p[f"{side}.attention"] @ heard
    made = p[f"{side}.1"] @ relu(p[f"{side}.0"] @ seen)
    return (1 - r) * x + r * (relu(made) if config.last_relu else made)


def nodes(p: Any, x: Tensor, config: Config) -> Tensor:
    """Points of the ball or of the Lorentz model, one after the other."""
    c, points = p["curvature"].exp(), []
    c = c if config.learn_curvature else c.detach()
    for row in x:
        v = p["scale"].exp() * row
        if v.norm() > config.radius:
            v = config.radius * v / v.norm()
        r = c.sqrt() * v.norm()
        points.append(v * (r.tanh() if config.model == "poincare" else r.sinh()) / r)
    return torch.stack(points)


def triplets(d: Tensor, labels: Tensor, config: Config, g: Generator) -> list[tuple[int, int, int]]:
    """Near are the mutual neighbours, far those that are neighbours neither way."""
    n = len(d)
    k = min(config.neighbours, (n - 1) // 2)

    def closeness(i: int, j: int) -> float:
        return math.exp(-float(d[i, j])) + float(labels[i] == labels[j])

    top = []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        top.append(set(sorted(others, key=lambda j, i=i: -closeness(i, j))[:k]))
    near = [[j for j in range(n) if j in top[i] and i in top[j]] for i in range(n)]
    far = []
    for i in range(n):
        others = [j for j in range(n) if j != i and j not in near[i]]
        if not config.one_sided:
            others = [j for j in others if j not in top[i] and i not in top[j]]
        far.append(others)
    anchors = [i for i in range(n) if near[i] and far[i]]
    nears, fars = (torch.rand(len(anchors), config.triplets, generator=g) for _ in range(2))
    found = []
    for row, i in enumerate(anchors):
        for a, b in zip(nears[row].tolist(), fars[row].tolist(), strict=True):
            found.append((i, near[i][int(a * len(near[i]))], far[i][int(b * len(far[i]))]))
    return found


def level(
    x: Tensor, ancestors: Tensor, labels: Tensor, c: Tensor, config: Config, g: Generator
) -> Tensor:
    """The mean over triplets; 0 where the two ancestors are one."""
    apart = hyperbolic.distances(x, x, c, config.model).detach()
    to = hyperbolic.distances(x, ancestors, c, config.model)
    found = triplets(apart, labels, config, g)
    noise = [-(-torch.rand(len(found), len(ancestors), generator=g).log()).log() for _ in range(2)]
    terms = []
    for row, (i, j, k) in enumerate(found):
        choices = []
        for gumbel, three in zip(noise, (False, True), strict=True):
            farthest = to[i].maximum(to[j])
            farthest = farthest.maximum(to[k]) if three else farthest
            soft = (gumbel[row] - farthest / config.temperature).softmax(0)
            hard = torch.zeros(len(ancestors))
            hard[soft.argmax()] = 1
            choices.append((int(soft.argmax()), hard + soft - soft.detach()))
        (pair, of_pair), (three, of_all) = choices
        if pair == three:
            terms.append(torch.zeros(()))
            continue
        terms.append(
            relu(of_pair @ to[i] - of_all @ to[i] + config.margin)
            + relu(of_pair @ to[j] - of_all @ to[j] + config.margin)
            + relu(of_all @ to[k] - of_pair @ to[k] + config.margin)
        )
    return torch.stack(terms).mean()


def start(f: Tensor, config: Config, g: Generator) -> dict[str, Tensor]:
    """The adapters as linear layers start, the attributes by twenty rounds of k-means."""
    width = 16 // config.reduction
    p: dict[str, Tensor] = {}
    for side in ("image", "text"):
        for name, rows, columns in ((f"{side}.0", width, 16), (f"{side}.1", 16, width)):
            p[name] = (2 * torch.rand(rows, columns, generator=g) - 1) / columns**0.5
    noise = normalize(torch.randn(config.attributes, 16, generator=g), dim=1)
    p["attributes"] = noise
    if config.start == "k-means":
        centres = f[torch.randint(len(f), (config.attributes,), generator=g)] + noise / 10
        for _ in range(20):
            own = [int((centres - row).norm(dim=1).argmin()) for row in f]
            for a in range(config.attributes):
                if a in own:  # a centre that nobody is near stays
                    centres[a] = f[[i for i, at in enumerate(own) if at == a]].mean(0)
        p["attributes"] = normalize(centres, dim=1)
    p["scale"], p["curvature"] = (torch.tensor(x).log() for x in (config.scale, config.curvature))
    if config.attention:
        p |= {f"{side}.attention": torch.zeros(16, 16) for side in ("image", "text")}
    return p


def trained(episode: Episode, config: Config) -> dict[str, Tensor]:
    """The loss of a plain loop, picture by picture and triplet by triplet."""
    g = Generator().manual_seed(0)
    views = normalize(episode.support.views, dim=-1)
    text, labels, n = episode.text.unit(), episode.support.labels, len(episode.support.labels)
    batches = [torch.randint(n, (config.batch,), generator=g) for _ in range(config.steps)]
    p = {k: v.requires_grad_() for k, v in start(views.mean(0), config, g).items()}
    adam = torch.optim.AdamW(p.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    r = config.training_ratio
    for step, rows in enumerate(batches):
        x = views[torch.randint(len(views), rows.shape, generator=g), rows]
        f = torch.stack([moved(p, "image", row, r, config) for row in x])
        t = torch.stack([moved(p, "text", row, r, config) for row in text])
        f1, t1 = normalize(f, dim=1), normalize(t, dim=1)
        loss = cross_entropy(100 * f1 @ t1.T, labels[rows])
        moves = [(new - old).square().sum(1).mean() for new, old in ((f, x), (t, text))]
        loss = loss + config.keep * (moves[0] + moves[1])
        if step % config.every == 0:
            loss = loss + config.every * config.weight * hierarchy(
                p, f1, t1, labels[rows], config, g
            )
        adam.param_groups[0]["lr"] = (
            config.learning_rate * (1 + math.cos(math.pi * step / config.steps)) / 2
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
    return {name: value.detach() for name, value in p.items()}


def hierarchy(
    p: Any, f1: Tensor, t1: Tensor, labels: Tensor, config: Config, g: Generator
) -> Tensor:
    c = p["curvature"].exp() if config.learn_curvature else p["curvature"].exp().detach()
    pictures, attributes, classes = (nodes(p, each, config) for each in (f1, p["attributes"], t1))
    alone = torch.arange(config.attributes)
    below = level(pictures, attributes, labels, c, config, g)
    return below + level(attributes, classes, alone, c, config, g)
