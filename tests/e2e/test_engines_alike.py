"""The engine matrix over real nodes: a day's transactions through the HTTP API give the same under every engine.

Compared are all accounts, every bill and its lines, readings, and what is known of each seller with its reputation;
money is conserved on every chain, and all nodes of a chain have one state. `tests/unit/node/test_engine_matrix.py`
compares the application alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from real_engines import RealEngine, Shape

from contracts.library_sources import AuctionMode, CommunityMode, Tariffs
from node.log import configure_logging

AUCTION = "double_auction"
COMMUNITY = "community_vpp"
AHEAD = 4
"""Slots between the opening of a window and delivery."""
LATE = 6
"""Slots after which everything of a slot is settled."""
ENGINES = ("solo", "bft", "dpos", "sharded")


@dataclass(frozen=True)
class Offered:
    """An order of market C: who, "sell" or "buy", Wh, price."""

    name: str
    side: str
    wh: int
    price: int


@dataclass(frozen=True)
class Day:
    """Orders of each slot, and what meters say: generated, used."""

    orders: Mapping[int, Sequence[Offered]]
    readings: Mapping[int, Mapping[str, tuple[int, int]]]

    @property
    def slots(self) -> list[int]:
        return sorted(self.orders)

    @property
    def people(self) -> list[str]:
        return sorted({name for readings in self.readings.values() for name in readings})


UNEVEN = (
    Offered("sun one", "sell", 900, 480_000),
    Offered("sun two", "sell", 600, 500_000),
    Offered("load one", "buy", 1_000, 620_000),
    Offered("load two", "buy", 700, 600_000),
)
"""More is wanted than offered; what is left waits elsewhere for a while, with `sharded`."""
PAIRS = (
    Offered("sun one", "sell", 800, 470_000),
    Offered("load one", "buy", 800, 640_000),
    Offered("sun two", "sell", 500, 490_000),
    Offered("load two", "buy", 500, 630_000),
    Offered("sun three", "sell", 700, 510_000),
    Offered("load three", "buy", 700, 610_000),
)
"""Each pair matches whoever else is there, so also in a region of its own."""
SOUTH = ("sun three", "load three")
DAY = Day(
    {6: UNEVEN, 7: PAIRS},
    {
        6: {"sun one": (900, 0), "sun two": (150, 0), "load one": (0, 1_200), "load two": (0, 400)},
        7: {
            "sun one": (700, 0),
            "load one": (0, 800),
            "sun two": (650, 0),
            "load two": (0, 450),
            "sun three": (700, 0),
            "load three": (0, 900),
        },
    },
)
"""Sellers that deliver less or more than they sold, buyers that use more or less than they bought, meters that say
nothing in a slot in which their owners did not trade."""


def street(pairs: int, slots: Sequence[int]) -> Day:
    """A larger day: of each slot the last bid is larger than what is left, and one ask is above all bids."""
    orders: dict[int, list[Offered]] = {}
    readings: dict[int, dict[str, tuple[int, int]]] = {}
    for slot in slots:
        here = [Offered("sun dear", "sell", 300, 660_000)]
        meters = {"sun dear": (300, 0)}
        for at in range(pairs):
            wh = 300 + 100 * at + 7 * slot
            wanted = wh + 150 * (at == pairs - 1)
            here.append(Offered(f"sun {at}", "sell", wh, 470_000 + 3_000 * at))
            here.append(Offered(f"load {at}", "buy", wanted, 640_000 - 3_000 * at))
            meters[f"sun {at}"] = (wh * (80 + 13 * ((at + slot) % 4)) // 100, 0)
            meters[f"load {at}"] = (0, wh * (85 + 11 * ((at * slot) % 4)) // 100)
        orders[slot], readings[slot] = here, meters
    return Day(orders, readings)


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Nodes of this process say a line for every record and link."""
    configure_logging(level="error")
    yield
    structlog.reset_defaults()


Story = Callable[[RealEngine], Awaitable[None]]


async def auction_day(network: RealEngine, day: Day) -> None:
    """Join, then slot by slot: orders when the window opens, readings when delivery is over."""
    await asyncio.gather(*(network.join(name) for name in day.people))
    moments = {slot - AHEAD for slot in day.orders} | {slot + 1 for slot in day.readings} | {day.slots[-1] + LATE}
    for slot in sorted(moments):
        await network.reach(slot)
        said = [
            network.says(one.name, AUCTION, "submit_order", slot + AHEAD, one.side, one.wh, one.price, "reference")
            for one in day.orders.get(slot + AHEAD, ())
        ]
        for name, (made, used) in day.readings.get(slot - 1, {}).items():
            said.append(network.says(f"meter of {name}", "metering", "submit_reading", slot - 1, made, used))
        await asyncio.gather(*said)


def auction_story(day: Day) -> Story:
    return lambda network: auction_day(network, day)


async def played(shape: Shape, directory: Path, story: Story, people: Sequence[str], slots: Sequence[int]) -> Any:
    async with RealEngine.open(shape, directory) as network:
        await story(network)
        await network.settled()
        await network.one_state()
        return await network.outcome(people, slots)


async def alike(shapes: Mapping[str, Shape], directory: Path, day: Day) -> Any:
    """Play a day of market C under all shapes and compare with the first; what it came to. Networks whose clock waits
    for them are played side by side: each of them rests most of the time."""
    found: dict[str, Any] = {}

    async def play(name: str, shape: Shape, alone: asyncio.Lock | nullcontext[None]) -> None:
        async with alone:
            found[name] = await played(shape, directory / name, auction_story(day), day.people, day.slots)

    processes = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        for name, shape in shapes.items():
            group.create_task(play(name, shape, processes if shape.processes else nullcontext()))
    reference = found[next(iter(shapes))]
    for name in shapes:
        assert found[name] == reference, name
    return reference


def market(engine: str, regions: int = 0, **given: Any) -> Shape:
    return Shape(engine, AuctionMode(sealed=False), Tariffs(), regions, **given)


def traded(outcome: Any, day: Day) -> None:
    """Something happened to everybody, and no two fared alike."""
    assert {outcome[name]["bill"]["settled"] for name in day.people} == {len(day.slots)}
    assert len({str(outcome["accounts"][name]) for name in day.people}) == len(day.people)
    kinds = {line["kind"] for name in day.people for line in outcome[name]["bill"]["lines"]}
    assert kinds == {"trade_bought", "trade_sold", "grid_bought", "grid_sold"}
    assert outcome["supply"]["away"] == 0


@pytest.mark.asyncio
@pytest.mark.timeout(180)
async def test_a_day_of_the_auction_ends_the_same_under_every_engine(tmp_path: Path) -> None:
    shapes = {engine: market(engine, int(engine == "sharded")) for engine in ENGINES}
    traded(await alike(shapes, tmp_path, DAY), DAY)


@pytest.mark.soak
@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_regions_end_as_one_chain_whether_others_are_idle_or_trade_at_home(tmp_path: Path) -> None:
    shapes = {
        "bft": market("bft"),
        "idle": market("sharded", 2),
        "spread": market("sharded", 2, homes=dict.fromkeys(SOUTH, "south")),
    }
    traded(await alike(shapes, tmp_path, DAY), DAY)


@pytest.mark.soak
@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_a_trade_across_regions_costs_what_it_costs_on_one_chain(tmp_path: Path) -> None:
    """Without a fee, without the second stage (in which an order changes its price before it goes elsewhere) and with
    what was sold delivered, everybody has what the same trade leaves on one chain. Bills name it otherwise."""
    slot, people = 6, ("sun one", "load one")
    mode = AuctionMode(sealed=False, two_stages=False)
    shapes = {
        "bft": Shape("bft", mode, Tariffs()),
        "sharded": Shape("sharded", mode, Tariffs(), 2, {"sun one": "south", "load one": "north"}),
    }

    async def story(network: RealEngine) -> None:
        await asyncio.gather(*(network.join(name) for name in people))
        await network.reach(slot - AHEAD)
        await network.says("meter of sun one", "metering", "submit_forecast", slot, "generation", 900)
        for name, side, price in (("sun one", "sell", 480_000), ("load one", "buy", 620_000)):
            await network.says(name, AUCTION, "submit_order", slot, side, 900, price, "reference")
        await network.reach(slot - 1)
        if network.centres:
            await asyncio.gather(*(network.filled(name, slot) for name in people))
        await network.reach(slot + 1)
        await network.says("meter of sun one", "metering", "submit_reading", slot, 900, 0)
        await network.says("meter of load one", "metering", "submit_reading", slot, 0, 1_000)
        await network.reach(slot + LATE)

    one, regions = [await played(shape, tmp_path / name, story, people, [slot]) for name, shape in shapes.items()]
    assert regions["accounts"] == one["accounts"]
    assert regions["supply"] == one["supply"]
    for name in people:
        ours, theirs = regions[name]["bill"], one[name]["bill"]
        assert {**ours, "lines": []} == {**theirs, "lines": []}
        renamed = [
            (line["kind"].replace("trade_", "elsewhere_"), line["wh"], line["amount"]) for line in theirs["lines"]
        ]
        assert sorted((line["kind"], line["wh"], line["amount"]) for line in ours["lines"]) == sorted(renamed)


@pytest.mark.soak
@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_a_day_of_the_community_plant_ends_the_same_under_every_engine(tmp_path: Path) -> None:
    """Two slots, so that the first one's performance counts in the second."""
    slots = (6, 7)
    meters = {"sun one": (900, 0), "sun two": (150, 0), "load one": (0, 1_200), "load two": (0, 400)}

    async def story(network: RealEngine) -> None:
        await asyncio.gather(*(network.join(name) for name in meters))
        for slot in slots:
            await network.reach(slot - 3)
            first = await network.says("sun one", COMMUNITY, "offer", slot, 900, 90_000)
            second = await network.says("sun two", COMMUNITY, "offer", slot, 600, 110_000)
            await asyncio.gather(
                network.says("load one", COMMUNITY, "submit_bid", slot, first, 900, 95_000),
                network.says("load two", COMMUNITY, "submit_bid", slot, second, 400, 120_000),
            )
        for slot in slots:
            await network.reach(slot + 1)
            said = (
                network.says(f"meter of {name}", "metering", "submit_reading", slot, *values)
                for name, values in meters.items()
            )
            await asyncio.gather(*said)
        await network.reach(slots[-1] + LATE)

    mode, tariffs = CommunityMode(sealed=False), Tariffs(feed=60_000, retail=180_000)
    found = {}
    for engine in ENGINES:
        shape = Shape(engine, mode, tariffs, 2 * (engine == "sharded"))
        found[engine] = await played(shape, tmp_path / engine, story, sorted(meters), slots)
    reference = found["solo"]
    assert reference["load one"]["bill"]["settled"] == len(slots)
    assert any(seller["reputation"] for seller in reference["sun one"]["seller"])
    for engine in ENGINES[1:]:
        assert found[engine] == reference, engine


@pytest.mark.soak
@pytest.mark.asyncio
@pytest.mark.timeout(1_800)
async def test_a_street_on_real_processes_ends_the_same_under_every_engine(tmp_path: Path) -> None:
    """Thirteen members, four slots, a process for each node (twelve with `sharded`), and no clock but the machine's."""
    day = street(6, (8, 9, 10, 11))
    shapes = {engine: market(engine, 2 * (engine == "sharded"), speed=120, processes=True) for engine in ENGINES}
    traded(await alike(shapes, tmp_path, day), day)
