"""Parts of the demo that need no process: options, screen, the reading of blocks, the change of nodes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import deploy.demo as demo_module
import deploy.follow as follow_module
from contracts.library_sources import AuctionMode
from deploy import loading
from deploy.audit import common_height, fetch_blocks
from deploy.card import Orders
from deploy.demo import _all_orders
from deploy.demo_options import DemoOptions, check_options
from deploy.follow import Follower
from deploy.founding import make_network
from deploy.gateway import Signer
from deploy.held import Held, HeldError, Loaded
from deploy.incident import Incident
from deploy.loading import contracts_of
from deploy.market.roster import MARKETS, is_sealed, market_in, market_of
from deploy.market.words import price, time_of_day
from deploy.neighbourhood import load
from deploy.network import NetworkPlan
from deploy.outbox import Refusal
from deploy.pace import HIGHEST_SPEED, SLOT_MS, Pace, lead_for, pace_for, quickest_slot_ms, slowness_of, window_for
from deploy.screen import NodeLine, Progress, Screen, TradeLine, page
from deploy.withholding import Withholding, with_sellers
from ledger.codec import encode
from ledger.crypto import SigningKey
from ledger.errors import GenesisError, GridchainError
from ledger.genesis import load_genesis
from ledger.objects import Header
from node.api.stored import StoredBlock
from node.client import EventSeen, Outcome, Unreachable


def test_orders_that_a_node_refused_are_counted_once_with_those_in_blocks():
    owner = Signer(SigningKey(bytes(32)), "demo-x")
    order = owner.call("double_auction", "submit_order", 1, "buy", 5, 600_000, "reference")
    forecast = owner.call("metering", "submit_forecast", 1, "demand", 5)
    refused = [Refusal(order, "BAD_SIGNATURE"), Refusal(order, "ORDER_LATE"), Refusal(forecast, "BAD_SIGNATURE")]
    market = market_of("C")
    assert _all_orders(market, Orders(7, 2, 1), refused) == Orders(7, 3, 2)
    assert _all_orders(market, Orders(7, 2, 1), []) == Orders(7, 2, 1)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("letter", MARKETS)
def test_market_and_sealing_are_read_from_genesis(tmp_path, letter, sealed):
    mode = MARKETS[letter].mode(sealed=sealed, slots=8)
    plan = NetworkPlan(tmp_path / "net", "dev-x", "solo", ("one",), mode=mode)
    genesis = load_genesis(make_network(plan).nodes[0].home / "genesis.json")
    assert market_in(genesis) is MARKETS[letter]
    assert is_sealed(genesis) is sealed
    with pytest.raises(GenesisError):
        MARKETS[letter].sealed_in(genesis.contracts[0].arguments)


def test_a_new_network_is_a_sealed_double_auction():
    assert NetworkPlan(Path("net")).mode == AuctionMode(sealed=True)


def test_no_fifth_market():
    assert market_of("d") is MARKETS["D"]
    with pytest.raises(GridchainError) as caught:
        market_of("E")
    assert caught.value.code == "MARKET"


def loads(nodes: int, *, work_ms: int = 200, waited: int = 1, cores: int = 2) -> list[Loaded]:
    """What nodes report that had a processor for one part in `waited` of their share."""
    return [Loaded(900 * waited * max(1, nodes // cores), 900, work_ms)] * nodes


SLOWNESSES = (100, 150, 300, 1200)


@pytest.mark.parametrize("slowness", SLOWNESSES)
@pytest.mark.parametrize(
    ("day", "numbers"), [("2016-06-14", range(96)), ("2016-01-20", range(96)), ("2016-06-14", range(44, 52))]
)
def test_a_slot_is_as_long_as_the_machine_needs_and_a_day_takes_two_minutes_at_most(slowness, day, numbers):
    street = load()
    lead_ms = lead_for(4, 2, 17, slowness)
    quickest = quickest_slot_ms(17, slowness, len(numbers))
    pace = pace_for(lead_ms, trade_slots(street, street.plan(day), numbers), slowness, quickest)
    assert 0.99 * quickest / 1000 <= pace.slot_s <= max(0.6, quickest / 1000)
    assert quickest >= 330 * min(slowness, 300) // 100
    assert (len(numbers) + 2 + 2 * pace.window) * pace.slot_s < 107
    assert pace.window * pace.slot_s >= 1.4 * min(slowness, 130) / 100, "an order is in time at the worst"
    assert pace.lead_ms == lead_ms, "the nodes and members are given the time that they need"


def test_the_first_trade_of_a_summer_day_clears_in_time():
    street = load()
    assert first_trade_slots(street, street.plan("2016-06-14"), range(96)) == 29
    assert first_trade_slots(street, street.plan("2016-06-14"), range(96), sealed=False) == 27
    assert first_trade_slots(street, street.plan("2016-06-14"), range(44, 52)) == 4
    assert first_trade_slots(street, street.plan("2016-06-14"), range(8)) is None
    for slowness in (100, 120, 140):
        first = trade_slots(street, street.plan("2016-06-14"), range(96))
        pace = pace_for(lead_for(4, 2, 17, slowness), first, slowness, quickest_slot_ms(17, slowness, 96))
        assert pace.lead_ms / 1000 + (25 + 2 * pace.window) * pace.slot_s <= 18.5
        assert pace.slot_s > 0.45, "an idle machine need not hurry either"
    assert lead_for(4, 2, 17, 100) < lead_for(4, 2, 150, 100) < lead_for(4, 2, 150, 200) < lead_for(8, 2, 150, 200)


def test_many_members_and_a_busy_machine_get_longer_slots():
    assert quickest_slot_ms(17, 100, 96) == quickest_slot_ms(17, 100, 4) == 330
    assert quickest_slot_ms(17, 200, 96) == 660
    assert quickest_slot_ms(17, 2_000, 96) == quickest_slot_ms(150, 300, 96) == 1_000
    assert quickest_slot_ms(120, 100, 4) == 533
    assert quickest_slot_ms(120, 700, 4) == 3_731, "a short run has time for longer slots"
    assert quickest_slot_ms(17, 2_000, 4) == 6_000
    assert pace_for(9_000, lambda window: 29, 300, quickest_slot_ms(150, 300, 96)).slot_s == 1.0


def test_short_slots_make_no_short_windows():
    assert [window_for(slot_ms, 100) for slot_ms in (1_000, 700, 699, 500, 400, 100)] == [2, 2, 3, 3, 4, 4]
    assert [window_for(1_000, slowness) for slowness in (100, 150, 250, 1_000)] == [2, 3, 4, 4]
    quick = pace_for(2_500, lambda window: 25 + 2 * window)
    assert quick.window == 3
    assert quick.window * quick.slot_s >= 1.4
    assert pace_for(2_500, lambda window: None, slowest_ms=900).window == 2


@pytest.mark.parametrize("window", [2, 3, 4])
@pytest.mark.parametrize("letter", MARKETS)
def test_commitments_and_reveals_have_the_same_time(letter, window):
    """A household reveals at the opening of the window that is `lead` slots younger."""
    market, numbers = market_of(letter), range(20, 28)
    calendar = market.calendar(SLOT_MS, 0, numbers, sealed=True, window=window)
    assert calendar.reveal_slots - calendar.t1_slots == window
    assert calendar.open_slots - calendar.reveal_slots == window + (letter == "B")
    plain = market.calendar(SLOT_MS, 0, numbers, sealed=False, window=window)
    assert plain.open_slots - plain.t1_slots == window


def test_how_slow_a_machine_is_is_seen_while_the_nodes_load():
    assert slowness_of(loads(4), 2) == 100
    assert slowness_of(loads(4, waited=3), 2) == 300, "others took two thirds of the time"
    assert slowness_of(loads(4, work_ms=400), 2) == 200, "slower processors"
    assert slowness_of(loads(4, work_ms=400, waited=2), 2) == 400
    assert slowness_of(loads(4, work_ms=100), 2) == 100, "a quicker machine plays as the usual one"
    assert slowness_of(loads(1), 2) == 100
    assert slowness_of(loads(4, waited=90), 2) == 2_000
    # What loading had to do does not matter: without kept programs every node compiles for another second and a half.
    assert slowness_of([Loaded(5_000, 2_500, 200)] * 4, 2) == 100


def paced(monkeypatch, options, loaded):
    monkeypatch.setattr(loading.os, "cpu_count", lambda: 2)
    market = market_of(options.market)
    street = market.residents(load())
    return loading.pace_of(options, market, street, market.plan(street, "2016-06-14"), loaded)


def test_a_machine_that_is_too_slow_gets_time_instead_of_late_orders(monkeypatch):
    quick, slow = (paced(monkeypatch, DemoOptions(), loads(4, waited=waited)) for waited in (1, 8))
    assert quick.lead_ms / 1000 + (25 + 2 * quick.window) * quick.slot_s <= 18
    assert slow.lead_ms > 3 * quick.lead_ms
    assert slow.slot_s > 1.8 * quick.slot_s


def test_a_run_with_one_window_opens_it_with_time_to_spare(monkeypatch):
    """On a quick machine nodes were ready after 5.5 s, and the only day of market A had closed after 5.2 s."""
    leads = {letter: paced(monkeypatch, DemoOptions(market=letter), loads(4)).lead_ms for letter in ("A", "B")}
    assert leads["A"] > leads["B"] + 2_000, leads


@pytest.mark.parametrize("engine", ["solo", "bft", "dpos"])
@pytest.mark.parametrize("letter", MARKETS)
def test_processes_load_the_contracts_that_genesis_installs(tmp_path, letter, engine):
    options, market = DemoOptions(market=letter, engine=engine), market_of(letter)
    assert options.start == 0, "its first window opens the day before"
    street = market.residents(load())
    stage = demo_module.found(options, street, Pace(3_000, 1_500), tmp_path)
    genesis = load_genesis(stage.layout.nodes[0].home / "genesis.json")
    assert sorted(contracts_of(options, market)) == sorted(one.name for one in genesis.contracts)


def test_who_withholds_in_dpos_can_be_elected_again():
    """The street's four producers are customers of four of five validators; the fifth never scores."""
    members = load().members
    assert with_sellers(members, ("a", "b", "c", "d", "e")) == {"a", "b", "d", "e"}
    assert with_sellers(members[:3], ("a", "b")) == frozenset()


class Council:
    """What the contract shows until somebody is barred, then, and afterwards; any view may be asked."""

    def __init__(self, nodes) -> None:
        self.nodes = nodes
        self.withheld = ""

    async def view(self, contract: str, view: str):
        assert contract == "council"
        self.withheld = self.withheld or next((n.name for n in self.nodes if (n.home / "withhold").exists()), "")
        match view:
            case "queue":
                return {"epoch": 3, "queue": ["a", "b", "c", "d"]}
            case "bars":
                return [{"validator": self.withheld, "cause": "turn", "view": 2, "epoch": 2}] if self.withheld else []
        return [{"name": name, "score": 0, "votes": 0, "key": name} for name in ("a", "b", "c", "d")]


@pytest.mark.asyncio
@pytest.mark.parametrize(("scoring", "victim"), [({"c", "d"}, "c"), ({"e"}, "a"), (set(), "a")])
async def test_the_producer_that_withholds_is_one_that_scores(tmp_path, scoring, victim):
    nodes = make_network(NetworkPlan(tmp_path / "net", "dev-x", "dpos", ("a", "b", "c", "d"))).nodes
    council = Council(nodes)
    failure = Withholding([council] * 4, nodes, frozenset(scoring))
    await failure.play(Progress("x", "dpos", "2016-06-14", 0, 1, 17, 1, []), lambda line: None)
    assert f"{victim} withholds" in failure.told[0]
    assert f"{victim} sits again" in failure.told[2]
    assert not any((node.home / "withhold").exists() for node in nodes)


@pytest.mark.asyncio
async def test_held_processes_say_what_loading_took_and_are_gone_if_nobody_needs_them(tmp_path):
    with Held.open(tmp_path, ["one"], ["tariffs"]) as held:
        (loaded,) = await held.loaded()
        assert 0 < loaded.work_ms < loaded.cpu_ms
        (process,) = held._waiting.values()
        assert held.begin(tmp_path / "another", {}) is None
    assert process.poll() is not None
    assert (tmp_path / "one" / "node.log").read_bytes() == b""


@pytest.mark.asyncio
async def test_a_process_that_cannot_load_is_told_with_its_last_words(tmp_path):
    with (
        Held.open(tmp_path, ["one"], ["no such contract"]) as held,
        pytest.raises(HeldError, match="one ended before it was loaded") as caught,
    ):
        await held.loaded()
    assert "no such library contract" in str(caught.value.found)


@pytest.mark.parametrize(
    ("options", "nodes", "start"),
    [
        (DemoOptions(), 4, 0),
        (DemoOptions(engine="solo"), 1, 0),
        (DemoOptions(slots=8), 4, 44),
        (DemoOptions(slots=8, first_slot=20, validators=7), 7, 20),
    ],
)
def test_options(options, nodes, start):
    check_options(options)
    assert (options.nodes, options.start) == (nodes, start)


@pytest.mark.parametrize(
    "options",
    [
        DemoOptions(slots=0),
        DemoOptions(slots=97),
        DemoOptions(slots=2, first_slot=95),
        DemoOptions(slots=2, first_slot=-1),
        DemoOptions(engine="dpos-paper"),
        DemoOptions(engine="solo", validators=2),
        DemoOptions(validators=0),
        DemoOptions(validators=200),
        DemoOptions(speed=0),
        DemoOptions(speed=HIGHEST_SPEED + 1),
        DemoOptions(speed=10_000_000),
    ],
)
def test_bad_options_say_what_was_expected(options):
    with pytest.raises(GridchainError) as caught:
        check_options(options)
    assert caught.value.expected is not None


@pytest.mark.parametrize(("nodes", "possible"), [(1, False), (2, False), (3, True), (4, True), (7, True)])
def test_a_validator_is_killed_only_where_a_quorum_stays(nodes, possible):
    assert Incident.possible(nodes) is possible


def first_trade_slots(street, plan, numbers, *, sealed=True, window=2):
    market = market_of("C")
    calendar = market.calendar(SLOT_MS, 0, numbers, sealed=sealed, window=window)
    return market.first_trade(street, plan, numbers, calendar)


def trade_slots(street, plan, numbers):
    """The same by the slots of a window."""
    return lambda window: first_trade_slots(street, plan, numbers, window=window)


def progress(letter: str = "C") -> Progress:
    nodes = [NodeLine(name, "http://127.0.0.1:1") for name in ("bureau", "grid")]
    market = market_of(letter)
    return Progress("demo-1-2", "bft", "2016-06-14", 44, 8, 17, 2250, nodes, letter, market.columns)


def text_of(shown) -> str:
    console = Console(record=True, width=130, file=StringIO())
    console.print(shown)
    return console.export_text()


def test_the_page_shows_day_nodes_trades_energy_and_money():
    seen = progress()
    assert seen.market_slot == 44
    seen.opened = 50
    seen.settled, seen.trades, seen.traded_wh, seen.traded_money = 2, 1, 1500, 825_000
    seen.last_trades.append(TradeLine(46, ("2", "roof", "shop", "1500 Wh", "0.550")))
    seen.notes.append("11:30  grid was killed")
    seen.nodes[1].state = "down"
    shown = text_of(page(seen))
    for part in ("11:30", "25 %", "1.5 kWh in 1 trades", "0.550", "0.83", "roof", "shop", "down", "grid was killed"):
        assert part in shown


ADDRESS = "0x" + "ab" * 32
PAIR = {"seller": ADDRESS, "buyer": ADDRESS, "wh": 1500, "price": 550_000, "money": 825_000}
TRADES = {
    "A": {"producer": ADDRESS, "prosumer": ADDRESS, "wh": 1500, "price": 550_000, "surplus": True},
    "B": {**PAIR, "quotation": 1234},
    "C": {**PAIR, "stage": 2},
    "D": {"order": 1234, "provider": ADDRESS, "user": ADDRESS, "wh": 1500, "price": 550_000, "fee": 3, "path": [1, 2]},
}


@pytest.mark.parametrize("letter", MARKETS)
def test_a_full_page_of_four_nodes_fits_a_terminal_of_80_by_24(letter):
    """A taller page leaves remains on the terminal, a wider one loses its last figures."""
    seen = progress(letter)
    cells = MARKETS[letter].show(TRADES[letter], {ADDRESS: "LV1.101 SGen 3"}).cells
    assert len(cells) + 1 == len(MARKETS[letter].columns)
    seen.nodes = [
        NodeLine(name, "http://127.0.0.1:8600", 213, 3, 12.0, "leader")
        for name in ("bureau", "grid", "notary", "trade")
    ]
    seen.on_the_way = 1234
    seen.settled, seen.trades, seen.traded_wh, seen.traded_money = 8, 694, 260_600, 143_580_000
    seen.use_wh, seen.generation_wh, seen.grid_sales_wh, seen.grid_purchases_wh = 389_100, 513_300, 199_900, 324_000
    for number in range(12):
        seen.last_trades.append(TradeLine(46, cells))
        seen.notes.append(f"note {number}")
    console = Console(record=True, width=80, file=StringIO(), soft_wrap=True)
    console.print(page(seen))
    lines = console.export_text().rstrip("\n").split("\n")
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    for part in ("0.45/0.67", "324.0 kWh", "note 11", "http://127.0.0.1:8600", "waiting 1234"):
        assert any(part in line for line in lines), part


def test_elections_push_no_incident_off_the_page_and_five_nodes_fit():
    seen = progress()
    seen.nodes = [
        NodeLine(name, "http://127.0.0.1:8600") for name in ("bureau", "grid", "notary", "trading", "member5")
    ]
    screen = Screen(Console(file=StringIO(), width=80), live=False)
    with screen.following(seen):
        screen.say(
            "09:00  bureau lost the turn of view 1 in epoch 12, 0.8 s later, and is barred from an election. So it is."
        )
        screen.say(seen.notes[0])
        for number in range(8):
            screen.mention(f"election of epoch {number}")
            seen.last_trades.append(TradeLine(46, ("1",)))
    console = Console(record=True, width=80, file=StringIO(), soft_wrap=True)
    console.print(page(seen))
    lines = console.export_text().rstrip("\n").split("\n")
    assert len(lines) < 24
    assert [line for line in lines if "election of" in line] == [
        line for line in lines if "election of epoch 7" in line
    ]
    assert sum("09:00  bureau lost" in line for line in lines) == 2


def test_a_screen_without_terminal_tells_a_line_an_hour():
    file = StringIO()
    screen = Screen(Console(file=file, width=200), live=False)
    seen = progress()
    with screen.following(seen):
        screen.update()
        assert file.getvalue() == ""
        for slot in (48, 49, 50, 53):
            seen.opened = slot
            screen.update()
            screen.update()
    screen.say("done")
    lines = file.getvalue().splitlines()
    assert [line[:5] for line in lines] == ["11:00", "12:15", "done"]


def test_small_texts():
    assert (time_of_day(0), time_of_day(95), time_of_day(41)) == ("00:00", "23:45", "10:15")
    assert (price(450_000), price(1_234_499), price(999_999)) == ("0.450", "1.234", "1.000")


def header(height: int, proposer: bytes) -> bytes:
    zero = bytes(32)
    return encode(Header(1, "c", 0, 0, height, 0, zero, 0, False, zero, 0, zero, zero, zero, zero, zero, proposer))


@dataclass
class BlockNode:
    """Serves blocks whose proposer is the node `height // 2 mod 4`."""

    name: str
    asked: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=lambda: [5])

    async def stored_block(self, height: int) -> StoredBlock:
        self.asked.append(height)
        return StoredBlock(header(height, bytes([height // 2 % 4]) * 32), b"", (), height, None, ())

    async def status(self):
        return SimpleNamespace(height=self.heights.pop(0) if len(self.heights) > 1 else self.heights[0])


@pytest.mark.asyncio
async def test_each_block_comes_from_a_node_that_did_not_propose_it():
    names = ["bureau", "grid", "notary", "trading"]
    nodes = [BlockNode(name) for name in names]
    network = SimpleNamespace(proposers={bytes([n]) * 32: name for n, name in enumerate(names)})
    blocks = await fetch_blocks(nodes, names, network, 40)
    assert [block.height for block in blocks] == list(range(1, 41))
    assert all(block.source != names[block.height // 2 % 4] for block in blocks)
    assert {block.source for block in blocks} == set(names)


@pytest.mark.asyncio
async def test_the_common_height_waits_for_the_slowest_and_not_for_ever():
    nodes = [BlockNode("a", heights=[9]), BlockNode("b", heights=[3, 5, 8, 9, 9])]
    assert await common_height(nodes, 8, 5) == 8
    with pytest.raises(GridchainError) as caught:
        await common_height([BlockNode("a", heights=[2])], 8, 0.15)
    assert caught.value.code == "NOT_LEVEL"


@dataclass
class StreamNode:
    """Tells events 1.. of one block each, and dies on demand; a dead one says nothing, like a real one."""

    up: bool = True
    told: int = 0

    async def status(self):
        if not self.up:
            raise Unreachable("down")
        return SimpleNamespace(height=9, peers=[], leader="", stopped_reason="")

    async def events(self, start: str):
        height = int(start.split(":")[0]) + (":" in start)
        while True:
            await asyncio.sleep(0.005)
            if self.up:
                self.told += 1
                yield EventSeen(f"{height}:0", height, 0, b"", "c", "E", {})
                height += 1

    async def outcomes(self, first: int):
        height = first
        while True:
            await asyncio.sleep(0.005)
            if self.up:
                yield height, [Outcome(b"%d" % height, height, True, "")]
                height += 1


@pytest.mark.asyncio
async def test_the_follower_goes_on_at_another_node_and_tells_nothing_twice(monkeypatch):
    monkeypatch.setattr(follow_module, "POLL_S", 0.02)
    nodes = [StreamNode(), StreamNode(), StreamNode(up=False)]
    events: list[int] = []
    outcomes: list[bytes] = []
    follower = Follower(
        nodes,
        on_event=lambda seen: events.append(seen.height),
        on_outcome=lambda seen: outcomes.append(seen.id),
        on_states=lambda states: None,
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        while len(events) < 5 or len(outcomes) < 5:
            await asyncio.sleep(0.005)
        nodes[0].up = False
        while nodes[1].told < 5 or len(outcomes) < 12:
            await asyncio.sleep(0.005)
        task.cancel()
    assert follower.moves == 1
    assert events == list(range(1, len(events) + 1))
    assert outcomes == [b"%d" % height for height in range(1, len(outcomes) + 1)]
