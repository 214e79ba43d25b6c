"""What of a network's plan nobody can found: a directory that is taken, names, figures, ports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from contracts.library_sources import SLOT_LENGTHS_MS
from deploy.founding_shards import check_regions
from deploy.layout import MANIFEST
from deploy.network import COMMUNITY, INSTITUTIONS, NetworkPlan
from ledger.engine_settings import LEAST_MEMBERS, MOST_CANDIDATES, MOST_SEATS
from ledger.errors import ConfigError
from ledger.genesis import ENGINES, UNREAL_TIME_PREFIXES
from ledger.validators import MAX_VALIDATORS

_MINUTE_MS: Final = 60_000
_VALIDATORS: Final = {"solo": (1, 1), "dpos": (LEAST_MEMBERS, MOST_CANDIDATES)}
"""Least and most, where they are not those of any set of voters."""
_CHAIN_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def speaker_name(name: str) -> str:
    """The account that a node of engine `dpos` speaks by, by its organisation."""
    return f"{name}-node"


def check_vacant(directory: Path) -> None:
    """Raise `ConfigError` NETWORK_EXISTS if a network is there already."""
    if (directory / MANIFEST).exists():
        raise ConfigError(
            "there is a network in this directory",
            code="NETWORK_EXISTS",
            expected="an empty directory",
            found=directory,
            fix="choose another directory, or delete this one",
        )


def check_plan(plan: NetworkPlan) -> None:
    """Raise `ConfigError` for names, figures and chains that no network may have, or where one is already."""
    check_vacant(plan.directory)
    _check_names(plan)
    _check_figures(plan)


def _check_names(plan: NetworkPlan) -> None:
    for name in (*plan.organisations, *plan.accounts):
        if not (name.replace("-", "").replace("_", "").isalnum() and name.isascii() and len(name) <= 64):
            raise ConfigError(
                "a name is letters, digits, - and _",
                code="BAD_NAME",
                expected="1 to 64 of A-Z a-z 0-9 - _",
                found=repr(name),
                fix="choose another name",
            )
    # Institutions have accounts of their own, and a node beyond the fourth has one under its name.
    taken = [*INSTITUTIONS, COMMUNITY, *plan.organisations[len(INSTITUTIONS) :], *plan.accounts]
    taken += map(speaker_name, plan.names) if plan.council_seats else ()
    twice = sorted(
        {name for name in plan.organisations if plan.organisations.count(name) > 1}
        | {name for name in taken if taken.count(name) > 1}
    )
    if twice:
        raise ConfigError(
            "a name is used twice",
            code="BAD_NAME",
            expected=f"each name once, and none of {', '.join((*INSTITUTIONS, COMMUNITY))} for a further account",
            found=", ".join(twice),
            fix="choose other names",
        )
    if _CHAIN_NAME.fullmatch(plan.chain_name) is None or len(plan.chain_name) > 64:
        raise ConfigError(
            "this cannot be a network's name",
            code="BAD_CHAIN_NAME",
            expected="words of a-z 0-9 with - between them, the first begins with a letter, at most 64 characters",
            found=repr(plan.chain_name),
            fix="choose another --chain-name",
        )


def _check_figures(plan: NetworkPlan) -> None:
    check_regions(plan)
    engines, unreal = " or ".join(ENGINES), ", ".join(UNREAL_TIME_PREFIXES)
    _expect(plan.engine in ENGINES, "GENESIS_ENGINE", "unknown engine", engines, plan.engine, "--engine")
    seats = plan.engine == "dpos" or plan.seats is None
    _expect(seats, "SEATS", "only engine dpos has a council", "no seats", plan.seats, "--engine, or leave --seats away")
    _check_sizes(plan)
    minutes = [slot_ms // _MINUTE_MS for slot_ms in SLOT_LENGTHS_MS]
    usual = plan.calendar is not None or plan.slot_minutes in minutes
    length = " or ".join(map(str, minutes))
    _expect(usual, "SLOT_MINUTES", "slots are of another length", length, plan.slot_minutes, "--slot-minutes")
    _expect(
        plan.speed == 1 or plan.chain_name.startswith(UNREAL_TIME_PREFIXES),
        "GENESIS_SPEED",
        "market time may run faster only on a network that says so in its name",
        f"a name that begins with {unreal}",
        f"{plan.chain_name!r} at speed {plan.speed}",
        "--chain-name or --speed",
    )
    for port in (plan.first_api_port, plan.first_p2p_port):
        _expect(0 <= port < 65_536, "PORT", "no port", "0 .. 65535; 0 lets the system choose", port, "port")


def _check_sizes(plan: NetworkPlan) -> None:
    """Validators, and seats of a council; of a sharded network see `check_regions`."""
    count, seats = len(plan.names), plan.council_seats
    least, most = _VALIDATORS.get(plan.engine, (1, MAX_VALIDATORS))
    message = f"engine {plan.engine} has another number of validators"
    wanted = f"{least} to {most}" if least < most else least
    _expect(least <= count <= most, "VALIDATORS", message, wanted, count, "--validators or --engine")
    most = min(MOST_SEATS, count)
    sound = plan.engine != "dpos" or LEAST_MEMBERS <= seats <= most
    _expect(sound, "SEATS", "a council has another number of seats", f"{LEAST_MEMBERS} to {most}", seats, "--seats")


def _expect(holds: bool, code: str, message: str, expected: object, found: object, option: str) -> None:
    if not holds:
        raise ConfigError(message, code=code, expected=expected, found=found, fix=f"choose another {option}")
