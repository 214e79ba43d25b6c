"""Prints one line per corpus program, what it did and what it cost, and the state roots of a slot of a market.
Equal on every interpreter, flag and hash seed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]

from contract_attacks import REJECTED, REVERTED  # noqa: E402  # found through the path set above
from contract_bench import Run, run  # noqa: E402  # the same
from contract_expressions import EXPRESSIONS  # noqa: E402  # the same
from contract_failing import FAILING  # noqa: E402  # the same
from contract_hostile import REFUSED  # noqa: E402  # the same
from contract_programs import VALID  # noqa: E402  # the same
from contract_tricky import TRICKY  # noqa: E402  # the same
from market_world import MarketWorld, address  # noqa: E402  # the same

from ledger.codec import encode  # noqa: E402  # the same
from ledger.state import Overlay  # noqa: E402  # the same


def lines() -> list[str]:
    """The outcome of each program, at little gas, with hostile texts as their `ascii`."""
    found: list[Run] = []
    for source, cases in (VALID | TRICKY).values():
        found.extend(run(source, "main", arguments) for arguments in cases)
    found.extend(run(f"def main():\n    return {expression}\n") for expression in EXPRESSIONS)
    found.extend(run(source) for _, source in REJECTED + REFUSED)
    found.extend(run(source, gas=300_000) for _, source in REVERTED + FAILING)
    return [ascii(outcome) for outcome in found]


def roots() -> list[str]:
    """The state root after each part of a slot of market C, and a hash over all receipts."""
    world, found = MarketWorld(), []

    def sealed() -> None:
        found.append(f"state root {bytes(world.view.seal()).hex()}")
        world.view = Overlay(world.view)

    sealed()
    for name in ("alice", "bob", "carol"):
        world.member(name)
    sealed()
    slot = 5
    world.go_slot(slot, -4)
    world.order("alice", slot, "sell", 5_000, 480_000)
    world.order("bob", slot, "buy", 3_000, 520_000)
    world.order("carol", slot, "buy", 4_000, 490_000)
    world.refused(address("carol"), "double_auction", "submit_order", slot, "buy", 0, 1, "reference")
    sealed()
    world.go_slot(slot, 1)
    for name, generation, use in (("alice", 4_800, 0), ("bob", 0, 3_100), ("carol", 0, 4_000)):
        world.read(name, slot, generation, use)
    world.go_slot(slot, 2)
    sealed()
    receipts = b"".join(encode(receipt) for receipt in world.receipts)
    return [*found, f"{len(world.receipts)} receipts {hashlib.sha256(receipts).hexdigest()}"]


if __name__ == "__main__":
    print("\n".join(lines() + roots()))
