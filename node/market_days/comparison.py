"""Strategists against honest members, under the published and the default rules of a market, over many seeds.

For each seed the same neighbourhood has four days: everybody truthful, and a share of it playing the strategy, under
both rules. `gain` is money of a member and day beyond what the grid alone gives; `over_truthful` is the gain less what
the same member gains when everybody is truthful: what the strategy gave its players, and what it did to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from node.market_days import auction, community, matching, wind
from node.market_days.members import neighbourhood
from node.market_days.strategies import Players, Strategy, chosen_strategists

RULES: Final = ("published", "default")
_ONE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Market:
    """A market as it is played: its grid prices (micro-currency per kWh), its day, and the two sets of rules."""

    title: str
    feed: int
    retail: int
    gains: Callable[..., dict[str, int]]
    modes: tuple[Any, Any]


MARKETS: Final[Mapping[str, Market]] = MappingProxyType(
    {
        "A": Market("wind", 40_000, 120_000, wind.gains, (wind.PUBLISHED, wind.DEFAULT)),
        "B": Market("community_vpp", 60_000, 180_000, community.gains, (community.PUBLISHED, community.DEFAULT)),
        "C": Market("double_auction", 450_000, 670_000, auction.gains, (auction.PUBLISHED, auction.DEFAULT)),
        "D": Market("matching", 450_000, 670_000, matching.gains, (matching.PUBLISHED, matching.DEFAULT)),
    }
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One comparison. `share_ppm` of `members` households are strategists, drawn anew for each seed."""

    market: str
    strategy: Strategy
    share_ppm: int
    members: int
    first_seed: int
    seeds: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Nearest-rank percentiles of whole numbers; here of money of a member and day, in micro-currency."""

    median: int
    p5: int
    p95: int


@dataclass(frozen=True, slots=True)
class Group:
    """Strategists or honest members of all seeds: how many member-days, and what they gained."""

    member_days: int
    gain: Spread | None
    over_truthful: Spread | None


@dataclass(frozen=True, slots=True)
class RuleReport:
    """Both groups under one set of rules."""

    rules: str
    strategists: Group
    honest: Group


def compare(setting: Setting, tell: Callable[[int], None]) -> tuple[RuleReport, ...]:
    """Play all days; `tell` is called with each seed that is done."""
    found: dict[str, tuple[_Sums, _Sums]] = {rules: (_Sums([], []), _Sums([], [])) for rules in RULES}
    for seed in range(setting.first_seed, setting.first_seed + setting.seeds):
        for rules, rows in _days(setting, seed).items():
            for name_is_strategist, gain, truthful in rows:
                sums = found[rules][0 if name_is_strategist else 1]
                sums.gains.append(gain)
                sums.more.append(gain - truthful)
        tell(seed)
    return tuple(RuleReport(rules, *(sums.group() for sums in found[rules])) for rules in RULES)


def _days(setting: Setting, seed: int) -> dict[str, list[tuple[bool, int, int]]]:
    """By rules: (is a strategist, gain, gain when all are truthful) of each member."""
    market = MARKETS[setting.market]
    members = neighbourhood(seed, setting.members)
    ring = chosen_strategists(seed, [member.name for member in members], setting.share_ppm)
    rows = {}
    for rules, mode in zip(RULES, market.modes, strict=True):
        honest = market.gains(members, Players(seed, "truthful", frozenset(), market.feed, market.retail), mode)
        played = market.gains(members, Players(seed, setting.strategy, ring, market.feed, market.retail), mode)
        rows[rules] = [(name in ring, played[name], honest[name]) for name in sorted(played)]
    return rows


@dataclass(frozen=True, slots=True)
class _Sums:
    gains: list[int]
    more: list[int]

    def group(self) -> Group:
        return Group(len(self.gains), spread_of(self.gains), spread_of(self.more))


def spread_of(values: Sequence[int]) -> Spread | None:
    """The percentiles of some numbers, None if there is none."""
    if not values:
        return None
    ranked = sorted(values)

    def at(percent: int) -> int:
        return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]

    return Spread(at(50), at(5), at(95))


def share_of(text: str) -> int | None:
    """A share such as 0.3 in ppm; `None` if it is not a number from 0 to 1 with at most six digits behind the point."""
    whole, point, part = text.partition(".")
    if not (whole + part).isascii() or not (whole + part).isdigit() or len(part) > 6 or (point and not part):
        return None
    ppm = int(whole or "0") * _ONE + int(part.ljust(6, "0") or "0")
    return ppm if ppm <= _ONE else None
