"""`gridchain bench scaling` with real processes: bursts of orders on a network of regions and on one region of all.

Both sides run the same number of node processes on this machine, with the same four centres. An order is final when
every centre has shown the global block that enters its region's record; on its own chain when every member of the
region has shown its receipt. All nodes share the cores of one machine, so regions look good for the wrong reason as
well: fewer signatures are checked in total (`LIMITS`). There is no bound on these figures.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import aiohttp

from bench.feeds import Feeds
from bench.lines import Line, crossing, fit, interval
from bench.load import AGAIN, BenchFailed, Tally, post_closed_loop
from bench.machine import CpuReading, cores, cpu_model
from bench.networks import BenchNetwork
from bench.running import running
from bench.scrape import NodeCounters, scrape_all
from bench.senders import Senders, join_market
from bench.tps import OTHERS_MAY_USE, connector
from bench.tps_sharded import CENTRES
from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.network import RegionPlan
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.genesis import load_genesis
from ledger.shard_genesis import hosted_genesis
from node.api.wire import MAX_BATCH
from node.client import Client, EventSeen

ROUND_MS: Final = 1_000
SENDERS: Final = 50
PATIENCE_S: Final = 180.0
LOOK_S: Final = 0.05
KEPT: Final = 200
"""Heights whose state is surely kept."""
SIDES: Final = ("sharded", "unsharded")
LIMITS: Final = (
    "all nodes share this machine's cores, so times show their work in total and not what nodes with a core each would "
    "take; links have no delay; --simulated has both"
)
"""What these figures cannot show."""


@dataclass(frozen=True, slots=True)
class RealOptions:
    """What to run: `runs` bursts of each of `transactions` on each side."""

    shards: int
    members: int
    transactions: tuple[int, ...]
    runs: int
    seed: int = 7


@dataclass(frozen=True, slots=True)
class RealBurst:
    """Times in ms; `stage_us`: processor time of all nodes by stage, for each order. `audit_ms`: processor time of a
    centre on its copies of the regions' chains; `audit_late_ms`: from finality on them until the last centre had
    executed everything. `other_cpu`: cores that others used."""

    side: str
    run: int
    transactions: int
    finality_ms: float
    own_ms: float
    global_ms: float
    stage_us: dict[str, float]
    other_cpu: float
    audit_ms: float
    audit_late_ms: float

    def document(self) -> dict[str, Any]:
        """The raw data."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@asynccontextmanager
async def _patience(what: str) -> AsyncIterator[None]:
    """Raise `BenchFailed` if the body takes too long."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    except TimeoutError:
        raise BenchFailed(
            f"in vain: {what}", expected=f"within {PATIENCE_S:.0f} s", found="not yet", fix=AGAIN
        ) from None


@dataclass
class _Records:
    """What a region's records are known to hold. `through`: by record, its last height; `entered`: when each centre has
    shown that it was entered."""

    through: dict[int, int] = field(default_factory=dict)
    entered: dict[int, list[float]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def covering(self, height: int) -> float:
        """When the last centre showed the record that holds a block. Raise `BenchFailed`."""
        async with _patience("every centre enters the record"):
            while (found := self._entered(height)) is None:
                self.news.clear()
                await self.news.wait()
        return found

    def _entered(self, height: int) -> float | None:
        record = min((seq for seq, last in self.through.items() if last >= height), default=None)
        times = [] if record is None else self.entered.get(record, [])
        return max(times) if len(times) >= CENTRES else None


@dataclass
class _Region:
    """A region under load."""

    name: str
    urls: list[str]
    feeds: Feeds
    senders: Senders
    records: _Records
    copies: list[Client]
    """The centres, asked for their copies of this region's chain."""


async def _watch_region(client: Client, records: _Records) -> None:
    """Which block closes which record: it is the last of those that the record does not hold."""
    looked, known = 0, 0
    while True:
        height = (await client.status()).height
        for at in range(max(looked + 1, height - KEPT), height + 1):
            position: Any = await client.view("crossing", "position", height=at)
            closed = int(position[0])
            for seq in range(known + 1, closed + 1):
                records.through[seq] = at - 1
            if closed > known:
                records.news.set()
            known = closed
        looked = height
        await asyncio.sleep(LOOK_S)


async def _copied(centres: Sequence[Client], height: int) -> float:
    """When the last centre's copy had executed a block of a region."""

    async def reached(centre: Client) -> None:
        while True:
            if (await centre.status()).height >= height:
                return
            await asyncio.sleep(LOOK_S)

    async with _patience("every centre's copy executes the burst"):
        await asyncio.gather(*map(reached, centres))
    return time.perf_counter()


async def _watch_centre(client: Client, regions: dict[str, _Records]) -> None:
    async for seen in client.events(contract="shards", names=["Entered"]):
        if isinstance(seen, EventSeen) and (records := regions.get(str(seen.data["region"]))) is not None:
            records.entered.setdefault(int(seen.data["seq"]), []).append(time.perf_counter())
            records.news.set()


async def _send(region: _Region, session: aiohttp.ClientSession, count: int) -> tuple[float, float, float]:
    """Send `count` orders; when they were final on the region's chain, when every centre had executed them, and when
    every centre had entered their record."""
    tally = Tally(region.senders.orders.make(count), len(region.urls))
    region.feeds.tally = tally
    await post_closed_loop(session, region.urls, tally, count + MAX_BATCH, lambda: False)
    async with _patience("every member shows the receipts of the burst"):
        while tally.pending > 0:
            tally.changed.clear()
            await tally.changed.wait()
    if tally.committed != count:
        raise BenchFailed("an order was not committed", expected=count, found=tally.codes, fix=AGAIN)
    height = max(region.feeds.heights)
    return max(tally.done), *await asyncio.gather(_copied(region.copies, height), region.records.covering(height))


@asynccontextmanager
async def _running(
    plans: Sequence[RegionPlan], options: RealOptions, say: Callable[[str], None]
) -> AsyncIterator[tuple[aiohttp.ClientSession, list[_Region], Cluster]]:
    """A network of these regions with senders in each, watched."""
    directory = Path(tempfile.mkdtemp(prefix="gridchain-bench-"))
    network = BenchNetwork("sharded", CENTRES, tuple(plans))
    settings = ShardSettings((), audit="next_round", round_ms=ROUND_MS)
    try:
        layout = make_network(replace(network.plan(directory / "network"), sharding=settings))
        genesis = load_genesis(layout.nodes[0].home / "genesis.json")
        async with AsyncExitStack() as stack:
            say(f"{len(layout.nodes)} processes start")
            cluster = await stack.enter_async_context(running(layout))
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector()))
            urls = {node.name: node.url for node in cluster.nodes}
            say(f"{SENDERS} senders join the market of {', '.join(plan.name for plan in plans)}")
            regions: list[_Region] = []
            joining = []
            for plan in plans:
                chain = replace(cluster.layout, chain_id=hosted_genesis(genesis, plan.name).chain_id)
                joining.append(join_market(urls[plan.members[0]], chain, SENDERS, options.seed))
            for plan, senders in zip(plans, await asyncio.gather(*joining), strict=True):
                own = [urls[name] for name in plan.members]
                feeds = await stack.enter_async_context(Feeds.open(session, own))
                centres = [Client.open(node.url, chain=plan.name) for node in cluster.nodes[:CENTRES]]
                copies = [await stack.enter_async_context(client) for client in centres]
                regions.append(_Region(plan.name, own, feeds, senders, _Records(), copies))
            told = {region.name: region.records for region in regions}
            watching = await stack.enter_async_context(asyncio.TaskGroup())
            watchers = []
            for region in regions:
                client = await stack.enter_async_context(Client.open(region.urls[0], chain=region.name))
                watchers.append(watching.create_task(_watch_region(client, region.records)))
            for node in cluster.nodes[:CENTRES]:
                client = await stack.enter_async_context(Client.open(node.url, chain=GLOBAL))
                watchers.append(watching.create_task(_watch_centre(client, told)))
            try:
                yield session, regions, cluster
            finally:
                for watcher in watchers:
                    watcher.cancel()
                await asyncio.gather(*watchers, return_exceptions=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _bursts(side: str, options: RealOptions, say: Callable[[str], None]) -> list[RealBurst]:
    """All bursts of a side on one network."""
    plans = default_regions(options.shards, options.members)
    if side == "unsharded":
        plans = (RegionPlan(plans[0].name, tuple(member for plan in plans for member in plan.members)),)
    found: list[RealBurst] = []
    say(f"{side}: {len(plans)} region(s), {CENTRES} centres")
    async with _running(plans, options, say) as (session, regions, cluster):
        for run in range(options.runs):
            for count in options.transactions:
                say(f"{side}, run {run + 1}: {count} orders")
                found.append(await _burst(session, regions, cluster, (side, run, count)))
    return found


async def _burst(
    session: aiohttp.ClientSession, regions: Sequence[_Region], cluster: Cluster, burst: tuple[str, int, int]
) -> RealBurst:
    """Send (side, run, orders) and measure."""
    side, run, count = burst
    pids = [node.pid for node in cluster.nodes if node.pid is not None]
    urls = [node.url for node in cluster.nodes]

    async def counters() -> tuple[list[NodeCounters], list[NodeCounters]]:
        """Of all nodes, and of the centres on their copies."""
        copies = [await scrape_all(session, urls[:CENTRES], region.name) for region in regions]
        return await scrape_all(session, urls), [one for each in copies for one in each]

    counted, before = await counters(), CpuReading.take(pids)
    shares = [count // len(regions) + (at < count % len(regions)) for at in range(len(regions))]
    begun = time.perf_counter()
    times = await asyncio.gather(*(_send(one, session, share) for one, share in zip(regions, shares, strict=True)))
    after = CpuReading.take(pids)
    nodes, copies = (
        [now - then for now, then in zip(late, early, strict=True)]
        for late, early in zip(await counters(), counted, strict=True)
    )
    own, final = (max(one[at] for one in times) - begun for at in (0, 2))
    return RealBurst(
        side,
        run,
        count,
        finality_ms=round(final * 1e3, 1),
        own_ms=round(own * 1e3, 1),
        global_ms=round((final - own) * 1e3, 1),
        stage_us=_stages(nodes, count),
        other_cpu=round(after.other_cores_since(before), 3),
        audit_ms=round(sum(sum(one.stages.values()) for one in copies) * 1e3 / CENTRES, 1),
        audit_late_ms=round(max(one[1] - one[0] for one in times) * 1e3, 1),
    )


def _stages(changed: Sequence[NodeCounters], count: int) -> dict[str, float]:
    names = sorted({stage for node in changed for stage in node.stages})
    return {name: round(sum(node.stages.get(name, 0.0) for node in changed) / count * 1e6, 2) for name in names}


async def run_real(options: RealOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """Run both sides, one after the other; the document that `--json` prints."""
    bursts = [burst for side in SIDES for burst in await _bursts(side, options, say)]
    return real_document(options, bursts)


def real_document(options: RealOptions, bursts: Sequence[RealBurst]) -> dict[str, Any]:
    """What `--json` prints: slopes and lines as in virtual time, without a bound."""
    slopes, lines, own = {}, {}, {}
    for side in SIDES:
        fits = [_lines_of(bursts, side, run) for run in range(options.runs)]
        slopes[side] = interval([line.slope for line, _ in fits])
        lines[side], own[side] = (
            Line(fmean(f[at].constant for f in fits), fmean(f[at].slope for f in fits)) for at in (0, 1)
        )
    others = max(burst.other_cpu for burst in bursts)
    steep = lines["unsharded"].slope
    return {
        "simulated": False,
        "shards": options.shards,
        "members": options.members,
        "centres": CENTRES,
        "audit": "next_round",
        "round_ms": ROUND_MS,
        "transactions": list(options.transactions),
        "runs": options.runs,
        "slope_ratio": round(lines["sharded"].slope / steep, 3) if steep > 0 else None,
        "intervals_apart": slopes["sharded"].apart(slopes["unsharded"]),
        "slope_us": {side: slopes[side].document(1_000) for side in SIDES},
        "constant_ms": {side: round(lines[side].constant) for side in SIDES},
        "crossing": {
            "same_rule": _whole(crossing(lines["sharded"], lines["unsharded"])),
            "unsharded_without_global_round": _whole(crossing(lines["sharded"], own["unsharded"])),
        },
        **{side: _rows(bursts, side) for side in SIDES},
        "raw": [burst.document() for burst in bursts],
        "other_cpu": others,
        "decides": others <= OTHERS_MAY_USE,
        "limits": LIMITS,
        "cores": cores(),
        "cpu_model": cpu_model(),
    }


def _lines_of(bursts: Sequence[RealBurst], side: str, run: int) -> tuple[Line, Line]:
    here = [burst for burst in bursts if (burst.side, burst.run) == (side, run)]
    sizes = [burst.transactions for burst in here]
    return fit(sizes, [burst.finality_ms for burst in here]), fit(sizes, [burst.own_ms for burst in here])


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rows(bursts: Sequence[RealBurst], side: str) -> list[dict[str, Any]]:
    rows = []
    for count in sorted({burst.transactions for burst in bursts}):
        here = [burst for burst in bursts if (burst.side, burst.transactions) == (side, count)]
        times = [burst.finality_ms for burst in here]
        stages = sorted({name for burst in here for name in burst.stage_us})
        rows.append(
            {
                "transactions": count,
                "finality_ms": {"median": round(median(times), 1), "low": min(times), "high": max(times)},
                **{name: median(getattr(burst, name) for burst in here) for name in _FIGURES},
                "stage_us": {
                    name: round(median(burst.stage_us.get(name, 0.0) for burst in here), 2) for name in stages
                },
            }
        )
    return rows


_FIGURES: Final = ("own_ms", "global_ms", "audit_ms", "audit_late_ms")


def real_table(document: dict[str, Any]) -> list[str]:
    """The document as lines for people."""
    shards, members = document["shards"], document["members"]
    lines = [f"{shards}x{members} against 1x{shards * members}, real processes, median of {document['runs']} runs, ms"]
    names = ("own", "global", "audit", "late")
    lines.append("orders" + "".join(f"{side:>12}" + "".join(f"{name:>8}" for name in names) for side in SIDES))
    for pair in zip(*(document[side] for side in SIDES), strict=True):
        cells = (
            f"{row['finality_ms']['median']:>12.0f}" + "".join(f"{row[name]:>8.0f}" for name in _FIGURES)
            for row in pair
        )
        lines.append(f"{pair[0]['transactions']:>6}" + "".join(cells))
    apart = "apart" if document["intervals_apart"] else "not apart"
    cores = document["cores"]
    lines.append(f"slope ratio {document['slope_ratio']}, intervals {apart}, on {cores} cores; no bound, since")
    lines.append(document["limits"])
    if not document["decides"]:
        lines.append(f"others used {document['other_cpu']:.2f} cores meanwhile: this run decides nothing")
    return lines
