"""The share of pictures in prototypes: what leaving each out says, picture by picture."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.maths import mixture


def unit(n: int, seed: int) -> Tensor:
    return normalize(torch.randn(n, 6, generator=Generator().manual_seed(seed)), dim=-1)


LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3])  # one class of one picture
KEYS, ASKED, TEXT = unit(8, 0), unit(8, 1), unit(4, 2)


def by_hand(before: float, weights: Tensor) -> float:
    total, mean = 0.0, 0.0
    for share in torch.linspace(0, 1, 21).double():
        likely = torch.zeros((), dtype=torch.double)
        for i, y in enumerate(LABELS.tolist()):
            if y == 2:  # nothing is left of its class
                continue
            kept = torch.arange(8) != i
            p = []
            for c in range(4):
                of = KEYS.double()[kept & (c == LABELS)]
                p.append(share * normalize(of.mean(0), dim=0) + (1 - share) * TEXT.double()[c])
            z = 5 * normalize(torch.stack(p), dim=-1) @ ASKED.double()[i]
            likely += weights[i] * z.log_softmax(0)[y]
        weight = float(likely.exp()) * float((1 - share).clamp(min=1e-6)) ** (1 / before - 2)
        total, mean = total + weight, mean + float(share) * weight
    odds = mean / (total - mean) * 17 / 10  # of seven pictures, that had ten beside them
    return odds / (1 + odds)


@pytest.mark.parametrize("before", [0.1, 0.4])
@pytest.mark.parametrize("counted", [False, True])
def test_it_is_the_mean_over_shares_of_what_is_left_out(before: float, counted: bool) -> None:
    weights = torch.linspace(0.5, 1.5, 8) if counted else torch.ones(8)
    found = mixture.by_leaving_out(
        KEYS, ASKED, LABELS, TEXT, 5.0, before, weights if counted else None
    )
    assert float(found) == pytest.approx(by_hand(before, weights), abs=1e-4)


def test_portions_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mixture.by_leaving_out(KEYS, ASKED, LABELS, TEXT, 5.0, 0.3, None)
    monkeypatch.setattr(mixture.kernels, "CACHED", 12)
    parts = mixture.by_leaving_out(KEYS, ASKED, LABELS, TEXT, 5.0, 0.3, None)
    torch.testing.assert_close(parts, whole)


def test_one_picture_a_class_says_nothing() -> None:
    found = mixture.by_leaving_out(KEYS[:4], ASKED[:4], torch.arange(4), TEXT, 5.0, 0.3, None)
    assert float(found) == pytest.approx(0.3)


@pytest.mark.parametrize("before", [0.0, 1.0])
def test_a_certain_expectation_is_finite(before: float) -> None:
    assert 0 <= mixture.by_leaving_out(KEYS, ASKED, LABELS, TEXT, 5.0, before, None) <= 1


def test_it_follows_what_tells_the_classes_apart() -> None:
    classes = torch.eye(4, 6)
    pictures = normalize(classes.repeat_interleave(5, 0) + 0.1 * unit(20, 3), dim=-1)
    labels = torch.arange(4).repeat_interleave(5)

    def share(text: Tensor) -> float:
        mixed = mixture.by_leaving_out(pictures, pictures, labels, text, 20.0, 0.15, None)
        return float(mixed)

    assert share(unit(4, 5)) > 0.5  # texts at random
    noise, asked = unit(20, 6), classes.repeat_interleave(5, 0)  # told apart by text alone
    assert float(mixture.by_leaving_out(noise, asked, labels, classes, 20.0, 0.5, None)) < 0.3


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_cosines_to_a_mixture_are_those_to_its_vector(share: float) -> None:
    x, v, t, s = unit(3, 1), unit(4, 2), unit(4, 3), torch.tensor(share)
    wanted = x @ normalize(s * v + (1 - s) * t, dim=-1).T
    torch.testing.assert_close(mixture.mixed(x @ v.T, x @ t.T, (v * t).sum(-1), s), wanted)
