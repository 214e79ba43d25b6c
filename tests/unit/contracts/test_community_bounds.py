"""community_vpp at its bounds: a full book of a full community is matched and settled within the gas of its calls."""

from __future__ import annotations

from community_world import VPP, CommunityWorld, address, meter

from contracts.limits import ExecutionLimits
from ledger.crypto import Address, contract_address

SLOT = 9
SELLERS, BUYERS, METERS = 16, 32, 256
ALLOWED = ExecutionLimits().scheduled_gas


def full() -> CommunityWorld:
    """256 meters; 16 sellers with 8 quotations each, 32 buyers with 16 bids each, so that both passes have work."""
    chain = CommunityWorld()
    registry = Address(contract_address("registry"))
    names = [f"m{number}" for number in range(METERS)]
    for name in names:
        for market in ("metering", VPP):
            chain.done(registry, market, "enrol", address(name), meter(name), bytes(address(name)), 20_000)
    assert chain.refused(registry, VPP, "enrol", address("x"), meter("x"), bytes(32), 1) == "COMMUNITY_FULL"
    chain.go_slot(SLOT, -4)
    for name in names[: SELLERS + BUYERS]:
        chain.deposit(address(name), 10**9)
    quotations = [
        chain.offer(name, SLOT, 400 + 7 * turn, 60_000 + 1_000 * turn) for turn in range(8) for name in names[:SELLERS]
    ]
    for turn in range(16):
        for at, name in enumerate(names[SELLERS : SELLERS + BUYERS]):
            quotation = quotations[(turn * 3 + at) % 40]
            chain.send(address(name), VPP, "submit_bid", SLOT, quotation, 60 + at + turn, 70_000 + 100 * at)
    return chain


def test_a_full_community_is_matched_and_settled_within_the_gas_of_its_calls() -> None:
    chain = full()
    placed = chain.query(VPP, "slot", SLOT)
    assert (placed["quotations"], placed["bids"]) == (128, 512)
    seller = next(event["seq"] for event in chain.events("QuotationOffered"))
    assert chain.refused(address("m0"), VPP, "offer", SLOT, 1, 60_000) == "BOOK_FULL"
    assert chain.refused(address("m99"), VPP, "submit_bid", SLOT, seller, 1, 90_000) == "BOOK_FULL"
    matched = [receipt.gas for receipt in chain.go_slot(SLOT, -2) if receipt.entry == "advance"]
    assert chain.query(VPP, "slot", SLOT)["trades"] > 400
    done = [receipt for receipt in chain.go_slot(SLOT, 6) if receipt.entry == "settle_slot"]
    print("gas of the match", max(matched), "and of the settlement", max(receipt.gas for receipt in done))
    assert max(matched) < ALLOWED // 2
    assert max(receipt.gas for receipt in done) < ALLOWED // 2
    (total,) = chain.events("SlotSettled", slot=SLOT)
    assert total["meters"] == METERS
    chain.assert_money_conserved()
