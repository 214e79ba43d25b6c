"""Who lives in the neighbourhood and how many watt-hours each of them uses or makes in each quarter of an hour.

Read from a folder of four CSV files (`deploy/data/simbench-lv-rural1/README.md` describes them). Power is turned into
energy on the decimal text, never through a float: Wh of a step = floor(kW * 250 + 1/2). A gap in the data is an error
that names file, line and column, because a missing value is never zero.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from ledger.errors import ConfigError

SLOTS = 96
STEP = timedelta(minutes=15)
DEFAULT_DATA = Path(__file__).parent / "data" / "simbench-lv-rural1"

_DECIMAL = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,30}))?(?:[eE]([+-]?[0-9]{1,2}))?")
_MAX_WH = 10**9
_PLANTS = {"pv": "pv", "solar": "pv", "wp": "wind", "wind": "wind", "hydro": "hydro"}


class DataError(ConfigError):
    """A data folder that cannot be a neighbourhood."""

    code = "DATA"


class Side(StrEnum):
    """What a member's meter counts."""

    DEMAND = "demand"
    GENERATION = "generation"


class Forecast(StrEnum):
    """Where a forecast comes from."""

    PREVIOUS_DAY = "previous_day"
    NEXT_DAY = "next_day"
    SAME_DAY = "same_day"


@dataclass(frozen=True, slots=True)
class Member:
    """One load or one plant: a member with one meter. `rated_w` is the installed power in watts, rounded up; `bus` the
    number of its bus, "" where the data do not say; `storage_w` the power of its storage, 0 if it has none."""

    name: str
    side: Side
    device: str
    rated_w: int
    bus: str = ""
    storage_w: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A day to trade: Wh forecast and Wh measured for each member (by name), 96 values each."""

    day: str
    forecast_rule: Forecast
    forecast: dict[str, tuple[int, ...]]
    measured: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Members in the order of the files (loads, then plants) and Wh per day, member and slot. `folder`: where the files
    lie."""

    members: tuple[Member, ...]
    days: tuple[str, ...]
    energy: dict[str, dict[str, tuple[int, ...]]]
    folder: Path | None = None

    def plan(self, day: str) -> Plan:
        """Forecasts and readings of `day`: the forecast is the day before, else the day after, else the day itself.

        Raise `DataError` for a day that the data do not hold.
        """
        if day not in self.energy:
            raise DataError(
                f"the data hold no {day}",
                expected=f"one of {', '.join(self.days)}",
                found=day,
                fix="choose another --day",
            )
        rule, source = self._forecast_source(day)
        return Plan(day, rule, self.energy[source], self.energy[day])

    def _forecast_source(self, day: str) -> tuple[Forecast, str]:
        today = date.fromisoformat(day)
        before, after = (today - timedelta(days=1)).isoformat(), (today + timedelta(days=1)).isoformat()
        if before in self.energy:
            return Forecast.PREVIOUS_DAY, before
        if after in self.energy:
            return Forecast.NEXT_DAY, after
        return Forecast.SAME_DAY, day


def watt_hours(kilowatts: str) -> int:
    """Energy of a quarter of an hour at a mean power given as decimal text: floor(kW * 250 + 1/2), exactly.

    Raise `ValueError` for text that is no plain decimal number, a negative one, or more than 10^9 Wh.
    """
    return scaled(kilowatts, 250, half_up=True)


def scaled(text: str, factor: int, *, half_up: bool) -> int:
    """`text` times `factor`, rounded half up or towards above, in integers. Raise `ValueError` as `watt_hours` does."""
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise ValueError("a decimal number")
    sign, whole, fraction, exponent = match.groups()
    numerator = int(whole + (fraction or "")) * factor
    places = len(fraction or "") - int(exponent or 0)
    denominator = int(10 ** max(places, 0))
    numerator *= int(10 ** max(-places, 0))
    if sign and numerator:
        raise ValueError("a number not below 0")
    value: int = (2 * numerator + denominator) // (2 * denominator) if half_up else -(-numerator // denominator)
    if value > _MAX_WH:
        raise ValueError(f"at most {_MAX_WH} after scaling by {factor}")
    return value


def default_first_slot(slots: int) -> int:
    """First slot of a run of `slots` consecutive slots: the middle of the day, 48 - N/2."""
    return 0 if slots >= SLOTS else 48 - slots // 2


def load(directory: Path = DEFAULT_DATA) -> Neighbourhood:
    """Read a folder of the layout above. Raise `DataError` naming file, line, column, what was expected and found."""
    loads = _members(directory / "loads.csv", Side.DEMAND)
    plants = _members(directory / "generators.csv", Side.GENERATION)
    names = [member.name for member in (*loads, *plants)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            "a load and a plant share a name",
            expected="one meter per name",
            found=", ".join(twice),
            fix="rename one of them",
        )
    if not names:
        raise DataError(
            "nobody lives here",
            expected="a row in loads.csv or generators.csv",
            found="none",
            fix=f"add members to the files in {directory}",
        )
    used = _series(directory / "load_kw.csv", [member.name for member in loads], "loads.csv")
    made = _series(directory / "pv_kw.csv", [member.name for member in plants], "generators.csv")
    if list(used) != list(made):
        only = sorted(set(used).symmetric_difference(made))
        raise DataError(
            "load_kw.csv and pv_kw.csv hold different days",
            expected="the same days in both",
            found=f"{', '.join(only)} in one",
            fix=f"correct the files in {directory}",
        )
    return Neighbourhood((*loads, *plants), tuple(used), {day: {**used[day], **made[day]} for day in used}, directory)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a CSV file with what an error message needs."""

    path: Path
    line: int
    cells: list[str]

    def error(self, message: str, column: str, expected: object, found: object) -> DataError:
        return DataError(
            f"{self.path.name}, line {self.line}, column {column!r}: {message}",
            expected=expected,
            found=found,
            fix=f"correct {self.path}",
        )


def _rows(path: Path) -> Iterator[_Row]:
    """The header and the rows of a file; every row as wide as the header; blank lines are not rows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            width: int | None = None
            for cells in reader:
                if not cells:
                    continue
                row = _Row(path, reader.line_num, cells)
                if width is None:
                    width = len(cells)
                elif len(cells) != width:
                    last = str(min(len(cells), width))
                    raise row.error(
                        "the row has another width than the header", last, f"{width} cells", f"{len(cells)} cells"
                    )
                yield row
    except FileNotFoundError:
        raise DataError(
            "a file is missing",
            expected=str(path),
            found="no such file",
            fix="name a folder with loads.csv, generators.csv, load_kw.csv and pv_kw.csv",
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path.name} cannot be read", expected="a CSV file in UTF-8", found=str(error), fix=f"correct {path}"
        ) from None


def _header(path: Path, rows: Iterator[_Row], needed: Sequence[str]) -> dict[str, int]:
    """Position of each column. All of `needed` must be there, none twice or without a name."""
    head = next(rows, None)
    if head is None:
        raise DataError(
            f"{path.name} is empty",
            expected=f"a header with {', '.join(needed)}",
            found="nothing",
            fix=f"correct {path}",
        )
    columns: dict[str, int] = {}
    for position, name in enumerate(head.cells):
        if not name.strip() or name in columns:
            raise head.error("a column needs a name of its own", name, "distinct names", f"{name!r} at {position + 1}")
        columns[name] = position
    for name in needed:
        if name not in columns:
            raise head.error("a column is missing", name, name, ", ".join(head.cells))
    return columns


def _members(path: Path, side: Side) -> tuple[Member, ...]:
    rows = _rows(path)
    needed = ("name", "p_kw") if side is Side.DEMAND else ("name", "p_kw", "type")
    columns = _header(path, rows, needed)
    members: dict[str, Member] = {}
    for row in rows:
        name = row.cells[columns["name"]]
        if not name.strip() or name in members:
            raise row.error("every row needs a name of its own", "name", "a new name", repr(name))
        text = row.cells[columns["p_kw"]]
        try:
            rated = scaled(text, 1000, half_up=False)
        except ValueError as error:
            raise row.error("installed power", "p_kw", f"{error} (kW)", repr(text)) from None
        device = "load" if side is Side.DEMAND else _device(row, columns["type"])
        bus = row.cells[columns["bus"]].strip() if "bus" in columns else ""
        members[name] = Member(name, side, device, rated, bus)
    return tuple(members.values())


def _device(row: _Row, position: int) -> str:
    """The registry's name for a type of plant."""
    text = row.cells[position]
    for start, device in _PLANTS.items():
        if text.strip().lower().startswith(start):
            return device
    raise row.error("a plant of unknown type", "type", f"a type that begins with {', '.join(_PLANTS)}", repr(text))


def _series(path: Path, names: Sequence[str], owner: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """Wh by day and name. The columns must be exactly `time` and `names`; every day whole, in steps of 15 minutes."""
    rows = _rows(path)
    columns = _header(path, rows, ("time", *names))
    strangers = sorted(set(columns) - {"time", *names})
    if strangers:
        raise DataError(
            f"{path.name}, line 1: a column without a row in {owner}",
            expected=", ".join(names),
            found=", ".join(strangers),
            fix=f"add a row to {owner}, or drop the column from {path.name}",
        )
    days: dict[str, list[list[int]]] = {}
    last: _Row | None = None
    for row in rows:
        steps = days.setdefault(_day_of(row, columns["time"], days, last), [])
        steps.append([_energy(row, columns[name], name) for name in names])
        last = row
    if last is None:
        raise DataError(
            f"{path.name} holds no step", expected="96 steps a day", found="a header only", fix=f"correct {path}"
        )
    _whole_day(last, days)
    return {
        day: {name: tuple(step[position] for step in steps) for position, name in enumerate(names)}
        for day, steps in days.items()
    }


def _day_of(row: _Row, position: int, days: dict[str, list[list[int]]], last: _Row | None) -> str:
    """The day of a row, after checking that its time is the next one the day lacks."""
    text = row.cells[position]
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise row.error("not a time", "time", "like 2016-06-14T00:15:00", repr(text)) from None
    if time.tzinfo is not None:
        raise row.error("a time without zone is needed", "time", "local time", repr(text))
    day = time.date().isoformat()
    if day not in days and last is not None:
        _whole_day(last, days)
    if days and day in days and day != next(reversed(days)):
        raise row.error("a day comes back", "time", "each day in one piece", text)
    step = len(days.get(day, ()))
    due = datetime.combine(time.date(), datetime.min.time()) + step * STEP
    if step >= SLOTS or time != due:
        raise row.error("a step is missing, doubled or out of order", "time", due.isoformat(), text)
    return day


def _whole_day(row: _Row, days: dict[str, list[list[int]]]) -> None:
    day, steps = next(reversed(days.items()))
    if len(steps) != SLOTS:
        raise row.error(
            "the day ends too early", "time", f"{SLOTS} steps of 15 minutes in {day}", f"{len(steps)} steps"
        )


def _energy(row: _Row, position: int, name: str) -> int:
    text = row.cells[position]
    try:
        return watt_hours(text)
    except ValueError as error:
        raise row.error("mean power", name, f"{error} (kW)", repr(text)) from None
