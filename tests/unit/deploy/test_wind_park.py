"""Market A's park and storages: shipped profile, generated forecast, Wh that go in come out."""

from __future__ import annotations

import csv
import secrets
from decimal import Decimal
from random import Random

import pytest

from deploy.market.wind_park import (
    BUFFER_WH,
    LENT_WH,
    PARK,
    PROFILE,
    STORAGE_W,
    Storage,
    expected,
    made,
    plan_with_park,
    profile_day,
    with_park,
)
from deploy.neighbourhood import DEFAULT_DATA, Side, load

DAY = "2016-06-14"
RATED_W = 40_000


def test_the_park_makes_what_the_shipped_profile_says():
    with (DEFAULT_DATA / "wind_pu.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["time"].startswith(DAY)]
    shares = [max(Decimal(0), Decimal(row[PROFILE])) for row in rows]
    found = made(DAY, RATED_W)
    assert len(found) == 96
    assert all(abs(wh - share * RATED_W / 4) <= 1 for wh, share in zip(found, shares, strict=True))
    assert 0 < sum(found) < 24 * RATED_W
    assert min(made("2016-06-15", RATED_W)) >= 0, "a turbine's own use is nothing made"


def test_another_day_takes_a_day_that_is_there():
    assert profile_day(DAY) == DAY
    assert profile_day("2031-03-31") in {"2016-01-20", "2016-01-21", "2016-06-13", "2016-06-14", "2016-06-15"}
    assert profile_day("2031-03-31") != profile_day("2031-04-01")
    assert made("2031-03-31", RATED_W) == made(profile_day("2031-03-31"), RATED_W)


def test_the_forecast_is_near_the_output_and_both_ways_wrong():
    output, forecast = made(DAY, RATED_W), expected(DAY, RATED_W)
    off = [told - real for told, real in zip(forecast, output, strict=True)]
    assert min(off) < 0 < max(off)
    assert sum(map(abs, off)) < sum(output) // 4
    assert all(0 <= wh <= RATED_W // 4 for wh in forecast)
    assert expected(DAY, RATED_W) == forecast


def test_who_lives_beside_the_park():
    street = with_park(load())
    assert [member.name for member in street.members if member.side is Side.GENERATION] == [PARK]
    stores = [member for member in street.members if member.storage_w]
    assert len(street.members) == 14
    assert len(stores) == 7
    assert street.members[-1].rated_w == 40_000, "half of the loads' 80 kW"
    plan = plan_with_park(street, DAY)
    assert plan.forecast[PARK] == expected(DAY, 40_000) != plan.measured[PARK] == made(DAY, 40_000)
    assert plan.forecast[stores[0].name] == street.energy["2016-06-13"][stores[0].name]


def test_what_goes_into_a_storage_comes_out():
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    random, storage = Random(seed), Storage()
    before, load_wh, metered = storage.lent + storage.buffer, 0, 0
    for _ in range(300):
        forecast, used = random.randrange(3_000), random.randrange(3_000)
        kept = storage.kept(forecast, used)
        load_wh, metered = load_wh + used, metered + kept
        surplus = random.random() < 0.5
        wh = random.randrange(1 + (LENT_WH - storage.lent if surplus else storage.lent))
        storage.matched(wh, surplus=surplus)
        metered += wh if surplus else -wh
        assert 0 <= storage.lent <= LENT_WH
        assert 0 <= storage.buffer <= BUFFER_WH
        assert abs(used - kept) <= STORAGE_W // 4
    assert metered - load_wh == storage.lent + storage.buffer - before


@pytest.mark.parametrize(("buffer", "kept"), [(BUFFER_WH // 2, 500), (0, 900), (100, 800)])
def test_a_household_keeps_to_its_forecast_while_its_storage_lasts(buffer, kept):
    assert Storage(buffer=buffer).kept(500, 900) == kept
