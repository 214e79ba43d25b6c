"""routing: the grid, ways, the path queue L; line flows against the AC power flow of the shipped grid."""

from __future__ import annotations

import csv
import hashlib
import random
from itertools import permutations
from typing import Any

import pytest

from contracts.library_sources import library_source
from deploy.grid_lines import GridLines, read_grid
from deploy.neighbourhood import DEFAULT_DATA
from gridchain.testing import Accounts, ContractChain, Deployer, ExpectRevert, Instance

SLOT_MS = 900_000
TOLERANCE_KW = 0.3


@pytest.fixture
def routing(deploy: Deployer, accounts: Accounts) -> Instance:
    """Slot 0 begins an hour after genesis; `market` may queue trades through its own address."""
    return deploy(
        library_source("routing"), accounts.grid, SLOT_MS, 4 * SLOT_MS, 2, ["market"], name="routing"
    )  # fmt: skip


@pytest.fixture
def market(deploy: Deployer, routing: Instance) -> Instance:
    """A market that queues what it is told."""
    source = '"""A market."""\n\n\n@export\ndef queue(slot: u64, trades: list) -> list:\n'
    source += '    return call("routing", "queue_trades", slot, trades)\n'
    return deploy(source, name="market", calls=["routing"])


@pytest.fixture
def square(routing: Instance, accounts: Accounts) -> Instance:
    """a - b - c - d - a: a ring of equal weights with 4 kW lines, and e behind c."""
    ends = [[0, 1], [1, 2], [2, 3], [3, 0], [2, 4]]
    figures = [[10, 4_000, 100], [10, 4_000, 100], [10, 4_000, 100], [10, 4_000, 100], [5, 2_000, 50]]
    routing.post_grid(
        0, 0, ["a", "b", "c", "d", "e"], [1, 0, 0, 0, 0], ["ab", "bc", "cd", "da", "ce"], ends, figures,
        sender=accounts.grid,
    )  # fmt: skip
    return routing


def person(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def trade(seq: int, seller: str, buyer: str, wh: int, start: str, end: str) -> list[Any]:
    return [seq, person(seller), person(buyer), wh, start, end]


def test_equal_ways_are_decided_by_bus_and_line(square: Instance) -> None:
    assert square.path(0, "a", "c") == {"lines": ["ab", "bc"], "weight": 20, "length_m": 200, "level": 1}
    assert square.path(0, "c", "a")["lines"] == ["bc", "ab"]
    assert square.path(0, "b", "e")["lines"] == ["bc", "ce"]
    assert square.path(0, "b", "b") == {"lines": [], "weight": 0, "length_m": 0, "level": 0}
    assert square.distances(0, ["a", "e"], ["b", "c"]) == [[100, 200], [150, 50]]


def test_the_queue_is_ordered_by_loss_then_seller_buyer_seq_whatever_the_order_given(square: Instance) -> None:
    trades = [
        trade(3, "s", "x", 10, "a", "c"),
        trade(1, "t", "x", 10, "a", "b"),
        trade(2, "s", "y", 10, "a", "c"),
        trade(4, "s", "x", 10, "c", "e"),
    ]
    found = []
    for order in permutations(trades):
        found.append([(row["weight"], row["seller"], row["buyer"], row["seq"]) for row in square.route(0, list(order))])
    assert all(rows == found[0] for rows in found)
    assert found[0] == sorted(found[0])
    assert found[0][0][0] == 5


def test_without_a_grid_the_queue_is_the_published_one(routing: Instance) -> None:
    trades = [trade(seq, "s" if seq % 2 else "t", "x", 10**9, "", "") for seq in range(4)]
    rows = routing.route(0, trades)
    keys = [(row["seller"], row["buyer"], row["seq"]) for row in rows]
    assert keys == sorted(keys)
    assert all(row["granted"] == row["wh"] and row["path"] == [] for row in rows)


def test_capacity_goes_in_queue_order_and_the_rest_is_curtailed(square: Instance, market: Instance) -> None:
    """4 kW for a quarter of an hour are 1,000 Wh, 2 kW are 500; opposite trades cancel."""
    answer = market.queue(
        0,
        [
            trade(1, "s", "x", 700, "a", "b"),
            trade(2, "s", "y", 700, "a", "b"),
            trade(3, "t", "z", 500, "b", "a"),
            trade(4, "u", "z", 900, "c", "e"),
        ],
    )
    by_seq = dict(zip((1, 2, 3, 4), answer, strict=True))
    assert by_seq[4] == [500, [4]]
    first, second = sorted((1, 2), key=lambda seq: person("x" if seq == 1 else "y"))
    before = 500 if person("t") < person("s") else 0
    assert by_seq[first] == [700, [0]]
    assert by_seq[second][0] == min(700, 1_000 + before - 700)
    assert by_seq[3] == [500, [0]]
    summary = square.summary(0)
    assert summary["curtailed_wh"] == 400 + 700 - by_seq[second][0]
    assert summary["flows"][0] == by_seq[1][0] + by_seq[2][0] - 500
    assert summary["trades"] == len(square.queue(0, 0, 10)) == 4
    assert square.queue(0, 3, 10) == square.queue(0, 0, 10)[3:]


def test_a_later_batch_stands_behind_and_the_digest_covers_all(square: Instance, market: Instance) -> None:
    assert square.latest() is None
    assert market.queue(0, [trade(1, "s", "x", 900, "a", "b")]) == [[900, [0]]]
    once = square.summary(0)["digest"]
    assert market.queue(0, [trade(2, "a", "a", 900, "a", "b")]) == [[100, [0]]]
    assert market.queue(1, [trade(2, "a", "a", 900, "a", "b")]) == [[900, [0]]]
    digest = bytes(32)
    for hop in square.queue(0, 0, 10):
        raw = hop["market"] + hop["seller"] + hop["buyer"]
        for value in (hop["seq"], hop["wh"], hop["granted"], hop["weight"], len(hop["path"])):
            raw += value.to_bytes(8, "big")
        raw += b"".join(line.to_bytes(4, "big") for line in hop["path"])
        digest = hashlib.sha256(digest + raw).digest()
    assert square.summary(0)["digest"] == digest != once
    assert square.latest() == {"slot": 1, "trades": 1, "digest": square.summary(1)["digest"]}


def test_who_may_queue_and_post(
    square: Instance, accounts: Accounts, expect_revert: ExpectRevert, chain: ContractChain
) -> None:
    line = (["a", "b"], [0, 0], ["ab"], [[0, 1]], [[1, 1, 1]])
    with expect_revert("NOT_ALLOWED"):
        square.queue_trades(0, [], sender=accounts.grid)
    with expect_revert("NOT_ALLOWED"):
        square.post_grid(1, 0, *line, sender=accounts.mallory)
    with expect_revert("NOT_AFTER_LAST"):
        square.post_grid(0, 0, *line, sender=accounts.grid)
    with expect_revert("NOT_CONNECTED"):
        square.post_grid(9, 0, ["a", "b", "c"], [0, 0, 0], *line[2:], sender=accounts.grid)
    with expect_revert("BAD_LINE"):
        square.post_grid(9, 0, ["a", "b"], [0, 0], ["ab"], [[0, 2]], [[1, 1, 1]], sender=accounts.grid)
    with expect_revert("BAD_BUS"):
        square.post_grid(9, 0, ["a", "a"], [0, 0], ["ab"], [[0, 1]], [[1, 1, 1]], sender=accounts.grid)
    assert square.post_grid(9, 0, *line, sender=accounts.grid) == 1
    assert [square.grid(slot)["version"] for slot in (0, 8, 9, 100)] == [0, 0, 1, 1]
    chain.advance(4 * SLOT_MS + 8 * SLOT_MS)
    with expect_revert("SLOT_BEGUN"):
        square.post_grid(10, 0, *line, sender=accounts.grid)


@pytest.mark.parametrize("bounds", [[], [99], [100], [50, 100, 150, 200], [200], [0, 0, 100]])
def test_grid_fees_by_band_and_level(square: Instance, accounts: Accounts, bounds: list[int]) -> None:
    assert square.fees(1, ["a"], ["b"]) == [[0]]
    square.post_fees(1, [1_000, 5_000], bounds, list(range(len(bounds) + 1)), sender=accounts.grid)
    assert square.fees(0, ["a"], ["b"]) == [[0]]
    sources, targets = ["a", "c"], ["b", "c", "e", "c"]
    expected = []
    for row, source in zip(square.distances(1, sources, targets), sources, strict=True):
        levels = [5_000 if "a" in (source, target) else 1_000 for target in targets]
        bands = [sum(length > bound for bound in bounds) for length in row]
        expected.append([level + band for level, band in zip(levels, bands, strict=True)])
    assert square.fees(1, sources, targets) == expected
    assert square.fee_table(1)["bounds_m"] == bounds


def test_ways_in_a_tree_are_those_of_dijkstra(routing: Instance, accounts: Accounts) -> None:
    """A random tree once as it is and once with a line that no path would take, so that it is searched as a mesh."""
    rng = random.Random(11)
    ends = [[rng.randrange(number + 1), number + 1] for number in range(19)]
    rng.shuffle(ends)
    figures = [[rng.randrange(1, 100), 10, rng.randrange(300)] for _ in ends]
    buses, lines = [f"b{number}" for number in range(20)], [f"l{number}" for number in range(20)]
    levels = [0] * 20
    routing.post_grid(0, 7, buses, levels, lines[:19], ends, figures, sender=accounts.grid)
    routing.post_grid(1, 7, buses, levels, lines, [*ends, [3, 9]], [*figures, [10**9, 1, 1]], sender=accounts.grid)
    assert routing.distances(0, buses, buses) == routing.distances(1, buses, buses)
    for source in ("b0", "b7", "b13"):
        for target in buses:
            assert routing.path(0, source, target) == routing.path(1, source, target)


def test_flows_of_a_tree_by_hand(routing: Instance, accounts: Accounts) -> None:
    """root - m - (x, y): x feeds in 5, y takes 8, the root brings 3."""
    routing.post_grid(
        0, 0, ["root", "m", "x", "y"], [0, 0, 0, 0], ["rm", "xm", "my"], [[0, 1], [2, 1], [1, 3]], [[1, 1, 1]] * 3,
        sender=accounts.grid,
    )  # fmt: skip
    assert routing.flows(0, [["x", 5], ["y", -6], ["y", -2]]) == [3, 5, 8]


def series(name: str) -> list[dict[str, str]]:
    with (DEFAULT_DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def buses_of(grid: GridLines, name: str) -> dict[str, str]:
    return {row["name"]: grid.bus(row["bus"]) for row in series(name)}


def test_flows_of_the_shipped_grid_are_within_the_tolerance_of_the_ac_power_flow(
    routing: Instance, accounts: Accounts
) -> None:
    """All 480 steps and 13 lines, from the powers of loads and plants in W."""
    grid = read_grid()
    routing.post_grid(*grid.arguments(0), sender=accounts.grid)
    loads, plants = buses_of(grid, "loads.csv"), buses_of(grid, "generators.csv")
    worst, checked = 0.0, 0
    for used, made, reference in zip(
        series("load_kw.csv"), series("pv_kw.csv"), series("ref_line_p_from_kw.csv"), strict=True
    ):
        powers = [[bus, -round(float(used[name]) * 1_000)] for name, bus in loads.items()]
        powers += [[bus, round(float(made[name]) * 1_000)] for name, bus in plants.items()]
        for line, watts in zip(grid.lines, routing.flows(0, powers), strict=True):
            worst = max(worst, abs(watts / 1_000 - float(reference[line])))
            checked += 1
    assert checked == 480 * 13
    assert worst < TOLERANCE_KW, worst
    assert worst < 0.05, "the README of the data promises this"
