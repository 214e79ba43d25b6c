"""The lines of a neighbourhood's grid as the grid company posts them (`routing.post_grid`).

Read from `grid.json`, `buses.csv` and `lines.csv` of a data folder. Decimal text becomes integers without a float:
weight of a line in micro-ohm, capacity in W, length in m, each rounded half up. Levels of voltage: 0 low, 1 medium, 2
above 36 kV.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from deploy.neighbourhood import DEFAULT_DATA, DataError

_LEVELS_KV: Final = (Decimal(1), Decimal(36))


@dataclass(frozen=True, slots=True)
class GridLines:
    """Buses joined by lines. `buses`: names in the order of the file; `ends`: positions in `buses`; `figures`: [weight
    in micro-ohm, W, m] of each line; `root`: position of the bus at the transformer."""

    numbers: tuple[str, ...]
    buses: tuple[str, ...]
    levels: tuple[int, ...]
    lines: tuple[str, ...]
    ends: tuple[tuple[int, int], ...]
    figures: tuple[tuple[int, int, int], ...]
    root: int

    def arguments(self, from_slot: int) -> list[Any]:
        """Arguments of `routing.post_grid`."""
        return [
            from_slot, self.root, list(self.buses), list(self.levels), list(self.lines),
            [list(end) for end in self.ends], [list(figure) for figure in self.figures],
        ]  # fmt: skip

    def bus(self, number: str) -> str:
        """Name of the bus of a number. Raise `DataError`."""
        if number not in self.numbers:
            raise DataError(
                "no line reaches this bus", expected=", ".join(self.numbers), found=number, fix="name one of them"
            )
        return self.buses[self.numbers.index(number)]


def read_grid(folder: Path = DEFAULT_DATA) -> GridLines:
    """Read the grid of a data folder. Raise `DataError` for a file that is missing or not as its README says."""
    rows = _rows(folder / "lines.csv")
    linked = {row[column] for row in rows for column in ("from_bus", "to_bus")}
    buses = [row for row in _rows(folder / "buses.csv") if row["bus"] in linked]
    numbers = [row["bus"] for row in buses]
    root = str(_document(folder / "grid.json").get("lv_root_bus"))
    missing = (linked | {root}) - set(numbers)
    if missing:
        raise DataError(
            "a line ends at a bus that is not there",
            expected="a row of buses.csv",
            found=min(missing),
            fix=f"correct the files in {folder}",
        )
    return GridLines(
        numbers=tuple(numbers),
        buses=tuple(row["name"] for row in buses),
        levels=tuple(sum(_decimal(row, "vn_kv") >= limit for limit in _LEVELS_KV) for row in buses),
        lines=tuple(row["name"] for row in rows),
        ends=tuple((numbers.index(row["from_bus"]), numbers.index(row["to_bus"])) for row in rows),
        figures=tuple(_figures(row) for row in rows),
        root=numbers.index(root),
    )


def _figures(row: Mapping[str, str]) -> tuple[int, int, int]:
    km = _decimal(row, "length_km")
    return (
        _whole(km * _decimal(row, "r_ohm_per_km") * 1_000_000),
        _whole(_decimal(row, "capacity_kw") * 1_000),
        _whole(km * 1_000),
    )


def _whole(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _decimal(row: Mapping[str, str], column: str) -> Decimal:
    text = row.get(column, "")
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value < 10**9:
        raise DataError(
            f"column {column} is no figure of a grid",
            expected="a decimal number from 0",
            found=text,
            fix="correct lines.csv or buses.csv",
        )
    return value


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(
            f"cannot read {path.name}", expected="a readable file", found=error.strerror, fix=f"check {path}"
        ) from None
    needed = {"buses.csv": {"bus", "name", "vn_kv"}}.get(
        path.name, {"name", "from_bus", "to_bus", "length_km", "r_ohm_per_km", "capacity_kw"}
    )
    if not rows or not needed <= set(rows[0]):
        raise DataError(
            f"{path.name} has not the columns of a grid",
            expected=", ".join(sorted(needed)),
            found=path.name,
            fix=f"correct {path}",
        )
    return rows


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {path.name}", expected="a JSON document", found=str(error), fix=f"check {path}"
        ) from None
    return document if isinstance(document, dict) else {}
