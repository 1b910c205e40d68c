"""How prompts become numbers of pieces of words, as CLIP cuts them: byte pairs, joined by rank.

    text → mended, unescaped, in small letters → words → bytes as letters → pieces joined, the pair
    of the least rank first (Sennrich et al. 2016) → their numbers

The ranked pairs are no part of this project: a cache has them from the model that it was made with.
Numbers go by the letters for bytes, the same letters at the end of a word, then the pairs, then two
for the start and the end of a text.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

WORD_END, START, STOP = "</w>", "<start_of_text>", "<end_of_text>"
# Bytes that stand for themselves as letters; the others get letters beyond 255, in their order.
PLAIN = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))

Pair = tuple[str, str]


@dataclass(frozen=True)
class Tokenizer:
    """Pieces of words and their numbers: `ranks` of the pairs, `numbers` of the pieces."""

    ranks: Mapping[Pair, int]
    numbers: Mapping[str, int]

    @property
    def start(self) -> int:
        """What a text begins with."""
        return self.numbers[START]

    @property
    def stop(self) -> int:
        """What a text ends with."""
        return self.numbers[STOP]

    def ids(self, text: str) -> list[int]:
        """The numbers of a text's pieces, without those of its start and its end."""
        found: list[int] = []
        for word in _pattern().findall(clean(text)):
            if word in (START, STOP):
                found.append(self.numbers[word])
                continue
            letters = [_letters()[byte] for byte in word.encode()]
            letters[-1] += WORD_END
            found += [self.numbers[piece] for piece in _joined(letters, self.ranks)]
        return found


def of_pairs(pairs: Iterable[Pair]) -> Tokenizer:
    """The tokenizer of pairs in the order of their ranks."""
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    letters = [_letters()[byte] for byte in (*PLAIN, *(b for b in range(256) if b not in PLAIN))]
    ends = [letter + WORD_END for letter in letters]
    pieces = [*letters, *ends, *map("".join, ranks), START, STOP]
    return Tokenizer(ranks, {piece: number for number, piece in enumerate(pieces)})


def clean(text: str) -> str:
    """A text as it is before it is cut: characters mended, marks resolved, small, single spaces."""
    from ftfy import fix_text

    resolved = html.unescape(html.unescape(fix_text(text)))
    return " ".join(resolved.split()).lower()


def _joined(letters: Sequence[str], ranks: Mapping[Pair, int]) -> list[str]:
    pieces = [*letters]
    while len(pieces) > 1:
        pair = min(itertools.pairwise(pieces), key=lambda p: ranks.get(p, len(ranks)))
        if pair not in ranks:
            break
        found, i = list[str](), 0
        while i < len(pieces):
            both = (*pieces[i : i + 2],) == pair
            found.append("".join(pair) if both else pieces[i])
            i += 1 + both
        pieces = found
    return pieces


@cache
def _letters() -> Mapping[int, str]:
    """A letter for each byte."""
    others = [byte for byte in range(256) if byte not in PLAIN]
    return {b: chr(b) for b in PLAIN} | {b: chr(256 + i) for i, b in enumerate(others)}


@cache
def _pattern() -> Any:
    """Words, single digits, runs of other signs; endings such as 's apart."""
    import regex  # knows letters and digits of all scripts

    ends = "'(?:s|t|re|ve|m|ll|d)"
    return regex.compile(
        rf"{START}|{STOP}|{ends}|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+", regex.IGNORECASE
    )
