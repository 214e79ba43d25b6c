"""The one source of chance: SplitMix64 (Steele, Lea and Flood, 2014), integers only, the same on every machine."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import TypeVar

_MASK = (1 << 64) - 1
_LN2_PPM = 693_147

T = TypeVar("T")


class Generator:
    """A stream of integers. `fork` gives an independent one, so that one fault class does not shift another."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def next(self) -> int:
        """64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, bound: int) -> int:
        """Uniform in [0, bound). `next` once more, in line: a large committee asks millions of times."""
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * bound) >> 64

    def between(self, low: int, high: int) -> int:
        """Uniform in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, ppm: int) -> bool:
        """True `ppm` times in a million."""
        return self.below(1_000_000) < ppm

    def exponential(self, mean: int) -> int:
        """About exponential with this mean: -ln(u) by the binary logarithm with a linear fraction."""
        u = (self.next() >> 32) + 1
        bits = u.bit_length() - 1
        fraction = (u - (1 << bits)) * 1_000_000 >> bits
        log2_ppm = bits * 1_000_000 + fraction
        return (32_000_000 - log2_ppm) * _LN2_PPM * mean // 1_000_000_000_000

    def log_uniform(self, low: int, high: int) -> int:
        """Between `low` and `high`, each octave as likely as the next."""
        octaves = max(1, (high // max(low, 1)).bit_length())
        base = low << self.below(octaves)
        return min(high, self.between(base, max(base, base * 2 - 1)))

    def choose(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.below(len(items))]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Fisher and Yates."""
        for position in range(len(items) - 1, 0, -1):
            other = self.below(position + 1)
            items[position], items[other] = items[other], items[position]

    def fork(self) -> Generator:
        """An independent stream."""
        return Generator(self.next())
