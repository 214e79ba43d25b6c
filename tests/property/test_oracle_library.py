"""The oracle beside the contract library: a random market day, every call of it run twice, equal in outcome, gas,
events and in every byte of storage."""

from __future__ import annotations

import random
from typing import Any

import pytest
from market_world import CHAIN_ID, MarketWorld, address, meter, parameters

from contracts.frames import Machine
from contracts.library_sources import library_contracts
from contracts.state_format import sequence_key
from contracts.values import decode_value
from ledger.crypto import Hash, contract_address
from ledger.objects import Receipt
from oracle.border import World
from oracle.compare import agree, row_of
from oracle.contract import parse
from oracle.session import Installed

MEMBERS = ("anna", "bert", "carl", "dora", "emil")


COUNTERS = {sequence_key(name) for name in ("double_auction", "metering", "token", "registry")}
"""How many calls a contract scheduled: the chain's own note, beside what the contract stores."""


class Shadow:
    """Replays every call of the machine on the oracle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.calls = 0
        original = Machine.attempt

        def attempt(
            machine: Machine, instance: Any, entry: Any, raw: bytes, sender: bytes, subject: Hash, gas: int
        ) -> Receipt:
            if instance.name not in self.world.contracts:
                return original(machine, instance, entry, raw, sender, subject, gas)
            now = machine.meter
            self.world.block = {
                "chain_id": CHAIN_ID, "height": now.height, "block_time_ms": now.block_time_ms,
                "market_time_ms": now.market_time_ms,
            }  # fmt: skip
            receipt = original(machine, instance, entry, raw, sender, subject, gas)
            answer = self.world.call(instance.name, entry.name, decode_value(raw), bytes(sender), bytes(subject), gas)
            events = tuple((event.contract, event.name, event.data) for event in receipt.events)
            row = (receipt.ok, receipt.code, receipt.line, receipt.gas, receipt.value, events)
            agree(f"{instance.name}.{entry.name}({decode_value(raw)})", row, tuple(row_of(answer)))
            self.calls += 1
            return receipt

        monkeypatch.setattr(Machine, "attempt", attempt)

    def install(self, parameters: Any) -> None:
        for item in library_contracts(parameters):
            address_of = bytes(contract_address(item.name))
            self.world.contracts[item.name] = Installed(parse(item.source), address_of, frozenset(item.calls))


@pytest.mark.parametrize("seed", range(3))
def test_a_market_day_is_the_same_on_the_oracle(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    shadow = Shadow(monkeypatch)
    shadow.install(parameters())
    world = MarketWorld()
    for name in MEMBERS:
        world.member(name, funds=chance.choice((10**7, 10**12)))
    world.deposit(address("grid"), 10**9)
    for slot in (5, 12):
        world.go_slot(slot, -4)
        for _ in range(12):
            price = chance.randrange(400_000, 600_000, 10_000)
            side = chance.choice(("sell", "buy"))
            quantity = chance.choice((1_000, 2_000, 500, 10**9, 0))
            world.send(
                address(chance.choice(MEMBERS)),
                "double_auction",
                "submit_order",
                slot,
                side,
                quantity,
                price,
                "reference",
            )
        world.go_slot(slot, 1)
        for name in MEMBERS:
            if chance.random() < 0.9:
                amount = chance.randrange(3_000)
                reading = chance.choice(((amount, 0), (0, amount), (0, amount), (amount, amount)))
                world.send(meter(name), "metering", "submit_reading", slot, *reading)
    world.go_slot(12, 12)
    assert shadow.calls > 80, f"seed {seed}"
    found = world.view.scan(b"c", None)
    names = tuple(b"c" + bytes((len(name),)) + name.encode() for name in shadow.world.contracts)
    stored = {key: value for key, value in found if key.startswith(names) and key not in COUNTERS}
    kept = shadow.world.state.encoded()
    agree(f"storage, seed {seed}", sorted(stored.keys() ^ kept.keys()), [])
    agree(f"storage, seed {seed}", stored, {key: kept[key] for key in stored})
