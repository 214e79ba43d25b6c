"""How a neighbourhood joins the market: applications, attestations, deposits, all as signed transactions.

The contract approves by itself when the energy bureau has attested the licence and the grid company meter and
connection point. An application carries no personal data in clear, only salted hashes. The trading center's treasury
deposits money to each member and to the grid company's settlement account, which is an account like any other.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from deploy.books import amount
from deploy.gateway import Household
from deploy.market.interface import Desk, Market, MarketDay
from deploy.neighbourhood import Member, Neighbourhood, Side

ROUND_TO = 1_000_000
"""Deposits are whole currency units."""
REGION = "rural1"


def applications(market: Market, street: Neighbourhood, households: Sequence[Household]) -> list[bytes]:
    """One application per household. Rated power: the installed one, or the data's highest value if above; a member
    with a storage names it beside its load and is a prosumer."""
    signed: list[bytes] = []
    for number, house in enumerate(households):
        member = house.member
        peak = max(max(day[member.name]) for day in street.energy.values())
        salt = secrets.token_bytes(16)
        signed.append(
            house.owner.call(
                "registry",
                "apply",
                house.meter.address,
                hashlib.sha256(secrets.token_bytes(32)).digest(),
                [_role(member)],
                [member.device, *(["storage"] if member.storage_w else [])],
                [max(1, member.rated_w, 4 * peak), *([member.storage_w] if member.storage_w else [])],
                market.connection(member, number, street),
                REGION,
                ["name"],
                [hashlib.sha256(salt + member.name.encode("utf-8")).digest()],
            )
        )
    return signed


def _role(member: Member) -> str:
    if member.storage_w:
        return "prosumer"
    return "producer" if member.side is Side.GENERATION else "consumer"


def attestations(desk: Desk, households: Sequence[Household], applied: Mapping[bytes, bytes]) -> list[bytes]:
    """What the institutions say about every application. `applied`: digest of the committed one by account."""
    signed: list[bytes] = []
    for house in households:
        account = house.owner.address
        digest = applied[account]
        signed.append(desk.energy_bureau.call("registry", "attest", account, digest, ["licence"]))
        signed.append(desk.grid_company.call("registry", "attest", account, digest, ["meter", "connection"]))
    return signed


def deposits(market: Market, day: MarketDay) -> list[bytes]:
    """Money for the day: enough to cover each member's orders and grid energy, and the grid's purchases."""
    plan, retail, center = day.plan, day.tariffs.retail, day.desk.trading_center
    signed: list[bytes] = []
    for number, house in enumerate(day.households):
        name = house.member.name
        worst = market.cover * amount(retail, sum(plan.forecast[name]) + sum(plan.measured[name]))
        signed.append(center.call("token", "deposit", house.owner.address, _rounded(worst), f"bank {number}"))
    bought = sum(
        sum(
            plan.measured[house.member.name]
            if house.member.side is Side.GENERATION
            else plan.forecast[house.member.name]
        )
        for house in day.households
    )
    of_grid = _rounded(market.cover * amount(day.tariffs.feed, bought))
    return [*signed, center.call("token", "deposit", day.desk.grid_company.address, of_grid, "bank grid")]


def _rounded(micro: int) -> int:
    return (micro // ROUND_TO + 1) * ROUND_TO
