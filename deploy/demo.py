"""`gridchain demo`: a consortium of real node processes through a day of a real neighbourhood.

The steps: read the data, make keys, certificates and genesis, start one process per validator, let the neighbourhood
join, trade slot by slot from committed events, kill one validator and bring it back, then check every block and add up.
Nothing here is a shortcut: founding, cluster, node, client and contracts are those of `init`, `cluster up`, `node run`.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts.library_sources import Calendar
from contracts.library_sources import Tariffs as GenesisTariffs
from deploy.audit import SlotTimes, common_height, fetch_blocks, network_of, proofs_hold, state_matches, state_roots
from deploy.books import Tariffs
from deploy.card import Orders, Result, Run, energy_of, money_of
from deploy.cluster import Cluster
from deploy.day import DayRunner, Played
from deploy.demo_options import DemoOptions, check_options
from deploy.founding import make_network
from deploy.gateway import Household, Signer
from deploy.incident import Incident
from deploy.layout import NetworkLayout, default_names
from deploy.loading import pace_of, processes
from deploy.market.interface import Desk, Market, MarketDay
from deploy.market.roster import market_of
from deploy.neighbourhood import Neighbourhood, Plan, load
from deploy.network import COMMUNITY, NetworkPlan
from deploy.outbox import Refusal
from deploy.pace import BLOCK_INTERVAL_MS, Pace
from deploy.screen import NodeLine, Progress, Screen
from deploy.settlement_checker import Network, Verdict, check
from deploy.withholding import ENVIRONMENT, Elections, Withholding, appointments, with_sellers
from ledger.errors import ConfigError
from ledger.objects import decode_transaction
from node.client import Client
from node.keys import load_key

LEVEL_TIMEOUT_S = 60.0
CLIENT_TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class Part:
    """One chain of several, and who is on it. `keys`: the numbers of its members' key files; `nodes`: who votes."""

    chain: str
    chain_id: str
    nodes: tuple[str, ...]
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """What is ready before any process starts. `part`: of a sharded network, whose regions have a stage each."""

    options: DemoOptions
    market: Market
    street: Neighbourhood
    plan: Plan
    layout: NetworkLayout
    network: NetworkPlan
    calendar: Calendar
    tariffs: Tariffs
    pace: Pace
    part: Part | None = None

    @property
    def names(self) -> list[str]:
        """Names of the nodes, in order."""
        return [node.name for node in self.layout.nodes] if self.part is None else list(self.part.nodes)

    @property
    def chain_id(self) -> str:
        """Of the chain that is traded on."""
        return self.layout.chain_id if self.part is None else self.part.chain_id

    @property
    def keys(self) -> tuple[int, ...]:
        """The numbers of the members' key files, in the order of the street."""
        return tuple(range(len(self.street.members))) if self.part is None else self.part.keys


async def play(options: DemoOptions, screen: Screen) -> Result:
    """Run the demo and return its checked result; no process is left, whatever happens.

    Raise `GridchainError`: bad options or data, a node that does not start, a market that stands still.
    """
    check_options(options)
    market = market_of(options.market)
    street = market.residents(load(options.data))
    plan = market.plan(street, options.day)
    with (
        directory_of(options, screen) as directory,
        processes(options, market, directory, default_names(options.nodes)) as held,
    ):
        screen.say(f"{options.nodes} processes load a node; then their network is founded")
        pace = pace_of(options, market, street, plan, await held.loaded())
        stage = found(options, street, pace, directory)
        layout = stage.layout
        screen.say(f"chain {layout.chain_id}, engine {options.engine}: {', '.join(stage.names)}")
        screen.say(f"market {market.letter} ({market.title})")
        screen.say(
            f"a slot of 15 minutes takes {pace.slot_s:.2f} s, a window {pace.window} slots; "
            f"the first one opens after {pace.lead_ms / 1000:.1f} s"
        )
        started = time.monotonic()
        elects = options.engine == "dpos"
        opened = Cluster.open(layout, environment=ENVIRONMENT if elects else None, held=held)
        async with opened as cluster, connect(cluster) as clients:
            screen.say(f"all nodes ready after {time.monotonic() - started:.1f} s; {clients[0].url}")
            incident = _incident(stage, cluster, clients)
            shown = options.kill and Incident.possible(len(clients))
            if options.kill and not shown:
                screen.say("no validator is killed in this run: the others would not be a quorum without it")
            progress = progress_of(stage, cluster)
            elections = Elections(tuple(stage.names), screen.mention)
            scoring = with_sellers(street.members, stage.names)
            failure = Withholding(clients, layout.nodes, scoring) if elects else incident
            watch = elections.seen if elects else None
            runner = DayRunner(market, market_day(stage), clients, progress, screen, incident.guard, watch)
            with screen.following(progress):
                played = await runner.run((lambda: failure.play(progress, screen.say)) if shown else None)
            played.council = await elections.facts(clients[0]) if elects else ()
            return await judge(stage, clients, played, started, tuple(failure.told))


@contextmanager
def directory_of(options: DemoOptions, screen: Screen) -> Iterator[Path]:
    """Where the network lies; says what becomes of it."""
    if options.directory is not None:
        screen.say(f"data in {options.directory}, kept at the end (gridchain cluster up {options.directory})")
        yield options.directory
        return
    with tempfile.TemporaryDirectory(prefix="gridchain-demo-") as temporary:
        screen.say(f"data in {temporary}, removed at the end (keep it with --keep DIR)")
        yield Path(temporary)


def found(options: DemoOptions, street: Neighbourhood, pace: Pace, directory: Path) -> Stage:
    """Make keys, certificates and genesis."""
    market = market_of(options.market)
    network = network_plan(options, market, street, pace, directory)
    plan, layout = market.plan(street, options.day), make_network(network)
    return Stage(options, market, street, plan, layout, network, calendar_of(network), tariffs(), pace)


def calendar_of(network: NetworkPlan) -> Calendar:
    """The slots that `network_plan` has named."""
    if network.calendar is None:
        raise ConfigError("a demo names its slots", code="SLOTS", expected="a calendar", found=None, fix="name them")
    return network.calendar


def network_plan(
    options: DemoOptions, market: Market, street: Neighbourhood, pace: Pace, directory: Path
) -> NetworkPlan:
    """What to found. The first window opens when nodes and members are expected to be there."""
    sealed = not options.published
    numbers = range(options.start, options.start + options.slots)
    calendar = market.calendar(pace.slot_ms, midnight_ms(options.day), numbers, sealed=sealed, window=pace.window)
    opens_ms = calendar.slot0_ms + (calendar.first_slot - calendar.open_slots) * pace.slot_ms
    return NetworkPlan(
        directory=directory,
        chain_name=f"demo-{secrets.token_hex(2)}",
        engine=options.engine,
        names=tuple(default_names(options.nodes)),
        speed=pace.speed,
        genesis_time_ms=time.time_ns() // 1_000_000,
        origin_ms=opens_ms - pace.speed * pace.lead_ms,
        calendar=calendar,
        tariffs=GenesisTariffs(),
        mode=market.mode(sealed=sealed, slots=options.slots),
        min_block_interval_ms=BLOCK_INTERVAL_MS if options.engine in ("bft", "dpos") else None,
        accounts=tuple(name for number in range(len(street.members)) for name in account_names(number)),
    )


def account_names(number: int) -> tuple[str, str]:
    """Names of a member's key files: the owner's and the meter's."""
    return f"member{number + 1:03}", f"member{number + 1:03}-meter"


def midnight_ms(day: str) -> int:
    """The data's local time has no zone; the market's calendar reads it as UTC."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def tariffs() -> Tariffs:
    """What the grid company asks and pays: the genesis defaults."""
    return Tariffs(feed=GenesisTariffs().feed, retail=GenesisTariffs().retail)


@asynccontextmanager
async def connect(cluster: Cluster) -> AsyncIterator[list[Client]]:
    """A client for each node."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Client.open(node.url, timeout_s=CLIENT_TIMEOUT_S)) for node in cluster.nodes
        ]


def _incident(stage: Stage, cluster: Cluster, clients: Sequence[Client]) -> Incident:
    """The third node, away for a tenth of the day."""
    away_s = max(1.5, stage.options.slots * stage.pace.slot_s / 10)
    return Incident(cluster, clients, min(2, len(clients) - 1), away_s)


def progress_of(stage: Stage, cluster: Cluster) -> Progress:
    """What the screen shows before anything has happened."""
    options, names = stage.options, stage.names
    return Progress(
        chain_id=stage.chain_id,
        engine=options.engine,
        day=options.day,
        first_slot=options.start,
        slots=options.slots,
        members=len(stage.street.members),
        speed=stage.pace.speed,
        nodes=[NodeLine(node.name, node.url) for node in cluster.nodes if node.name in names],
        market=stage.market.letter,
        columns=stage.market.columns,
        ahead=stage.market.signals.ahead or stage.calendar.open_slots,
        slot_ms=stage.calendar.slot_ms,
    )


def market_day(stage: Stage) -> MarketDay:
    """The day with the keys that its members and institutions sign by."""

    def signer(name: str) -> Signer:
        return Signer(load_key(stage.layout.key_file(name)), stage.chain_id)

    households = []
    for number, member in zip(stage.keys, stage.street.members, strict=True):
        owner, meter = account_names(number)
        households.append(Household(member, signer(owner), signer(meter)))
    elects = stage.options.engine == "dpos"
    return MarketDay(
        after_joining=tuple(appointments(households, stage.names)) if elects else (),
        street=stage.street,
        plan=stage.plan,
        households=tuple(households),
        desk=Desk(signer("energy_bureau"), signer("grid_company"), signer("trading_center"), signer(COMMUNITY).address),
        tariffs=stage.tariffs,
        calendar=stage.calendar,
        sealed=not stage.options.published,
        first_slot=stage.options.start,
        slots=stage.options.slots,
        genesis_ms=stage.network.genesis_time_ms or 0,
        origin_ms=stage.network.origin_ms or 0,
        speed=stage.pace.speed,
        seed=stage.options.seed,
    )


async def _network(stage: Stage, client: Client) -> Network:
    """What the check starts from."""
    layout = stage.layout
    slot_times = SlotTimes(midnight_ms(stage.options.day), stage.calendar.slot_ms)
    grid, community = (bytes.fromhex(layout.account(name).address[2:]) for name in ("grid_company", COMMUNITY))
    document = layout.nodes[0].home / "genesis.json"
    chain = "" if stage.part is None else stage.part.chain
    return await network_of(document, client, grid, stage.tariffs, slot_times, community, chain)


def _all_orders(market: Market, committed: Orders, refused: Sequence[Refusal]) -> Orders:
    """The orders in blocks and those that a node refused, which are in none."""
    orders = committed
    for refusal in refused:
        body = decode_transaction(refusal.raw).body
        if market.counts(body.contract, body.entry, failed=True):
            orders = orders.after(refusal.code)
    return orders


@dataclass(frozen=True, slots=True)
class Judged:
    """A checked run with what it was checked by."""

    result: Result
    verdict: Verdict
    network: Network


async def judge(
    stage: Stage, clients: Sequence[Client], played: Played, started: float, incidents: tuple[str, ...]
) -> Result:
    """The checked figures of a run."""
    return (await judged(stage, clients, played, started, incidents)).result


async def judged(
    stage: Stage, clients: Sequence[Client], played: Played, started: float, incidents: tuple[str, ...]
) -> Judged:
    """Level all nodes, read every block from a node that did not propose it, and add up."""
    options, names = stage.options, stage.names
    height = await common_height(clients, played.last_height, LEVEL_TIMEOUT_S)
    roots = await state_roots(clients, names, height)
    network = await _network(stage, clients[0])
    blocks = await fetch_blocks(clients, names, network, height)
    numbers = range(options.start, options.start + options.slots)
    verdict = check(network, blocks, numbers)
    books, market = verdict.books, stage.market
    proofs, unproven = await proofs_hold(clients, network.genesis_hash, books, numbers)
    in_state = await state_matches(clients[height % len(clients)], market, books, numbers, height)
    problems = [*verdict.problems, *in_state, *unproven]
    if len({row.state_root for row in roots}) != 1:
        problems.append(f"the nodes' state roots at height {height} differ")
    run = Run(
        chain_id=stage.chain_id,
        engine=options.engine,
        market=stage.market,
        nodes=roots,
        day=options.day,
        first_slot=options.start,
        slots=options.slots,
        seed=options.seed,
        speed=stage.pace.speed,
        forecast=stage.plan.forecast_rule.value,
        members=len(stage.street.members),
        sealed=network.sealed,
        first_trade_s=None if played.first_trade_at is None else played.first_trade_at - started,
        wall_s=time.monotonic() - started,
        latencies_ms=tuple(played.latencies_ms),
        incidents=incidents,
        council=played.council,
        proofs=proofs,
        unposted=played.unposted,
    )
    result = Result(
        run=run,
        orders=_all_orders(stage.market, verdict.orders, played.refused),
        trades=verdict.books.trades,
        estimated=verdict.estimated,
        energy=energy_of(verdict.books),
        money=money_of(verdict.books),
        blocks=verdict.blocks,
        transactions=verdict.transactions,
        problems=tuple(problems),
        figures=verdict.books.facts(),
        missed=verdict.books.missed(numbers),
    )
    return Judged(result, verdict, network)
