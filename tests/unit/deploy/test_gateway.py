"""Gateways answer committed phases: once, with the right key, and never with an order of nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from contracts.values import decode_value
from deploy.books import Tariffs, amount
from deploy.gateway import DeliveryEnded, Gateway, Household, Signer, WindowOpened, phase_of
from deploy.generator import ask_price, bid_price
from deploy.neighbourhood import Side, load
from deploy.onboarding import Desk, applications, attestations, deposits
from ledger.crypto import SigningKey, sha256
from ledger.objects import decode_transaction, verify_transaction

CHAIN = "demo-test-00"
STREET = load()
PLAN = STREET.plan("2016-06-14")


def signer(name: str) -> Signer:
    return Signer(SigningKey(sha256(name.encode())), CHAIN)


def household(number: int) -> Household:
    return Household(STREET.members[number], signer(f"owner {number}"), signer(f"meter {number}"))


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


def gateway(number: int, plan=PLAN) -> tuple[Gateway, Household]:
    house = household(number)
    return Gateway(house, plan, 7, 0), house


@pytest.mark.parametrize("number", [0, 5, 13, 16])
def test_a_window_is_answered_by_a_forecast_and_an_order(number):
    machine, house = gateway(number)
    name, slot = house.member.name, 48
    wh = PLAN.forecast[name][slot]
    assert wh > 0
    selling = house.member.side is Side.GENERATION
    price = ask_price(7, name, slot) if selling else bid_price(7, name, slot)
    assert calls(machine.answer(WindowOpened(slot))) == [
        (house.meter.address, "metering", "submit_forecast", [slot, house.member.side.value, wh]),
        (
            house.owner.address,
            "double_auction",
            "submit_order",
            [slot, "sell" if selling else "buy", wh, price, "reference"],
        ),
    ]


def test_no_order_of_nothing():
    machine, house = gateway(13)
    assert PLAN.forecast[house.member.name][0] == 0
    assert [entry for _, _, entry, _ in calls(machine.answer(WindowOpened(0)))] == ["submit_forecast"]


def test_an_ended_delivery_is_answered_by_the_measured_value():
    for number, made in ((0, False), (14, True)):
        machine, house = gateway(number)
        wh = PLAN.measured[house.member.name][50]
        (call,) = calls(machine.answer(DeliveryEnded(50)))
        assert call == (house.meter.address, "metering", "submit_reading", [50, wh, 0] if made else [50, 0, wh])


def test_a_phase_is_answered_once_and_only_within_the_day():
    machine, _ = gateway(0)
    assert machine.answer(WindowOpened(40))
    assert machine.answer(WindowOpened(40)) == []
    assert machine.answer(DeliveryEnded(40))
    assert machine.answer(WindowOpened(96)) == []
    assert machine.answer(WindowOpened(-1)) == []


def test_nonces_never_repeat():
    machine, _ = gateway(0)
    raws = [
        raw
        for slot in range(20, 60)
        for phase in (WindowOpened(slot), DeliveryEnded(slot))
        for raw in machine.answer(phase)
    ]
    numbers = [(t.sender, t.body.nonce) for t in map(decode_transaction, raws)]
    assert len(set(numbers)) == len(numbers) == 120


def test_only_the_auctions_phases_are_phases():
    assert phase_of("double_auction", "SlotOpened", 3) == WindowOpened(3)
    assert phase_of("double_auction", "SlotDelivered", 3) == DeliveryEnded(3)
    assert phase_of("double_auction", "SlotCleared", 3) is None
    assert phase_of("other", "SlotOpened", 3) is None


@pytest.mark.asyncio
async def test_the_task_posts_what_it_signs():
    machine, _ = gateway(0)
    posted: list[tuple[bytes, int]] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(machine.run(lambda raw, home: posted.append((raw, home))))
        machine.tell(WindowOpened(48))
        machine.tell(WindowOpened(48))
        async with asyncio.timeout(2):
            while len(posted) < 2:
                await asyncio.sleep(0.001)
        task.cancel()
    assert [home for _, home in posted] == [0, 0]


def test_onboarding_names_nobody_and_pays_everybody():
    houses = [household(number) for number in range(17)]
    desk = Desk(signer("bureau"), signer("grid"), signer("trading"))
    applied = applications(STREET, houses)
    assert len(applied) == 17
    assert all(house.member.name.encode() not in raw for house, raw in zip(houses, applied, strict=True))
    digests = {house.owner.address: bytes([number]) * 32 for number, house in enumerate(houses)}
    attested = calls(attestations(desk, houses, digests))
    assert all(arguments[1] == digests[arguments[0]] for _, _, _, arguments in attested)
    assert sorted({(sender, *arguments[2]) for sender, _, _, arguments in attested}) == sorted(
        {(desk.energy_bureau.address, "licence"), (desk.grid_company.address, "meter", "connection")}
    )
    paid = {
        arguments[0]: arguments[1]
        for _, _, _, arguments in calls(deposits(desk, houses, PLAN, Tariffs(450_000, 670_000)))
    }
    assert len(paid) == 18
    for house in houses:
        name = house.member.name
        day = sum(PLAN.forecast[name]) + sum(PLAN.measured[name])
        assert paid[house.owner.address] >= amount(670_000, day)
        assert paid[house.owner.address] % 1_000_000 == 0
    assert desk.grid_company.address in paid


def test_rated_power_covers_the_data():
    house = household(0)
    loud = replace(house, member=replace(house.member, rated_w=1))
    ((_, _, _, arguments),) = calls(applications(STREET, [loud]))
    assert arguments[4] == [4 * max(max(day[house.member.name]) for day in STREET.energy.values())]
