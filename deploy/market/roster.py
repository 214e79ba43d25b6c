"""The four markets by letter."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from contracts.library_sources import PRICINGS
from deploy.market.auction import DoubleAuction
from deploy.market.community import CommunityPlant
from deploy.market.interface import Market
from deploy.market.matching import MatchingMarket
from deploy.market.wind import WindMarket
from deploy.network import MarketMode
from ledger.errors import ConfigError, GenesisError
from ledger.genesis import Genesis

MARKETS: Final[dict[str, Market]] = {
    market.letter: market for market in (WindMarket(), CommunityPlant(), DoubleAuction(), MatchingMarket())
}
DEFAULT: Final = "C"

PricingOption = Annotated[str, typer.Option("--pricing", help=f"Market C: {', '.join(PRICINGS)}.")]
"""What trades of market C cost (docs/contracts.md)."""


def market_of(letter: str) -> Market:
    """The market of a letter, either case. Raise `ConfigError`."""
    found = MARKETS.get(letter.upper())
    if found is None:
        raise ConfigError(
            "no such market",
            code="MARKET",
            expected=", ".join(f"{known.letter} ({known.title})" for known in MARKETS.values()),
            found=letter,
            fix="choose another --market",
        )
    return found


def mode_of_market(letter: str, *, sealed: bool, slots: int, pricing: str) -> MarketMode:
    """The options of a network's market; `pricing`: of market C, `midpoint` for the others. Raise `ConfigError`."""
    market = market_of(letter)
    if isinstance(market, DoubleAuction):
        return market.priced(sealed=sealed, pricing=pricing)
    if pricing != PRICINGS[0]:
        raise ConfigError(
            "only market C has several rules for prices",
            code="PRICING",
            expected="--market C",
            found=f"--market {market.letter}",
            fix="leave --pricing out",
        )
    return market.mode(sealed=sealed, slots=slots)


def choices() -> str:
    """The markets as an option's help lists them."""
    return ", ".join(f"{market.letter} {market.title}" for market in MARKETS.values())


def market_in(genesis: Genesis) -> Market:
    """The market that a genesis document installs. Raise `GenesisError` if it has none."""
    names = [contract.name for contract in genesis.contracts]
    for market in MARKETS.values():
        if market.contract in names:
            return market
    raise GenesisError(
        "no market",
        expected=" or ".join(market.contract for market in MARKETS.values()),
        found=names,
        fix="found the network with the contract library",
    )


def is_sealed(genesis: Genesis) -> bool:
    """Whether orders are committed to before they are shown, by the genesis document itself. Raise `GenesisError`."""
    market = market_in(genesis)
    arguments = next(contract.arguments for contract in genesis.contracts if contract.name == market.contract)
    return market.sealed_in(arguments)
