"""The shipped grid as the grid company posts it, and grids that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.grid_lines import read_grid
from deploy.neighbourhood import DEFAULT_DATA, DataError

FILES = ("grid.json", "buses.csv", "lines.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(DEFAULT_DATA / name, tmp_path)
    return tmp_path


def test_the_shipped_grid_is_a_tree_of_low_voltage_lines() -> None:
    grid = read_grid()
    assert (len(grid.lines), len(grid.buses)) == (13, 14)
    assert set(grid.levels) == {0}
    assert grid.buses[grid.root] == grid.bus("3") == "LV1.101 Bus 4"
    first = grid.lines.index("LV1.101 Line 1")
    assert grid.figures[first] == (11_527, 187_060, 56), "0.0557667 km of 0.2067 ohm/km, 187.06 kW"
    assert [grid.numbers[end] for end in grid.ends[first]] == ["9", "2"]
    assert grid.arguments(7)[:2] == [7, grid.root]


def test_a_bus_that_no_line_reaches_is_told() -> None:
    with pytest.raises(DataError, match="no line reaches"):
        read_grid().bus("42")


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("lines.csv", "0.0557667", "-1", "length_km"),
        ("lines.csv", "0.0557667", "long", "length_km"),
        ("lines.csv", "187.06", "NaN", "capacity_kw"),
        ("lines.csv", "from_bus", "start", "columns of a grid"),
        ("buses.csv", "\n9,", "\n99,", "not there"),
        ("grid.json", '"lv_root_bus": 3', '"lv_root_bus": 77', "not there"),
        ("grid.json", "{", "", "JSON"),
    ],
)
def test_what_is_no_grid_is_told(folder: Path, name: str, old: str, new: str, told: str) -> None:
    file = folder / name
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_grid(folder)
    assert told in f"{caught.value.message} {caught.value.expected}"


def test_a_missing_file_is_told(folder: Path) -> None:
    (folder / "lines.csv").unlink()
    with pytest.raises(DataError, match=r"lines\.csv"):
        read_grid(folder)
