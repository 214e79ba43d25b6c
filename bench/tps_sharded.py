"""`gridchain bench tps --engine sharded`: the same runs in all regions at once.

Each region has its own senders, feeds and tally; an order is done when every member of its region has shown its
receipt, so it is final there. Money that crosses regions waits for the global chain, which goes on beside. `efficiency`
counts the signature checks of a region's members; what centres do for their copies is not in it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

import aiohttp

from bench.feeds import Feeds
from bench.load import Load, Tally
from bench.machine import CpuReading, peak_memory_bytes, verify_all_per_s
from bench.running import running
from bench.senders import Senders, join_market
from bench.tps import Throughput, TpsBench, TpsOptions, connector, tps_document
from deploy.cluster import Cluster
from deploy.layout import NetworkLayout
from deploy.network import RegionPlan
from ledger.genesis import load_genesis
from ledger.shard_genesis import hosted_genesis

CENTRES: Final = 4


async def run_tps_sharded(
    layout: NetworkLayout, regions: Sequence[RegionPlan], options: TpsOptions, say: Callable[[str], None]
) -> dict[str, Any]:
    """As `run_tps` on a founded `bench-` network with regions. `options.validators`: all node processes."""
    say("measuring signature checks")
    speed_before = await asyncio.to_thread(verify_all_per_s)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(running(layout))
        pairs = await _joined(stack, cluster, regions, options, say)
        runs = await asyncio.gather(*(bench.throughput(own, speed_before) for bench, own in pairs))
        rated = zip(pairs, runs, strict=True)
        latencies = await asyncio.gather(*(bench.latency(own, run.tps / 2) for (bench, own), run in rated))
        refused = await asyncio.gather(*(bench.bad_signatures(own) for bench, own in pairs))
        memory = [peak_memory_bytes(node.pid) for node in cluster.nodes if node.pid is not None]
    say("measuring signature checks again")
    speeds = (speed_before, await asyncio.to_thread(verify_all_per_s))
    members = len(regions[0].members)
    refusals: Counter[str] = sum((Counter(one) for one in refused), Counter())
    latency = sorted(value for one in latencies for value in one)
    checked = replace(options, validators=members)
    document = tps_document(checked, merged(runs), latency, dict(refusals), memory, speeds)
    shape = {"shards": len(regions), "members": members, "centres": CENTRES, "checked_by": members}
    return document | {"validators": options.validators} | shape


async def _joined(
    stack: AsyncExitStack,
    cluster: Cluster,
    regions: Sequence[RegionPlan],
    options: TpsOptions,
    say: Callable[[str], None],
) -> list[tuple[TpsBench, Senders]]:
    """Senders in the market of every region, and who sends and counts there. The centres' processes count with the
    first region's."""
    genesis = load_genesis(cluster.layout.nodes[0].home / "genesis.json")
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector()))
    pids = {node.name: node.pid for node in cluster.nodes if node.pid is not None}
    centres = [pid for name, pid in pids.items() if not any(name in region.members for region in regions)]
    found: list[tuple[TpsBench, Senders]] = []
    for region in regions:
        urls = [node.url for node in cluster.nodes if node.name in region.members]
        home = replace(cluster.layout, chain_id=hosted_genesis(genesis, region.name).chain_id)
        say(f"{options.senders} senders join the market of {region.name}")
        senders = await join_market(urls[0], home, options.senders, options.seed)
        feeds = await stack.enter_async_context(Feeds.open(session, urls))
        own = [pids[name] for name in region.members] + ([] if found else centres)
        part = replace(options, chain=region.name)
        found.append((TpsBench(session, urls, own, feeds, part, _silent if found else say), senders))
    return found


def _silent(_: str) -> None:
    """One region speaks for all."""


def merged(runs: Sequence[Throughput]) -> Throughput:
    """Runs of regions at the same time as one: rates, counts and processor times add up. The client and the machine are
    the same for all."""
    tally = Tally(Load((), (), frozenset()), runs[0].tally.nodes)
    for run in runs:
        tally.submitted += run.tally.submitted
        tally.finished += run.tally.finished
        tally.failed += run.tally.failed
        tally.rejected += run.tally.rejected
        for code, count in run.tally.codes.items():
            tally.codes[code] = tally.codes.get(code, 0) + count
    return Throughput(
        tps=sum(run.tps for run in runs),
        window_s=max(run.window_s for run in runs),
        counted=sum(run.counted for run in runs),
        tally=tally,
        before=_reading([run.before for run in runs]),
        after=_reading([run.after for run in runs]),
        begun=_reading([run.begun for run in runs]),
        ended=_reading([run.ended for run in runs]),
        counters=tuple(counters for run in runs for counters in run.counters),
    )


def _reading(readings: Sequence[CpuReading]) -> CpuReading:
    first = readings[0]
    return CpuReading(first.wall, first.machine, sum(one.nodes for one in readings), first.client)
