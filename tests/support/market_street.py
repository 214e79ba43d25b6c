"""Four nodes, each with another market, sealed, and the same small street; one process a node, found and run at once.

A slot takes 1.5 s, so that people (and commands) meet windows of some seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import deploy
from contracts.applications import application_digest
from contracts.library_sources import AuctionMode, Calendar, CommunityMode, MatchingMode
from contracts.wind_mode import WindMode
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from node.client import Account, Client
from node.keys import load_key

ROOT = Path(deploy.__file__).resolve().parents[1]
SLOT_MS = 900_000
SPEED = 600
FIRST = 24
FUNDS = 1_000_000_000
CALENDAR = Calendar(
    SLOT_MS, 0, FIRST, None, open_slots=20, reveal_slots=14, t1_slots=8, t2_slots=2, grace_slots=1, late_slots=4
)
MODES: dict[str, Any] = {
    "A": WindMode(sealed=True, periods=2),
    "B": CommunityMode(sealed=True),
    "C": AuctionMode(sealed=True),
    "D": MatchingMode(sealed=True),
}
STREET = (
    ("solar", "prosumer", "pv"),
    ("roof", "prosumer", "pv"),
    ("shop", "consumer", "load"),
    ("home", "consumer", "load"),
    ("mill", "producer", "wind"),
)
"""Names, roles, devices; everybody is rated 10 kW."""


@dataclass(frozen=True, slots=True)
class Street:
    """A running node and its people."""

    letter: str
    layout: NetworkLayout
    url: str

    def key(self, name: str) -> Path:
        """The key file of a person, or of its meter: `home`, `home_meter`."""
        return self.layout.key_file(name)

    def address(self, name: str) -> str:
        return "0x" + load_key(self.key(name)).address.hex()


def found_street(directory: Path, letter: str, **changes: Any) -> NetworkLayout:
    """Found the network of one market in `directory`."""
    plan = NetworkPlan(
        directory,
        "dev-street",
        "solo",
        ("one",),
        speed=SPEED,
        origin_ms=0,
        calendar=CALENDAR,
        accounts=tuple(name for person, _, _ in STREET for name in (person, f"{person}_meter")),
        first_api_port=0,
        first_p2p_port=0,
        strangers=True,
    )
    return make_network(replace(plan, mode=MODES[letter], **changes))


@contextmanager
def run_node(layout: NetworkLayout) -> Iterator[str]:
    """Run the network's node; the address of its API."""
    command = [sys.executable, "-m", "deploy.main", "node", "run", str(layout.nodes[0].home), "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as node:
        try:
            yield _ready(node)
        finally:
            node.terminate()
            node.communicate(timeout=20)


def _ready(node: subprocess.Popen[str]) -> str:
    assert node.stdout is not None
    told = []
    for line in node.stdout:
        told.append(line)
        if line.startswith("{") and json.loads(line).get("event") == "ready":
            return str(json.loads(line)["url"])
    raise AssertionError("".join(told))


async def settle_in(street: Street) -> None:
    """Register the street and give it money."""
    async with Client.open(street.url) as client:
        desks = {
            role: client.account(load_key(street.key(role)))
            for role in ("energy_bureau", "grid_company", "trading_center")
        }
        for name, role, device in STREET:
            owner = client.account(load_key(street.key(name)))
            meter = load_key(street.key(f"{name}_meter")).address
            pseudonym = hashlib.sha256(b"owner of " + name.encode()).digest()
            application: list[Any] = [
                meter,
                pseudonym,
                [role],
                [device],
                [10_000],
                "bus-1",
                "west",
                ["name"],
                [bytes(32)],
            ]
            await _must(owner, "registry", "apply", application)
            digest = application_digest(owner.address, application)
            await _must(desks["energy_bureau"], "registry", "attest", [owner.address, digest, ["licence"]])
            await _must(desks["grid_company"], "registry", "attest", [owner.address, digest, ["meter", "connection"]])
            await _must(desks["trading_center"], "token", "deposit", [owner.address, FUNDS, f"bank {name}"])
        grid = desks["grid_company"].address
        await _must(desks["trading_center"], "token", "deposit", [grid, FUNDS, "bank grid"])


async def _must(account: Account, contract: str, entry: str, arguments: list[Any]) -> None:
    outcome = await account.call(contract, entry, arguments)
    assert outcome.ok, (contract, entry, outcome.code)
