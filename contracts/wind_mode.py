"""Parameters and options of market A, as genesis names them and as the contract `wind` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.values import Value
from ledger.errors import GenesisError

_ONE: Final = 1_000_000
_MAX_PERIODS: Final = 96
_MAX_WINDOW: Final = 24


@dataclass(frozen=True, slots=True)
class WindMode:
    """The defaults are those of a node, but sealed day-ahead orders are the caller's choice. A day has `periods` slots;
    the gate of a day is T1 before its first slot, that of each slot T2. Weights, spreads, slopes and reputations are
    ppm; `reference` is the reference volume of the first day in Wh; `tolerance` is how far the objectives of a follower
    may be apart in a solution of the bilevel problem (ppm), `window` the most slots of one such problem."""

    sealed: bool
    periods: int = 24
    a1: int = 700_000
    b1: int = 500_000
    s0: int = 50_000
    kb: int = 500_000
    ks: int = 500_000
    r_min: int = 0
    first_reputation: int = 700_000
    efficiency: int = 900_000
    reference: int = 100_000
    tolerance: int = 1_000
    window: int = 24
    da_clearing: bool = True
    netting: bool = True
    removal: bool = True
    tiny: bool = False
    capped: bool = True
    metered: bool = True
    clamp: bool = True
    tie_hash: bool = False
    one_sided: bool = False
    self_trade: bool = False

    def horizon(self) -> int:
        """Slots of one bilevel problem: the longest part of a day that is no longer than `window`."""
        return max(part for part in range(1, self.window + 1) if self.periods % part == 0)

    def terms(self) -> list[Value]:
        """Numbers, in the order of the contract's `options_from`."""
        return [
            self.a1, self.b1, self.s0, self.kb, self.ks, self.r_min, self.first_reputation, self.efficiency,
            self.reference,
        ]  # fmt: skip

    def choices(self) -> list[Value]:
        """Switches, in the order of the contract's `options_from`."""
        return [
            self.da_clearing, self.netting, self.removal, self.tiny, self.capped, self.metered, self.clamp,
            self.tie_hash, self.one_sided, self.self_trade,
        ]  # fmt: skip

    def check(self) -> None:
        """Raise `GenesisError` for terms that the market cannot run on."""
        ratios = (self.a1, self.b1, self.efficiency)
        _require(all(0 <= value <= _ONE for value in ratios), "a weight above one", "0 .. 1,000,000 ppm", ratios)
        terms = (self.s0, self.kb, self.ks, self.r_min, self.first_reputation, self.reference)
        _require(all(0 <= value < 2**40 for value in terms), "a term out of range", "0 .. 2^40 - 1", terms)
        _require(1 <= self.window <= _MAX_WINDOW, "slots of a bilevel problem", f"1 .. {_MAX_WINDOW}", self.window)
        _require(0 <= self.tolerance <= _ONE, "a tolerance above one", "0 .. 1,000,000 ppm", self.tolerance)
        _require(1 <= self.periods <= _MAX_PERIODS, "slots of a day", f"1 .. {_MAX_PERIODS}", self.periods)


def _require(condition: bool, what: str, expected: object, found: object) -> None:
    if not condition:
        raise GenesisError(
            what, expected=expected, found=found, fix="correct the market section of the genesis document"
        )
