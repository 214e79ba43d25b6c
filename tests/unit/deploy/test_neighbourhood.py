"""The generator against the specification's check values, and the loader against good and broken folders."""

from __future__ import annotations

import shutil
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.generator import ask_price, bid_price
from deploy.neighbourhood import (
    DEFAULT_DATA,
    DataError,
    Forecast,
    Side,
    default_first_slot,
    load,
    watt_hours,
)
from ledger.draws import draw, uniform


def test_the_generator_gives_the_check_values_of_the_specification():
    assert draw(7, "delay", 0, 1, 0) == 4409887953014408653
    assert uniform(20001, 7, "delay", 0, 1, 0) == 6607


def test_prices_lie_between_the_tariffs():
    asks = [ask_price(7, "LV1.101 SGen 1", slot) for slot in range(96)]
    bids = [bid_price(7, "LV1.101 Load 1", slot) for slot in range(96)]
    assert all(450_000 <= price <= 620_000 for price in asks)
    assert all(500_000 <= price <= 670_000 for price in bids)
    assert len(set(asks)) > 90
    assert ask_price(7, "x", 3) == 450_000 + draw(7, "ask", "x", 3) % 170_001


@pytest.mark.parametrize(
    ("text", "wh"),
    [
        ("0", 0),
        ("0.0", 0),
        ("0.002", 1),
        ("0.0019", 0),
        ("0.9368", 234),
        ("1.1949", 299),
        ("78.381", 19595),
        ("1e-3", 0),
        ("2E0", 500),
        ("-0.0", 0),
    ],
)
def test_watt_hours_of_a_step(text, wh):
    assert watt_hours(text) == wh


@given(st.decimals(min_value=0, max_value=1000, places=6))
def test_rounding_agrees_with_exact_decimals(value):
    assert watt_hours(f"{value:f}") == int((value * 250 + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-1", "1,5", "0x10", "1e99", "٣", "1_000", "9" * 12])
def test_text_that_is_no_power_is_refused(text):
    with pytest.raises(ValueError, match="a"):
        watt_hours(text)


def test_the_packaged_neighbourhood():
    street = load()
    assert [member.side for member in street.members].count(Side.DEMAND) == 13
    assert [member.side for member in street.members].count(Side.GENERATION) == 4
    assert street.days == ("2016-01-20", "2016-01-21", "2016-06-13", "2016-06-14", "2016-06-15")
    assert street.members[0].name == "LV1.101 Load 1"
    assert street.energy["2016-01-20"]["LV1.101 Load 1"][:2] == (234, 316)
    assert {member.name: member.rated_w for member in street.members}["LV1.101 SGen 2"] == 78_381


@pytest.mark.parametrize(
    ("day", "rule", "source"),
    [
        ("2016-06-14", Forecast.PREVIOUS_DAY, "2016-06-13"),
        ("2016-06-13", Forecast.NEXT_DAY, "2016-06-14"),
        ("2016-01-20", Forecast.NEXT_DAY, "2016-01-21"),
        ("2016-01-21", Forecast.PREVIOUS_DAY, "2016-01-20"),
    ],
)
def test_forecast_comes_from_the_day_before_else_the_day_after(day, rule, source):
    street = load()
    plan = street.plan(day)
    assert plan.forecast_rule is rule
    assert plan.forecast == street.energy[source]
    assert plan.measured == street.energy[day]


def test_a_lone_day_is_its_own_forecast(tmp_path):
    write(tmp_path, days=("2020-02-29",))
    plan = load(tmp_path).plan("2020-02-29")
    assert plan.forecast_rule is Forecast.SAME_DAY
    assert plan.forecast == plan.measured


def test_an_unknown_day_names_those_there_are():
    with pytest.raises(DataError, match="2016-06-14"):
        load().plan("2017-01-01")


@pytest.mark.parametrize(("slots", "first"), [(96, 0), (8, 44), (1, 48), (95, 1), (7, 45), (2, 47)])
def test_default_first_slot_is_centred_on_noon(slots, first):
    assert default_first_slot(slots) == first


def test_a_hundred_and_more_members(tmp_path):
    write(tmp_path, loads=120, plants=30)
    assert len(load(tmp_path).members) == 150


def test_no_plants_is_a_neighbourhood_too(tmp_path):
    write(tmp_path, plants=0)
    assert {member.side for member in load(tmp_path).members} == {Side.DEMAND}


def test_no_loads_is_a_neighbourhood_too_but_nobody_is_none(tmp_path):
    write(tmp_path, loads=0)
    street = load(tmp_path)
    assert {member.side for member in street.members} == {Side.GENERATION}
    plan = street.plan("2020-02-28")
    assert set(plan.measured) == {"roof 0"}
    write(tmp_path, loads=0, plants=0)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert "nobody lives here" in str(caught.value)
    assert caught.value.fix


def write(folder: Path, *, loads: int = 2, plants: int = 1, days: tuple[str, ...] = ("2020-02-28",)) -> None:
    buyers, sellers = [f"house {n}" for n in range(loads)], [f"roof {n}" for n in range(plants)]
    (folder / "loads.csv").write_text("name,bus,p_kw\n" + "".join(f"{name},1,3.5\n" for name in buyers))
    (folder / "generators.csv").write_text("name,type,p_kw\n" + "".join(f"{name},PV,10\n" for name in sellers))
    times = [f"{day}T{step // 4:02}:{step % 4 * 15:02}:00" for day in days for step in range(96)]
    for file, names, value in (("load_kw.csv", buyers, "0.5"), ("pv_kw.csv", sellers, "1.25")):
        rows = [",".join(["time", *names]), *(",".join([time, *[value] * len(names)]) for time in times)]
        (folder / file).write_text("\n".join(rows) + "\n")


def swap(file: str, line: int, old: str, new: str | None):
    """Replace `old` on a line of a file by `new`, or drop the line."""

    def change(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        assert old in lines[line - 1]
        lines[line - 1 : line] = [] if new is None else [lines[line - 1].replace(old, new, 1)]
        (folder / file).write_text("\n".join(lines) + "\n")

    return change


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (swap("load_kw.csv", 5, "0.5", ""), ["load_kw.csv, line 5", "'house 0'", "found ''"]),
        (swap("load_kw.csv", 7, "0.5", "-2"), ["load_kw.csv, line 7", "'house 0'", "not below 0", "-2"]),
        (swap("pv_kw.csv", 3, "1.25", "much"), ["pv_kw.csv, line 3", "'roof 0'", "a decimal number", "much"]),
        (swap("pv_kw.csv", 9, "", None), ["pv_kw.csv, line 9", "'time'", "T01:45:00", "T02:00:00"]),
        (swap("pv_kw.csv", 97, "", None), ["pv_kw.csv, line 96", "96 steps", "95 steps"]),
        (swap("load_kw.csv", 4, "2020", "today"), ["load_kw.csv, line 4", "'time'", "not a time"]),
        (swap("load_kw.csv", 1, "house 1", "house 9"), ["load_kw.csv, line 1", "'house 1'"]),
        (swap("load_kw.csv", 8, ",0.5", ""), ["load_kw.csv, line 8", "3 cells", "2 cells"]),
        (swap("loads.csv", 3, "house 1", "house 0"), ["loads.csv, line 3", "'name'", "house 0"]),
        (swap("loads.csv", 2, "3.5", "?"), ["loads.csv, line 2", "'p_kw'", "?"]),
        (swap("loads.csv", 2, "3.5", "-3.5"), ["loads.csv, line 2", "'p_kw'", "not below 0", "-3.5"]),
        (swap("loads.csv", 3, "3.5", "1e9"), ["loads.csv, line 3", "'p_kw'", "at most", "1e9"]),
        (swap("generators.csv", 2, "10", "-1"), ["generators.csv, line 2", "'p_kw'", "not below 0", "-1"]),
        (lambda folder: (folder / "loads.csv").write_text(""), ["loads.csv is empty", "a header with name, p_kw"]),
        (
            lambda folder: (folder / "loads.csv").write_text("name,bus,p_kw\n"),
            ["load_kw.csv, line 1", "a column without a row in loads.csv", "house 0, house 1", "add a row"],
        ),
        (swap("generators.csv", 2, "PV", "coal"), ["generators.csv, line 2", "'type'", "coal"]),
        (swap("loads.csv", 1, "p_kw", "power"), ["loads.csv, line 1", "'p_kw'", "power"]),
        (swap("loads.csv", 3, "house 1,1,3.5", ""), ["load_kw.csv, line 1", "house 1"]),
        (swap("generators.csv", 2, "roof 0", "house 0"), ["share a name", "house 0"]),
    ],
)
def test_a_broken_folder_is_refused_with_file_line_column_and_both_values(tmp_path, break_it, told):
    write(tmp_path)
    break_it(tmp_path)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    for part in told:
        assert part in str(caught.value)


def test_files_must_exist_and_agree_on_days(tmp_path):
    shutil.copytree(DEFAULT_DATA, tmp_path / "copy")
    (tmp_path / "copy" / "pv_kw.csv").unlink()
    with pytest.raises(DataError, match=r"pv_kw\.csv"):
        load(tmp_path / "copy")
    write(tmp_path, days=("2020-02-28", "2020-02-29"))
    whole = (tmp_path / "pv_kw.csv").read_text().splitlines()
    (tmp_path / "pv_kw.csv").write_text("\n".join(whole[:97]) + "\n")
    with pytest.raises(DataError, match="2020-02-29 in one"):
        load(tmp_path)
    (tmp_path / "pv_kw.csv").write_text("")
    with pytest.raises(DataError, match="empty"):
        load(tmp_path)
