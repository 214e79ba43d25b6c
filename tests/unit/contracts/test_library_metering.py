"""metering: forecasts and readings by the meter's key; one measured value, missing ones estimated, all corrections."""

from __future__ import annotations

import pytest
from market_world import SLOT_MS, MarketWorld, address, meter

CAP_WH = 20_000 * 125 // 100 // 4 + 1
FORECAST = ("metering", "submit_forecast")
READING = ("metering", "submit_reading")
CORRECTION = ("metering", "correct_reading")


@pytest.fixture
def world() -> MarketWorld:
    world = MarketWorld()
    world.member("anna")
    world.member("bert")
    return world


def test_the_last_forecast_before_the_gate_counts(world: MarketWorld) -> None:
    world.go_slot(4, -4)
    world.done(meter("anna"), *FORECAST, 4, "generation", 100)
    world.done(meter("anna"), *FORECAST, 4, "demand", 70)
    world.go_slot(4, -2, -1)
    world.done(meter("anna"), *FORECAST, 4, "generation", 300)
    world.go_slot(4, -2)
    assert world.refused(meter("anna"), *FORECAST, 4, "generation", 900) == "FORECAST_LATE"
    assert world.query("metering", "forecast", 4, meter("anna")) == {"generation_wh": 300, "use_wh": 0}
    assert world.query("metering", "forecast", 4, meter("bert")) is None
    assert [event["wh"] for event in world.events("ForecastAccepted")] == [100, 70, 300]


def test_absurd_forecasts_are_refused(world: MarketWorld) -> None:
    anna = meter("anna")
    for wh in (-1, CAP_WH + 1, 10**30, -(10**30)):
        assert world.refused(anna, *FORECAST, 4, "generation", wh) == "BAD_WH"
    assert world.refused(anna, *FORECAST, 4, "sideways", 5) == "BAD_SIDE"
    assert world.refused(anna, *FORECAST, -1, "demand", 5) == "SLOT_UNKNOWN"
    assert world.refused(anna, *FORECAST, 10**6, "demand", 5) == "FORECAST_EARLY"
    assert world.refused(meter("nobody"), *FORECAST, 4, "demand", 5) == "UNKNOWN_METER"
    assert world.refused(address("anna"), *FORECAST, 4, "demand", 5) == "UNKNOWN_METER"


def test_a_reading_is_taken_once_and_only_after_the_slot(world: MarketWorld) -> None:
    world.go_slot(4, 1, -1)
    assert world.refused(meter("anna"), *READING, 4, 100, 0) == "READING_EARLY"
    world.go_slot(4, 1)
    world.done(meter("anna"), *READING, 4, 100, 0)
    for value in (100, 200):
        assert world.refused(meter("anna"), *READING, 4, value, 0) == "READING_EXISTS"
    assert world.query("metering", "progress", 4) == {"expected": 2, "received": 1}
    shown = {"generation_wh": 100, "use_wh": 0, "revision": 0, "late": False}
    assert world.query("metering", "reading", 4, meter("anna")) == shown
    assert world.query("metering", "reading", 4, meter("bert")) is None
    assert world.events("ReadingAccepted") == [
        {"slot": 4, "meter": meter("anna"), "generation_wh": 100, "use_wh": 0, "late": False}
    ]


def test_only_a_known_meters_own_key_reads(world: MarketWorld) -> None:
    world.go_slot(4, 1)
    assert world.refused(meter("nobody"), *READING, 4, 100, 0) == "UNKNOWN_METER"
    assert world.refused(address("anna"), *READING, 4, 100, 0) == "UNKNOWN_METER"


@pytest.mark.parametrize(
    ("generation", "use", "code"),
    [
        (-1, 0, "BAD_WH"),
        (0, -1, "BAD_WH"),
        (CAP_WH + 1, 0, "BAD_WH"),
        (0, 10**60, "BAD_WH"),
        (5, 5, "TWO_SIDES"),
    ],
)
def test_absurd_readings_are_refused(world: MarketWorld, generation: int, use: int, code: str) -> None:
    world.go_slot(4, 1)
    assert world.refused(meter("anna"), *READING, 4, generation, use) == code
    world.done(meter("anna"), *READING, 4, CAP_WH, 0)
    assert world.refused(meter("anna"), *CORRECTION, 4, generation, use, "again") == code


def test_numbers_that_are_no_numbers_are_refused(world: MarketWorld) -> None:
    world.go_slot(4, 1)
    for value in ("100", None, b"100", [100]):
        receipt = world.send(meter("anna"), *READING, 4, value, 0)
        assert not receipt.ok
        assert receipt.code


def test_slots_before_joining_and_never_opened_ones_take_no_reading(world: MarketWorld) -> None:
    world.go_slot(4, 0, SLOT_MS // 2)
    world.member("carl")
    world.go_slot(7, 1)
    assert world.refused(meter("carl"), *READING, 4, 1, 0) == "SLOT_UNKNOWN"
    assert world.refused(meter("anna"), *READING, -1, 1, 0) == "SLOT_UNKNOWN"
    world.done(meter("carl"), *READING, 5, 1, 0)


def test_a_late_joiner_does_not_hold_earlier_slots_open(world: MarketWorld) -> None:
    world.go_slot(4, 1)
    for name in ("anna", "bert"):
        world.read(name, 4, 1, 0)
    world.go_slot(4, 1, 60_000)
    world.member("carl")
    assert world.query("metering", "progress", 4) == {"expected": 2, "received": 2}
    world.go_slot(4, 2)
    assert [event["meters"] for event in world.events("SlotSettled", slot=4)] == [2]


def test_a_correction_is_a_new_entry(world: MarketWorld) -> None:
    world.go_slot(4, 1)
    assert world.refused(meter("anna"), *CORRECTION, 4, 90, 0, "why") == "NO_READING"
    world.done(meter("anna"), *READING, 4, 100, 0)
    assert world.refused(meter("anna"), *CORRECTION, 4, 90, 0, "") == "BAD_TEXT"
    assert world.done(meter("anna"), *CORRECTION, 4, 90, 0, "wrong factor") == 1
    assert world.done(meter("anna"), *CORRECTION, 4, 0, 20, "wrong sign") == 2
    assert [(row["generation_wh"], row["use_wh"], row["revision"], row["reason"])
            for row in world.query("metering", "history", 4, meter("anna"))] == [
        (100, 0, 0, ""), (90, 0, 1, "wrong factor"), (0, 20, 2, "wrong sign")
    ]  # fmt: skip
    shown = {"generation_wh": 0, "use_wh": 20, "revision": 2, "late": False}
    assert world.query("metering", "reading", 4, meter("anna")) == shown


def test_corrections_are_bounded(world: MarketWorld) -> None:
    world.go_slot(4, 1)
    world.done(meter("anna"), *READING, 4, 100, 0)
    for number in range(16):
        world.done(meter("anna"), *CORRECTION, 4, number, 0, "again")
    assert world.refused(meter("anna"), *CORRECTION, 4, 1, 0, "again") == "TOO_MANY_CORRECTIONS"
