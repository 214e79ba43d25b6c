"""Gateways answer committed events: once, with the right key, and never with an order of nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from market_days import CHAIN, signer

from contracts.values import decode_value
from deploy.books import Tariffs, amount
from deploy.gateway import Household
from deploy.generator import ask_price, bid_price
from deploy.market.interface import Desk, Gateway, MarketDay
from deploy.market.roster import market_of
from deploy.neighbourhood import Side, load
from deploy.onboarding import applications, attestations, deposits
from ledger.objects import decode_transaction, verify_transaction

STREET = load()
AUCTION = market_of("C")
PLAN = AUCTION.plan(STREET, "2016-06-14")
DESK = Desk(signer("bureau"), signer("grid"), signer("trading"), bytes(32))


def household(number: int) -> Household:
    return Household(STREET.members[number], signer(f"owner {number}"), signer(f"meter {number}"))


HOUSES = tuple(household(number) for number in range(17))


def day_of(*, sealed: bool) -> MarketDay:
    calendar = AUCTION.calendar(900_000, 0, range(96), sealed=sealed)
    return MarketDay(STREET, PLAN, HOUSES, DESK, Tariffs(450_000, 670_000), calendar, sealed, 0, 96, 0, 0, 1500, 7)


def calls(raws):
    """(sender, contract, entry, arguments) of signed transactions, each checked."""
    found = []
    for raw in raws:
        transaction = decode_transaction(raw)
        assert verify_transaction(transaction) is not None
        assert transaction.body.chain_id == CHAIN
        body = transaction.body
        found.append((transaction.sender, body.contract, body.entry, decode_value(body.arguments)))
    return found


def gateway(number: int, *, sealed: bool = False) -> tuple[Gateway, Household]:
    house = HOUSES[number]
    return AUCTION.gateway(house, day_of(sealed=sealed), 0), house


def opened(machine: Gateway, slot: int) -> list:
    return machine.answer("SlotOpened", {"slot": slot})


def delivered(machine: Gateway, slot: int) -> list:
    return machine.answer("SlotDelivered", {"slot": slot})


def order_of(house: Household, slot: int) -> list:
    name, selling = house.member.name, house.member.side is Side.GENERATION
    price = ask_price(7, name, slot) if selling else bid_price(7, name, slot)
    return ["sell" if selling else "buy", PLAN.forecast[name][slot], price, "reference"]


@pytest.mark.parametrize("number", [0, 5, 13, 16])
def test_a_window_is_answered_by_a_forecast_and_an_order(number):
    machine, house = gateway(number)
    slot = 48
    wh = PLAN.forecast[house.member.name][slot]
    assert wh > 0
    assert calls(opened(machine, slot)) == [
        (house.meter.address, "metering", "submit_forecast", [slot, house.member.side.value, wh]),
        (house.owner.address, "double_auction", "submit_order", [slot, *order_of(house, slot)]),
    ]


@pytest.mark.parametrize("number", [0, 13])
def test_a_sealed_order_is_committed_and_revealed_only_when_the_chain_has_it(number):
    machine, house = gateway(number, sealed=True)
    marks = {}
    for slot in (47, 48, 49):
        _, (sender, contract, entry, (of_slot, mark)) = calls(opened(machine, slot))[:2]
        assert (sender, contract, entry, of_slot) == (house.owner.address, "double_auction", "commit_order", slot)
        marks[slot] = mark
    machine.answer("OrderCommitted", {"slot": 48, "meter": "", "commitment": f"0x{marks[48].hex()}"})
    *_, (sender, contract, entry, arguments) = calls(opened(machine, 50))
    assert (sender, contract, entry) == (house.owner.address, "double_auction", "reveal_order")
    slot, side, wh, price, requote, nonce = arguments
    assert [slot, side, wh, price, requote] == [48, *order_of(house, 48)]
    text = bytes([side == "buy"]) + wh.to_bytes(8, "big") + price.to_bytes(8, "big") + b"\x01"
    assert hashlib.sha256(text + nonce + house.owner.address + (48).to_bytes(8, "big")).digest() == marks[48]
    assert "reveal_order" not in [entry for _, _, entry, _ in calls(opened(machine, 51))], "49 was never confirmed"
    assert "reveal_order" not in [entry for _, _, entry, _ in calls(opened(machine, 50))], "told twice"


def test_no_order_of_nothing():
    for sealed in (False, True):
        machine, house = gateway(13, sealed=sealed)
        assert PLAN.forecast[house.member.name][0] == 0
        assert [entry for _, _, entry, _ in calls(opened(machine, 0))] == ["submit_forecast"]


def test_an_ended_delivery_is_answered_by_the_measured_value():
    for number, made in ((0, False), (14, True)):
        machine, house = gateway(number)
        wh = PLAN.measured[house.member.name][50]
        (call,) = calls(delivered(machine, 50))
        assert call == (house.meter.address, "metering", "submit_reading", [50, wh, 0] if made else [50, 0, wh])


def test_a_phase_is_answered_once_and_only_within_the_day():
    machine, _ = gateway(0)
    assert opened(machine, 40)
    assert opened(machine, 40) == []
    assert delivered(machine, 40)
    assert opened(machine, 96) == []
    assert opened(machine, -1) == []


def test_nonces_never_repeat():
    machine, _ = gateway(0)
    raws = [raw for slot in range(20, 60) for raw in (*opened(machine, slot), *delivered(machine, slot))]
    numbers = [(t.sender, t.body.nonce) for t in map(decode_transaction, raws)]
    assert len(set(numbers)) == len(numbers) == 120


def test_onboarding_names_nobody_and_pays_everybody():
    applied = applications(AUCTION, STREET, HOUSES)
    assert len(applied) == 17
    assert all(house.member.name.encode() not in raw for house, raw in zip(HOUSES, applied, strict=True))
    digests = {house.owner.address: bytes([number]) * 32 for number, house in enumerate(HOUSES)}
    attested = calls(attestations(DESK, HOUSES, digests))
    assert all(arguments[1] == digests[arguments[0]] for _, _, _, arguments in attested)
    assert sorted({(sender, *arguments[2]) for sender, _, _, arguments in attested}) == sorted(
        {(DESK.energy_bureau.address, "licence"), (DESK.grid_company.address, "meter", "connection")}
    )
    paid = {arguments[0]: arguments[1] for _, _, _, arguments in calls(deposits(AUCTION, day_of(sealed=True)))}
    assert len(paid) == 18
    for house in HOUSES:
        name = house.member.name
        day = sum(PLAN.forecast[name]) + sum(PLAN.measured[name])
        assert paid[house.owner.address] >= amount(670_000, day)
        assert paid[house.owner.address] % 1_000_000 == 0
    assert DESK.grid_company.address in paid


def test_rated_power_covers_the_data():
    house = HOUSES[0]
    loud = replace(house, member=replace(house.member, rated_w=1))
    ((_, _, _, arguments),) = calls(applications(AUCTION, STREET, [loud]))
    assert arguments[4] == [4 * max(max(day[house.member.name]) for day in STREET.energy.values())]


def test_in_market_d_members_are_connected_where_the_grid_says():
    market = market_of("D")
    connections = [arguments[6 - 1] for _, _, _, arguments in calls(applications(market, STREET, HOUSES))]
    assert connections[0] == "LV1.101 Bus 10"
    assert len(set(connections)) == 13, "the four plants stand where a load is"
    alone = replace(STREET, folder=None)
    assert calls(applications(market, alone, HOUSES))[3][3][5] == "connection 3"
    entries = [entry for _, _, entry, _ in calls(market.preparations(day_of(sealed=True)))]
    assert entries == ["post", "post_grid", "post_fees", "deposit"]
