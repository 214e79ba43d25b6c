"""The library's contract of engine `bft`, and what genesis gives it."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.executor import ENGINE_ADDRESS
from contracts.library_sources import COMMITTEE, Installation, library_source
from contracts.state_format import LIFECYCLE
from contracts.values import Value, encode_value

VOTING_MS = 7 * 24 * 3_600_000
"""How long a change of the committee may be voted on."""


@dataclass(frozen=True, slots=True)
class Voter:
    """A validator of genesis: its name, its voting key (32 bytes), the address that speaks for it, its weight."""

    name: str
    key: bytes
    account: bytes
    weight: int = 1


def committee_contract(voters: tuple[Voter, ...], voting_ms: int = VOTING_MS) -> Installation:
    """The instance by which validators change their committee. `voters` in the order of genesis."""
    arguments: list[Value] = [
        ENGINE_ADDRESS, voting_ms, [one.name for one in voters], [one.key for one in voters],
        [one.account for one in voters], [one.weight for one in voters],
    ]  # fmt: skip
    return Installation(COMMITTEE, library_source(COMMITTEE), encode_value(arguments), (LIFECYCLE,))
