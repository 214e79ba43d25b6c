"""wind at its bounds: a full community orders, reserves, is matched and settled within the gas of its calls."""

from __future__ import annotations

from wind_world import FEED, A, WindWorld, address, meter

from contracts.limits import ExecutionLimits
from ledger.crypto import Address, contract_address

ALLOWED = ExecutionLimits().scheduled_gas
PRODUCERS, METERS = 16, 256


def full() -> WindWorld:
    """256 members, 16 of them producers with a deficit, 200 prosumers with small reserves; all have ordered."""
    chain = WindWorld(periods=2, last_slot=1)
    registry = Address(contract_address("registry"))
    chain.join("w0", "producer")
    chain.join("p0", "prosumer")
    for at in range(1, PRODUCERS):
        chain.join(f"w{at}", "producer")
    for at in range(1, METERS - PRODUCERS):
        chain.join(f"p{at}", "prosumer", watts=5_000)
    late = (address("x"), meter("x"), bytes(32), 1)
    assert chain.refused(registry, A, "enrol", *late) == "COMMUNITY_FULL"
    chain.go_slot(0, -4)
    for name in chain.names:
        if name[0] == "w":
            chain.offer(name, 0, [30_000, 30_000], 10_000 + int(name[1:]))
            chain.announce(name, 0, 20_000)
        else:
            chain.bid(name, 0, [1_000, 0], FEED + 100 * len(name) + int(name[1:]))
            chain.forecast(name, 0, 1_500)
            chain.reserve(name, 0, 300 + int(name[1:]), 0)
    return chain


def test_a_full_community_is_cleared_matched_and_settled_within_the_gas_of_its_calls() -> None:
    chain = full()
    done = chain.go_slot(0, -1)
    assert chain.query(A, "slot", 0)["matches"] >= METERS - PRODUCERS - 1
    chain.go_slot(0, 1)
    for name in chain.names:
        chain.read(name, 0, *((20_000, 0) if name[0] == "w" else (0, 1_000)))
    done += chain.go_slot(1, 8)
    gas = {receipt.entry: receipt.gas for receipt in sorted(done, key=lambda receipt: receipt.gas)}
    print("dearest calls", gas)
    for entry in ("clear_hour", "match_slot", "settle_slot"):
        assert gas[entry] < ALLOWED // 2, (entry, gas[entry])
    (total,) = chain.events("SlotSettled", slot=0)
    assert total["meters"] == METERS
    chain.assert_closed()
