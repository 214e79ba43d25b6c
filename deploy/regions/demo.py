"""`gridchain demo --engine sharded`: one street in three regions, each with a market of its own; the rest is cleared
globally.

Everything of the first demo is used as it is: founding, processes, members, gateways, books and checks, once a region.
New is what lies between: the followed global chain, the incidents of the sharded engine, and the check across chains.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from contracts.library_crossing import Crossing
from contracts.library_sources import SHARDS
from deploy.audit import common_height
from deploy.card import Result
from deploy.cluster import Cluster
from deploy.day import DayRunner, Played
from deploy.demo import (
    CLIENT_TIMEOUT_S,
    LEVEL_TIMEOUT_S,
    Part,
    Stage,
    account_names,
    calendar_of,
    directory_of,
    judged,
    market_day,
    network_plan,
    progress_of,
    tariffs,
)
from deploy.demo_options import DemoOptions
from deploy.follow import Follower, NodeState
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import NetworkLayout, default_names
from deploy.loading import processes
from deploy.market.auction_books import AuctionBooks
from deploy.market.interface import Market
from deploy.market.roster import market_of
from deploy.neighbourhood import Neighbourhood, load
from deploy.network import NetworkPlan
from deploy.pace import Pace
from deploy.regions.audit import global_part, quiet
from deploy.regions.board import Board, BoardScreen, RegionLine, Voice
from deploy.regions.card import Across, RegionsResult
from deploy.regions.colluded import Colluded
from deploy.regions.collusion import COLLUDERS, Scene, collude
from deploy.regions.incidents import Incidents, write_switches
from deploy.regions.pace import HOUR_MS, pace_of_regions
from deploy.regions.street import HOURS, hourly, parted
from deploy.settlement_checker import Network
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.errors import ConfigError, GridchainError, InvariantBroken
from ledger.genesis import load_genesis
from ledger.shard_genesis import hosted_genesis
from node.client import Client, EventSeen
from node.keys import load_key

REGIONS: Final = 3
MEMBERS: Final = 4
CENTRES: Final = 4
BLOCK_MS: Final = 400
ONE_EPOCH: Final = 8_192
"""Views of a regional epoch: the checker follows one committee in one order, so the run has one epoch."""
LOCK_BLOCKS: Final = 20
"""An order waits elsewhere for longer than a region is cut off: what it missed is traded when it is back, and settled
again."""
STANDING_S: Final = 1.0
LIE_ABOUT: Final = 5
"""The record that the liar is asked to lie about."""


@dataclass(frozen=True, slots=True)
class Country:
    """What is ready before any process starts: the network, and a stage for each region."""

    options: DemoOptions
    market: Market
    layout: NetworkLayout
    stages: Mapping[str, Stage]
    centres: tuple[str, ...]
    pace: Pace
    liar: str
    colluding: str


async def play_regions(options: DemoOptions, screen: BoardScreen) -> RegionsResult:
    """Run the demo and return its checked result; no process is left, whatever happens. Raise `GridchainError`."""
    options = checked_options(options)
    market = market_of(options.market)
    street = hourly(market.residents(load(options.data)))
    names = [*default_names(CENTRES), *(name for one in default_regions(REGIONS, MEMBERS) for name in one.members)]
    with directory_of(options, screen) as directory, processes(options, market, directory, names) as held:
        screen.say(f"{len(names)} processes load a node; then their network is founded")
        pace = pace_of_regions(options, market, len(street.members), await held.loaded())
        country = found_regions(options, market, street, pace, directory)
        screen.say(f"chain {country.layout.chain_id}: {', '.join(country.stages)} and {len(country.centres)} centres")
        screen.say(f"an hour takes {pace.slot_s:.1f} s; the first window opens after {pace.lead_ms / 1000:.0f} s")
        started = time.monotonic()
        async with Cluster.open(country.layout, held=held) as cluster, _clients(country, cluster) as (centres, regions):
            screen.say(f"{len(cluster.nodes)} nodes ready after {time.monotonic() - started:.1f} s")
            board = _board(country, cluster)
            incidents = Incidents(cluster, centres, _homes(country, cluster), board, pace.slot_s)
            screen.show(board)
            try:
                played = await _day(country, (centres, regions), board, screen, incidents)
                screen.say("the day is over; what waits between the regions is settled")
                await quiet(centres, regions)
            finally:
                screen.end()
            judgement = await _judge(country, regions, played, started)
            screen.say("every region's chain is judged")
            colluded = None
            if options.kill:
                colluded = await collude(_scene(country, cluster), board, screen.say)
                await _quiet_again(centres, regions, colluded)
            return await _result(country, centres, judgement, incidents, started, colluded)


def checked_options(options: DemoOptions) -> DemoOptions:
    """The options as this demo takes them: hours. Raise `ConfigError`."""
    slots = min(options.slots, HOURS)
    first = (HOURS - slots) // 2 if options.first_slot is None else options.first_slot
    if options.market != "C" or options.validators is not None:
        raise ConfigError(
            "engine sharded trades market C between three regions of four and four centres",
            code="ENGINE_OPTIONS",
            expected="--market C, without --validators",
            found=f"market {options.market}, validators {options.validators}",
            fix="leave both away",
        )
    if slots < 1 or not 0 <= first <= HOURS - slots:
        raise ConfigError(
            "the hours leave the day",
            code="FIRST_SLOT",
            expected=f"--slots 1 .. {HOURS}, --first-slot 0 .. {HOURS - max(1, slots)}",
            found=f"{slots} from {first}",
            fix="choose others",
        )
    highest = HOUR_MS // (4 * BLOCK_MS)
    if options.speed is not None and not 1 <= options.speed <= highest:
        raise ConfigError(
            "no order could meet its window at this speed" if options.speed > 0 else "market time must run",
            code="SPEED",
            expected=f"1 .. {highest}: an hour takes as long as some blocks at least",
            found=options.speed,
            fix="leave --speed away: the demo then measures what this machine carries",
        )
    return replace(options, slots=slots, first_slot=first)


def found_regions(options: DemoOptions, market: Market, street: Neighbourhood, pace: Pace, directory: Path) -> Country:
    """Make keys, certificates and genesis; a stage for each region, with its part of the street."""
    regions = default_regions(REGIONS, MEMBERS)
    whole = network_plan(options, market, street, pace, directory)
    network = replace(
        whole,
        engine="sharded",
        names=tuple(default_names(CENTRES)),
        regions=regions,
        sharding=ShardSettings((), round_ms=_round_ms(pace), region_views=ONE_EPOCH),
        crossing=Crossing(blocks=LOCK_BLOCKS),
        lan=False,  # sixteen processes on a few cores answer like distant ones
        min_block_interval_ms=BLOCK_MS,
    )
    layout = make_network(network)
    liar, colluders = regions[0].members[-1], regions[1].members[:COLLUDERS]
    for node in layout.nodes:
        write_switches(node.home, LIE_ABOUT if node.name == liar else 0, colludes=node.name in colluders)
    genesis = load_genesis(layout.nodes[0].home / "genesis.json")
    number = {member.name: at for at, member in enumerate(street.members)}
    stages = {}
    for region, part in parted(street, [region.name for region in regions]).items():
        nodes = next(one.members for one in regions if one.name == region)
        chain_id = hosted_genesis(genesis, region).chain_id
        place = Part(region, chain_id, nodes, tuple(number[member.name] for member in part.members))
        stages[region] = _stage(options, market, part, (layout, network), pace, place)
    return Country(options, market, layout, stages, tuple(network.names), pace, liar, regions[1].name)


def _stage(
    options: DemoOptions,
    market: Market,
    street: Neighbourhood,
    made: tuple[NetworkLayout, NetworkPlan],
    pace: Pace,
    part: Part,
) -> Stage:
    layout, network = made
    plan = market.plan(street, options.day)
    return Stage(options, market, street, plan, layout, network, calendar_of(network), tariffs(), pace, part)


def _round_ms(pace: Pace) -> int:
    """Records are closed several times in a slot, so that fills come before delivery."""
    return max(1_000, int(pace.slot_s * 1000) // 3)


@asynccontextmanager
async def _clients(country: Country, cluster: Cluster) -> AsyncIterator[tuple[list[Client], dict[str, list[Client]]]]:
    """A client of the global chain for each centre, and one of its region's chain for each member."""
    async with AsyncExitStack() as stack:

        async def opened(name: str, chain: str) -> Client:
            node = next(node for node in cluster.nodes if node.name == name)
            return await stack.enter_async_context(Client.open(node.url, timeout_s=CLIENT_TIMEOUT_S, chain=chain))

        centres = [await opened(name, GLOBAL) for name in country.centres]
        yield (
            centres,
            {region: [await opened(name, region) for name in stage.names] for region, stage in country.stages.items()},
        )


def _homes(country: Country, cluster: Cluster) -> dict[str, list[int]]:
    """Places of each region's nodes in the cluster."""
    place = {node.name: at for at, node in enumerate(cluster.nodes)}
    return {region: [place[name] for name in stage.names] for region, stage in country.stages.items()}


def _board(country: Country, cluster: Cluster) -> Board:
    genesis = load_genesis(country.layout.nodes[0].home / "genesis.json")
    return Board(
        names={f"0x{one.public_key.hex()}": one.name for one in genesis.all_validators},
        chain_id=country.layout.chain_id,
        day=country.options.day,
        speed=country.pace.speed,
        regions={name: RegionLine(progress_of(stage, cluster)) for name, stage in country.stages.items()},
    )


async def _day(
    country: Country,
    clients: tuple[list[Client], dict[str, list[Client]]],
    board: Board,
    screen: BoardScreen,
    incidents: Incidents,
) -> dict[str, Played]:
    """All regions trade side by side; the global chain is followed; things go wrong on purpose."""
    centres, regions = clients
    options = country.options
    follower = _follower(country, centres, board, screen)
    async with asyncio.TaskGroup() as group:
        beside = [
            group.create_task(follower.run()),
            group.create_task(incidents.guard()),
            group.create_task(_standings(centres, board)),
        ]
        days = {}
        for name, stage in country.stages.items():
            line = board.regions[name]
            runner = DayRunner(
                country.market, market_day(stage), regions[name], line.progress, Voice(name, screen), watch=line.seen
            )
            days[name] = group.create_task(runner.run(None))
        acts = group.create_task(incidents.play(screen.say, options.start, options.slots)) if options.kill else None
        played = {name: await task for name, task in days.items()}
        if acts is not None:
            await acts
        for task in beside:
            task.cancel()
    return played


async def _standings(centres: Sequence[Client], board: Board) -> None:
    """Ask a centre how regions stand, for ever; the next one when it does not answer."""
    at = 0
    while True:
        try:
            rows = await centres[at % len(centres)].view(SHARDS, "regions")
            for row in rows if isinstance(rows, list) else []:
                if isinstance(row, dict) and row["region"] in board.regions:
                    board.regions[str(row["region"])].standing = str(row["standing"])
        except (GridchainError, TimeoutError):
            at += 1
        await asyncio.sleep(STANDING_S)


def _follower(country: Country, centres: Sequence[Client], board: Board, screen: BoardScreen) -> Follower:
    def states(found: Sequence[NodeState]) -> None:
        for name, state in zip(country.centres, found, strict=True):
            board.centres[name] = f"{state.height}" if state.up else "down"
        screen.update()

    def seen(event: EventSeen) -> None:
        text = board.seen(event)
        if text:
            screen.say(f"{board.time}  {text}")

    return Follower(centres, on_event=seen, on_outcome=lambda outcome: None, on_states=states)


def _scene(country: Country, cluster: Cluster) -> Scene:
    """Who plays the colluding region."""
    region, layout = country.colluding, country.layout
    stage = country.stages[region]
    nodes = {node.name: node for node in cluster.nodes}
    keys = [load_key(layout.key_file(account_names(number)[0])) for number in stage.keys]
    liars = [nodes[name].layout.home for name in stage.names[:COLLUDERS]]
    genesis = load_genesis(layout.nodes[0].home / "genesis.json")
    return Scene(
        region=region,
        nodes=tuple(nodes[name] for name in stage.names),
        centres=tuple(nodes[name] for name in country.centres),
        payers=tuple(keys),
        accomplices=tuple(load_key(home / "keys" / "account.key").address for home in liars),
        names={one.public_key: one.name for one in genesis.all_validators},
    )


async def _quiet_again(centres: Sequence[Client], regions: Mapping[str, Sequence[Client]], colluded: Colluded) -> None:
    """After the colluding region too: what regions hold is what the global chain has confirmed of them."""
    try:
        await quiet(centres, regions)
    except GridchainError as error:
        colluded.problems.append(str(error))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the check of each region's chain has found. `model`: the network of one, for its tariffs and market."""

    results: Mapping[str, Result]
    books: Mapping[str, AuctionBooks]
    model: Network


async def _judge(
    country: Country, regions: Mapping[str, Sequence[Client]], played: Mapping[str, Played], started: float
) -> Judgement:
    """Each region's chain is checked as any demo's."""
    results: dict[str, Result] = {}
    books: dict[str, AuctionBooks] = {}
    models: list[Network] = []
    for name, stage in country.stages.items():
        top = max([(await client.status()).height for client in regions[name]])
        height = await common_height(regions[name], top, LEVEL_TIMEOUT_S)
        found = await judged(stage, regions[name], replace(played[name], last_height=height), started, ())
        results[name] = found.result
        kept = found.verdict.books
        if not isinstance(kept, AuctionBooks):
            raise InvariantBroken("market C keeps the books of an auction")
        books[name] = kept
        models.append(found.network)
    return Judgement(results, books, models[0])


async def _result(
    country: Country,
    centres: Sequence[Client],
    judgement: Judgement,
    incidents: Incidents,
    started: float,
    colluded: Colluded | None,
) -> RegionsResult:
    """What lies between the regions is checked last, on the whole of the global chain."""
    document = country.layout.nodes[0].home / "genesis.json"
    books = judgement.books
    between = await global_part(centres, country.centres, document, judgement.model, books)
    return RegionsResult(
        chain_id=country.layout.chain_id,
        regions=judgement.results,
        across={name: _across(one) for name, one in books.items()},
        centres=between,
        wall_s=time.monotonic() - started,
        incidents=tuple(incidents.told),
        wrong=tuple(incidents.wrong),
        colluded=colluded,
    )


def _across(books: AuctionBooks) -> Across:
    positions = books.positions.values()
    taken, given = sum(one.taken for one in positions), sum(one.given for one in positions)
    return Across(books.crossings, taken, given, len(books.revised))
