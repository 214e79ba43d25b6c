"""The pure parts of the demo in regions: the street cut up, the board, the card, options."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console, RenderableType

from contracts.library_sources import AuctionMode
from deploy.card import Energy, Money, NodeRow, Orders, Result, Run
from deploy.cluster import Cluster, ClusterNode
from deploy.demo_options import DemoOptions
from deploy.layout import NodeLayout
from deploy.loading import contracts_of
from deploy.market.roster import market_of
from deploy.neighbourhood import DataError, Neighbourhood, Side, load
from deploy.pace import Pace
from deploy.regions.audit import GlobalPart
from deploy.regions.board import Board, RegionLine, line_of, page
from deploy.regions.card import Across, RegionsResult, regions_json, render_regions
from deploy.regions.colluded import Colluded
from deploy.regions.collusion import COLLUDE, Scene, collude
from deploy.regions.demo import checked_options, found_regions
from deploy.regions.incidents import SEVERED, Incidents
from deploy.regions.pace import HOUR_MS
from deploy.regions.street import HOURS, hourly, parted
from deploy.screen import NodeLine, Progress
from ledger.genesis import load_genesis
from node.client import EventSeen
from node.config import load_config

NAMES = ("north", "south", "east")


@pytest.fixture(scope="module")
def street() -> Neighbourhood:
    return load()


def test_hours_hold_what_their_quarters_held(street: Neighbourhood) -> None:
    found = hourly(street)
    for day, members in street.energy.items():
        for name, quarters in members.items():
            hours = found.energy[day][name]
            assert len(hours) == HOURS
            assert sum(hours) == sum(quarters)
            assert hours[12] == sum(quarters[48:52])
    assert found.members == street.members


def test_every_member_lives_in_one_region_and_every_region_has_both_sides(street: Neighbourhood) -> None:
    parts = parted(street, NAMES)
    assert tuple(parts) == NAMES
    everybody = [member for part in parts.values() for member in part.members]
    assert sorted(member.name for member in everybody) == sorted(member.name for member in street.members)
    for part in parts.values():
        assert {member.side for member in part.members} == set(Side)
        places = [street.members.index(member) for member in part.members]
        assert places == sorted(places)
    assert max(len(part.members) for part in parts.values()) <= len(street.members) // 3 + 2


def test_a_street_with_too_few_plants_has_not_so_many_regions(street: Neighbourhood) -> None:
    with pytest.raises(DataError) as caught:
        parted(street, tuple(f"r{n}" for n in range(5)))
    assert "4 of generation" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "slots", "first"),
    [(DemoOptions(), 24, 0), (DemoOptions(slots=4), 4, 10), (DemoOptions(slots=6, first_slot=18), 6, 18)],
)
def test_options_are_hours(options: DemoOptions, slots: int, first: int) -> None:
    found = checked_options(replace(options, engine="sharded"))
    assert (found.slots, found.start) == (slots, first)


@pytest.mark.parametrize(
    "options",
    [
        DemoOptions(slots=0),
        DemoOptions(slots=4, first_slot=21),
        DemoOptions(market="B"),
        DemoOptions(validators=7),
        DemoOptions(speed=0),
    ],
)
def test_bad_options_say_what_was_expected(options: DemoOptions) -> None:
    with pytest.raises(Exception, match=r".+") as caught:
        checked_options(replace(options, engine="sharded"))
    assert getattr(caught.value, "expected", None) is not None


def test_founding_gives_each_region_its_chain_and_households(street: Neighbourhood, tmp_path: Path) -> None:
    options = checked_options(DemoOptions(engine="sharded", slots=4))
    country = found_regions(options, market_of("C"), hourly(street), Pace(60_000, 400, HOUR_MS), tmp_path / "net")
    assert tuple(country.stages) == NAMES
    assert len(country.layout.nodes) == 16
    genesis = load_genesis(country.layout.nodes[0].home / "genesis.json")
    assert set(contracts_of(options, market_of("C"))) == {one.name for one in genesis.contracts}
    chains = {stage.chain_id for stage in country.stages.values()}
    assert len(chains) == 3
    assert country.layout.chain_id not in chains
    keys = sorted(key for stage in country.stages.values() for key in stage.keys)
    assert keys == list(range(len(street.members)))
    for stage in country.stages.values():
        assert len(stage.names) == 4
        assert stage.calendar.slot_ms == HOUR_MS
        assert isinstance(stage.network.mode, AuctionMode)
        assert stage.pace.slot_s == 9.0
    liars, colluders = [], []
    for node in country.layout.nodes:
        config = load_config(node.home, environment={})
        assert config.dev.severed == SEVERED
        if config.dev.lie_about_record:
            liars.append(node.name)
        if config.dev.collude_from:
            assert config.dev.collude_when == COLLUDE
            colluders.append(node.name)
    assert liars == [country.liar]
    assert colluders == list(country.stages[country.colluding].names[:3])


# --- board ------------------------------------------------------------------------------------------------------------


def progress(name: str, opened: int | None = None) -> Progress:
    return Progress(
        chain_id=name, engine="sharded", day="2016-06-14", first_slot=10, slots=4, members=5, speed=400,
        nodes=[NodeLine(f"{name}1", "http://x", height=7, state="ok"), NodeLine(f"{name}2", "http://y", state="down")],
        slot_ms=HOUR_MS, opened=opened, ahead=6,
    )  # fmt: skip


def event(contract: str, name: str, height: int = 9, **data: Any) -> EventSeen:
    return EventSeen("1", height, 0, b"", contract, name, data)


def board() -> Board:
    return Board("demo-x", "2016-06-14", 400, {name: RegionLine(progress(name, 18)) for name in NAMES})


def shown(board: Board) -> str:
    return printed(page(board))


def printed(what: RenderableType, width: int = 130) -> str:
    console = Console(width=width, record=True, file=StringIO(), soft_wrap=True)  # as commands print
    console.print(what)
    return console.export_text()


def test_the_board_counts_what_crosses_and_what_is_confirmed() -> None:
    one = board()
    line = one.regions["north"]
    line.seen(event("crossing", "Locked", side="buy"))
    line.seen(event("crossing", "Locked", side="buy"))
    line.seen(event("crossing", "Elsewhere", side="buy", wh=700, ended=True))
    line.seen(event("crossing", "Elsewhere", side="sell", wh=300, ended=False))
    line.seen(event("crossing", "Returned", side="buy"))
    line.seen(event("double_auction", "Corrected"))
    assert (line.open, line.fills, line.bought_wh, line.sold_wh, line.resettled) == (0, 2, 700, 300, 1)
    assert one.seen(event("shards", "Confirmed", region="north", seq=4)) == ""
    assert (line.records, line.at, one.height) == (4, 9, 9)
    told = one.seen(event("shards", "Fined", region="north", seq=5, offence="lying", fine=10_000_000))
    assert told == "a member of north loses 10.000000 of its deposit for lying, record 5"
    one.names = {"0xaa": "north4"}
    told = one.seen(
        event("shards", "Fined", region="north", member="0xaa", seq=6, offence="double-vote", fine=1_500_000)
    )
    assert told == line.fines[-1] == "north4 of north loses 1.500000 of its deposit for voting twice, record 6"
    assert "corrected by the centres: W2" in one.seen(event("shards", "Corrected", region="south", seq=3, kind="W2"))
    assert "begins anew" in one.seen(event("shards", "EpochOpened", region="south", epoch=2, reason="corrected W2"))
    assert one.seen(event("token", "Deposited")) == ""
    text = shown(one)
    assert "12:00" in text
    assert "current, 1/2 up" in text
    assert "north 0/4 home 0.0 kWh across +0.7 kWh -0.3 kWh rec 4" in line_of(one)


def test_who_waits_for_the_board_is_told() -> None:
    async def waits() -> tuple[bool, bool]:
        one = board()
        one.notes.append("x")
        asyncio.get_running_loop().call_later(0.01, one.moved.set)
        return await one.until(lambda: len(one.notes) == 1, 5), await one.until(lambda: len(one.notes) == 2, 0.01)

    assert asyncio.run(waits()) == (True, False)


@pytest.mark.parametrize(("opened", "settled", "waits"), [(15, 0, False), (14, 0, True), (None, 4, False)])
def test_incidents_wait_for_a_share_of_the_windows_and_never_for_one_that_does_not_open(
    opened: int | None, settled: int, waits: bool
) -> None:
    """Of 8 hours from 9 on the windows of 9 to 18 open, and with the last of them there is nothing to wait for."""

    async def waiting() -> bool:
        one = board()
        for line in one.regions.values():
            line.progress.opened, line.progress.settled = opened, settled
        incidents = Incidents(cast(Cluster, None), [], {}, one, 9.0)
        try:
            async with asyncio.timeout(0.05):
                await incidents.until(9, 8 if settled == 0 else settled, 77)
        except TimeoutError:
            return True
        return False

    assert asyncio.run(waiting()) is waits


@pytest.mark.parametrize("lied", [True, False])
def test_what_becomes_of_a_liar_is_told_and_a_day_without_a_lie_ends(lied: bool) -> None:
    async def told() -> list[str]:
        one, said = board(), []
        incidents = Incidents(cast(Cluster, None), [], {}, one, 9.0)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(incidents._lied("north", 4, said.append))
            await asyncio.sleep(0)
            if lied:
                one.seen(event("shards", "Fined", region="north", seq=5, offence="lying", fine=10_000_000))
                one.moved.set()
                await asyncio.sleep(0.01)
                one.seen(event("shards", "Confirmed", region="north", seq=5))
            else:
                one.regions["north"].progress.settled = 4
            one.moved.set()
        assert incidents.wrong == []
        return said

    said = asyncio.run(told())
    if lied:
        assert said[0].startswith("a member of north loses 10.000000 of its deposit for lying, record 5")
        assert said[1] == "north goes on: another member publishes, record 5 is confirmed."
    else:
        assert said == ["nobody of north lied: whoever would have was not asked to publish a record."]


# --- card -------------------------------------------------------------------------------------------------------------


def result(problems: tuple[str, ...] = (), centre: tuple[str, ...] = ()) -> RegionsResult:
    regions = {}
    for name in NAMES:
        run = Run(
            chain_id=f"demo-{name}", engine="sharded", market=market_of("C"), nodes=(NodeRow(f"{name}1", 9, "aa"),),
            day="2016-06-14", first_slot=10, slots=4, seed=7, speed=400, forecast="previous_day", members=5,
            sealed=True, first_trade_s=30.0, wall_s=100.0, latencies_ms=(5.0, 9.0), proofs=4,
        )  # fmt: skip
        regions[name] = Result(
            run, Orders(accepted=8), 3, 0, Energy(10_000, 8_000, 2_000, 4_000, 2_500, 5_000),
            Money(900, 1_000, 700, 1_200, 5_000_000, 4_000_000), 90, 200, problems if name == "south" else (),
        )  # fmt: skip
    fined = ({"region": "north", "seq": 5, "offence": "lying", "fine": 10_000_000, "member": b""},)
    centres = GlobalPart(
        (NodeRow("bureau", 40, "bb"),), 40, 60, dict.fromkeys(NAMES, 12), 0, fined, 11_000_000, 3_000_000, centre
    )
    across = {"north": Across(4, 700, 0, 1), "south": Across(1, 0, 100, 0), "east": Across(3, 0, 600, 0)}
    return RegionsResult("demo-x", regions, across, centres, 200.0, ("13:00  east is back",), ())


def test_the_document_adds_up_over_regions() -> None:
    found = regions_json(result())
    assert (found["conserved"], found["problems"], found["validators"], found["trades"]) == (True, [], 4, 9)
    assert found["money_micro"]["tokens_minted"] == 15_000_000
    assert found["across"]["north"] == {"fills": 4, "bought_wh": 700, "sold_wh": 0, "resettled": 1}
    assert found["global"]["records"] == {"north": 12, "south": 12, "east": 12}
    assert found["global"]["fined"] == [{"region": "north", "seq": 5, "offence": "lying", "fine": 10_000_000}]
    assert set(found["regions"]) == set(NAMES)
    assert found["regions"]["east"]["proofs"] == 4
    assert found["proofs"] == 12


def test_a_complaint_of_one_region_is_one_of_the_whole() -> None:
    one = result(problems=("slot 3 is wrong",), centre=("regions gave 5 Wh",))
    assert one.problems == ("south: slot 3 is wrong", "regions gave 5 Wh")
    assert not one.conserved
    assert regions_json(one)["conserved"] is False
    console = Console(width=130, record=True, file=StringIO())
    console.print(render_regions(one))
    assert "NOT CONSERVED: 2 complaints" in console.export_text()


def test_the_card_shows_every_region() -> None:
    console = Console(width=130, record=True, file=StringIO())
    console.print(render_regions(result()))
    text = console.export_text()
    for name in NAMES:
        assert name in text
    assert "money conserved over all regions" in text
    assert "1 fined, 0 records corrected" in text
    assert "east is back" in text


def test_page_and_card_fit_eighty_columns() -> None:
    """Also where output is no terminal. The chain's name is as long as that of a demo."""
    one = board()
    one.chain_id = "demo-b8fe-bd03c3e0819473e97765b92c6fac0dea"
    one.centres = dict.fromkeys(("bureau", "grid", "notary", "trading"), "1312")
    for line in one.regions.values():
        line.progress.traded_wh, line.progress.trades = 144_300, 261
        line.records, line.at, line.bought_wh, line.standing = 123, 1312, 123_400, "current"
    told = "10:00  north4 of north loses 10.000000 of its deposit for lying, record 5: it is not what north certified."
    card = printed(render_regions(replace(result(), incidents=(told,))), 80)
    assert told.split() == card.replace("│", " ").split()[-len(told.split()) - 1 : -1], "whole, in two lines"
    for text in (printed(page(one), 80), card):
        assert "…" not in text
        assert all(name in text for name in NAMES)
        assert len(text.splitlines()) < 33
    one.notes.extend(["south1 of south withholds its blocks and records (SIGSTOP). Its turns pass to the others."] * 9)
    assert len(printed(page(one), 80).splitlines()) < 24


def test_what_became_of_a_colluding_region_is_shown_and_what_is_wrong_with_it_counts() -> None:
    found = Colluded(
        "south", ("south1",), epoch=2, served_s=3.14, fined=[("south1", "colluding", 5)], told=["+ 1.0 s  so"]
    )
    one = replace(result(), colluded=found)
    document = regions_json(one)
    assert document["conserved"] is True
    assert document["incidents"] == ["13:00  east is back", "+ 1.0 s  so"]
    assert document["collusion"]["served_s"] == 3.1
    assert document["collusion"]["fined"] == [{"name": "south1", "offence": "colluding", "fine": 5}]
    console = Console(width=130, record=True, file=StringIO())
    console.print(render_regions(one))
    assert "epoch 2 served by all 3.1 s later" in " ".join(console.export_text().replace("│", " ").split())
    found.problems.append("an account has more")
    assert regions_json(one)["problems"] == ["an account has more"]
    assert regions_json(result())["collusion"] is None


def test_a_region_that_does_not_answer_is_a_complaint_and_no_hang(tmp_path: Path) -> None:
    """Nobody listens at port 1."""
    nodes = tuple(ClusterNode(NodeLayout(f"south{at}", tmp_path, "127.0.0.1", 1, 1, "", "")) for at in range(1, 5))
    said: list[str] = []
    found = asyncio.run(collude(Scene("south", nodes, nodes, (), (), {}), board(), said.append))
    assert any("127.0.0.1:1" in one for one in found.problems), found.problems
    assert "the colluding region south: nothing was corrected" in found.problems
    assert len(said) == len(found.problems)
    assert not (tmp_path / COLLUDE).exists()
