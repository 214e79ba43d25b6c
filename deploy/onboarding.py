"""How a neighbourhood joins the market: applications, attestations, deposits, all as signed transactions.

The contract approves by itself when the energy bureau has attested the licence and the grid company meter and
connection point. An application carries no personal data in clear, only salted hashes. The trading center's treasury
deposits money to each member and to the grid company's settlement account, which is an account like any other.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.books import Tariffs, amount
from deploy.gateway import Household, Signer
from deploy.neighbourhood import Neighbourhood, Plan, Side

ROUND_TO = 1_000_000
"""Deposits are whole currency units."""
REGION = "rural1"


@dataclass(frozen=True, slots=True)
class Desk:
    """The institutions' keys that onboarding needs."""

    energy_bureau: Signer
    grid_company: Signer
    trading_center: Signer


def applications(street: Neighbourhood, households: Sequence[Household]) -> list[bytes]:
    """One application per household. Rated power: the installed one, or the data's highest value if above."""
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
                ["producer" if member.side is Side.GENERATION else "consumer"],
                [member.device],
                [max(1, member.rated_w, 4 * peak)],
                f"connection {number}",
                REGION,
                ["name"],
                [hashlib.sha256(salt + member.name.encode("utf-8")).digest()],
            )
        )
    return signed


def attestations(desk: Desk, households: Sequence[Household], applied: Mapping[bytes, bytes]) -> list[bytes]:
    """What the institutions say about every application. `applied`: digest of the committed one by account."""
    signed: list[bytes] = []
    for house in households:
        account = house.owner.address
        digest = applied[account]
        signed.append(desk.energy_bureau.call("registry", "attest", account, digest, ["licence"]))
        signed.append(desk.grid_company.call("registry", "attest", account, digest, ["meter", "connection"]))
    return signed


def deposits(desk: Desk, households: Sequence[Household], plan: Plan, tariffs: Tariffs) -> list[bytes]:
    """Money for the day: enough to cover each member's orders and grid energy, and the grid's purchases."""
    signed: list[bytes] = []
    for number, house in enumerate(households):
        name = house.member.name
        worst = amount(tariffs.retail, sum(plan.forecast[name]) + sum(plan.measured[name]))
        sum_of_money = _rounded(worst)
        signed.append(desk.trading_center.call("token", "deposit", house.owner.address, sum_of_money, f"bank {number}"))
    bought = sum(
        sum(
            plan.measured[house.member.name]
            if house.member.side is Side.GENERATION
            else plan.forecast[house.member.name]
        )
        for house in households
    )
    grid = desk.grid_company.address
    signed.append(
        desk.trading_center.call("token", "deposit", grid, _rounded(amount(tariffs.feed, bought)), "bank grid")
    )
    return signed


def _rounded(micro: int) -> int:
    return (micro // ROUND_TO + 1) * ROUND_TO
