"""`gridchain bench tps`: signed orders through real processes and LevelDB, client included.

Three runs on one network: throughput (closed loop), latency (open loop at half the measured rate), and one in which one
signature in 1,000 is broken. The clock of the first runs from the first byte sent to the last receipt read from *every*
node. `efficiency = tps * validators / verify_all_per_s` compares machines; a run during which other processes used more
than 0.15 cores decides nothing.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.feeds import Feeds
from bench.load import BenchFailed, Load, Tally, post, post_closed_loop, post_open_loop
from bench.machine import CpuReading, cores, cpu_model, peak_memory_bytes, verify_all_per_s
from bench.running import running
from bench.scrape import NodeCounters, scrape_all
from bench.senders import LOOK, Senders, join_market
from deploy.layout import NetworkLayout
from node.api.wire import MAX_BATCH

OTHERS_MAY_USE: Final = 0.15
"""Cores; above this a run decides nothing."""
IN_FLIGHT: Final = 8_192
ON_THE_WAY: Final = 2
"""Transactions that a validator's own node may have under way at once: readiness of this epoch and the one before."""
LATENCY_SECONDS: Final = 10.0
SPEAKING: Final = ("dpos", "sharded")
"""Engines whose nodes send transactions of their own."""
BAD_RUN: Final = 2_000
BAD_EVERY: Final = 1_000
FINISH_TIMEOUT_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class TpsOptions:
    """What to run. `transactions` excludes `seconds`: a fixed number instead of a fixed time. `chain`: which one is
    measured, where nodes host several."""

    engine: str
    validators: int
    seconds: float
    warmup: float
    transactions: int | None
    senders: int
    directory: Path
    seed: int = 7
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Outcome of the closed loop; counts over the measured window, except `tally`, which covers the whole run."""

    tps: float
    window_s: float
    counted: int
    tally: Tally
    before: CpuReading
    after: CpuReading
    begun: CpuReading
    ended: CpuReading
    counters: tuple[NodeCounters, ...]


async def run_tps(layout: NetworkLayout, options: TpsOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the bench on a founded `bench-` network and return the document that `--json` prints."""
    say("measuring signature checks")
    speed_before = await asyncio.to_thread(verify_all_per_s)
    async with running(layout) as cluster, aiohttp.ClientSession(connector=connector()) as session:
        urls = [node.url for node in cluster.nodes]
        pids = [node.pid for node in cluster.nodes if node.pid is not None]
        say(f"{options.senders} senders join the market")
        senders = await join_market(urls[0], cluster.layout, options.senders, options.seed)
        async with Feeds.open(session, urls) as feeds:
            bench = TpsBench(session, urls, pids, feeds, options, say)
            throughput = await bench.throughput(senders, speed_before)
            latency = await bench.latency(senders, throughput.tps / 2)
            refused = await bench.bad_signatures(senders)
        memory = [peak_memory_bytes(pid) for pid in pids]
    say("measuring signature checks again")
    speed_after = await asyncio.to_thread(verify_all_per_s)
    return tps_document(options, throughput, latency, refused, memory, (speed_before, speed_after))


def connector() -> aiohttp.TCPConnector:
    """How the clients of a bench connect."""
    return aiohttp.TCPConnector(limit=64, keepalive_timeout=60)


class TpsBench:
    """The three runs against one running network."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        pids: Sequence[int],
        feeds: Feeds,
        options: TpsOptions,
        say: Callable[[str], None],
    ) -> None:
        self.session = session
        self.urls = urls
        self.pids = pids
        self.feeds = feeds
        self.options = options
        self.say = say

    async def throughput(self, senders: Senders, verify_rate: float) -> Throughput:
        """Closed loop: a fixed number, or `seconds` after `warmup`."""
        options = self.options
        bound = verify_rate / options.validators
        count = options.transactions or int((options.seconds + options.warmup) * bound * 0.7) + IN_FLIGHT
        self.say(f"signing {count} orders")
        tally = Tally(senders.orders.make(count), len(self.urls))
        self.feeds.tally = tally
        counters = await self._counters()
        self.say("sending")
        begun = CpuReading.take(self.pids)
        if options.transactions is not None:
            before = begun
            await post_closed_loop(self.session, self.urls, tally, IN_FLIGHT, lambda: False)
            await self._finish(tally)
            after = CpuReading.take(self.pids)
            window, counted = max(tally.done) - before.wall, tally.committed
        else:
            before, after, counted = await self._window(tally)
            window = after.wall - before.wall
        ended = CpuReading.take(self.pids)
        senders.orders.give_back(tally.load, tally.submitted)
        changed = await self._since(counters)
        check_verifications(changed, tally, self.options.engine)
        check_accounting(changed, tally)
        return Throughput(counted / window, window, counted, tally, before, after, begun, ended, tuple(changed))

    async def _window(self, tally: Tally) -> tuple[CpuReading, CpuReading, int]:
        options = self.options
        begun = time.perf_counter()
        end = begun + options.warmup + options.seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(
                post_closed_loop(self.session, self.urls, tally, IN_FLIGHT, lambda: time.perf_counter() >= end)
            )
            await asyncio.sleep(options.warmup)
            before, first = CpuReading.take(self.pids), tally.committed
            await asyncio.sleep(max(0.0, end - time.perf_counter()))
            after, last = CpuReading.take(self.pids), tally.committed
            tally.changed.set()
        await self._finish(tally)
        if tally.submitted == len(tally.load.transactions):
            raise BenchFailed(
                "the prepared transactions were used up before the time",
                expected=f"fewer than {len(tally.load.transactions)}",
                found=tally.submitted,
                fix="choose fewer --seconds",
            )
        return before, after, last - first

    async def latency(self, senders: Senders, rate: float) -> list[float]:
        """Open loop at `rate`; latencies in ms, ascending, from intended sending to the last node's receipt."""
        count = max(200, int(rate * LATENCY_SECONDS))
        self.say(f"open loop at {rate:.0f} a second")
        tally = Tally(senders.orders.make(count), len(self.urls))
        self.feeds.tally = tally
        await post_open_loop(self.session, self.urls, tally, rate)
        await self._finish(tally)
        if tally.committed != count:
            raise BenchFailed(
                "an order of the latency run was not committed", expected=count, found=tally.codes, fix=LOOK
            )
        return tally.latencies_ms()

    async def bad_signatures(self, senders: Senders) -> dict[str, int]:
        """One bad signature in 1,000: exactly those are refused, and only the node that got them has checked them."""
        self.say("one bad signature in 1,000")
        load: Load = senders.orders.make(BAD_RUN, bad_every=BAD_EVERY)
        tally = Tally(load, len(self.urls))
        self.feeds.tally = tally
        counters = await self._counters()
        for turn, first in enumerate(range(0, BAD_RUN, MAX_BATCH)):
            url = self.urls[turn % len(self.urls)]
            await post(self.session, url, tally, first, min(BAD_RUN, first + MAX_BATCH))
        await self._finish(tally)
        changed = await self._since(counters)
        never_seen = {index for index, seen in enumerate(tally.seen) if not seen}
        if (
            tally.rejected != len(load.bad)
            or never_seen != load.bad
            or tally.codes.get("BAD_SIGNATURE") != len(load.bad)
        ):
            raise BenchFailed(
                "not exactly the bad ones were refused", expected=len(load.bad), found=tally.codes, fix=LOOK
            )
        check_verifications(changed, tally, self.options.engine)
        check_accounting(changed, tally)
        return {"submitted": tally.submitted, "bad": len(load.bad), "rejected": tally.rejected}

    async def _counters(self) -> list[NodeCounters]:
        return await scrape_all(self.session, self.urls, self.options.chain)

    async def _since(self, counters: Sequence[NodeCounters]) -> list[NodeCounters]:
        """What the nodes have done since an earlier reading."""
        return [now - then for now, then in zip(await self._counters(), counters, strict=True)]

    async def _finish(self, tally: Tally) -> None:
        """Wait until nothing is pending. Raise `BenchFailed` if that takes too long."""
        try:
            async with asyncio.timeout(FINISH_TIMEOUT_S):
                while tally.pending > 0:
                    tally.changed.clear()
                    await tally.changed.wait()
        except TimeoutError:
            raise BenchFailed(
                "transactions without a receipt from every node", expected=0, found=tally.pending, fix=LOOK
            ) from None


def check_verifications(changed: Sequence[NodeCounters], tally: Tally, engine: str) -> None:
    """Every node has checked each admitted transaction once; bad ones only where they were posted. What validators' own
    nodes send comes on top: as much as they have committed, but for what was on its way when the counters were read.
    With `sharded` only that none was left out: records and attestations of the global chain are checked by the same
    process, and may wait there. Raise `BenchFailed`."""
    good = tally.submitted - tally.codes.get("BAD_SIGNATURE", 0)
    bad = tally.submitted - good
    loads = [node.verifications - node.spoken for node in changed]
    spare = ON_THE_WAY * len(changed) if engine in SPEAKING else 0
    total = sum(loads) - good * len(changed) - bad
    many = total > spare * len(changed) and engine != "sharded"
    if many or total < -spare * len(changed) or any(load < good - spare for load in loads):
        raise BenchFailed(
            "signatures were not checked exactly once per node",
            expected=f"{good} a node and {bad} bad ones in all",
            found=[int(load) for load in loads],
            fix=LOOK,
        )


def check_accounting(changed: Sequence[NodeCounters], tally: Tally) -> None:
    """Every transaction that was sent is committed, failed, rejected or pending, each by a count of its own: answers of
    the API, receipts seen, and what the nodes say they have committed. Raise `BenchFailed`."""
    shown = sum(1 for seen in tally.seen if seen == tally.nodes)
    unseen = sum(1 for seen in tally.seen[: tally.submitted] if seen < tally.nodes)
    found = [shown, *(int(node.transactions - node.spoken) for node in changed), tally.submitted - unseen]
    if set(found) != {tally.committed + tally.failed} or unseen != tally.rejected + tally.pending:
        raise BenchFailed(
            "the accounting does not close", expected=tally.committed + tally.failed, found=found, fix=LOOK
        )


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie (nearest rank); 0 for none."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] if ascending else 0.0


def tps_document(
    options: TpsOptions,
    run: Throughput,
    latency: Sequence[float],
    refused: dict[str, int],
    memory: Sequence[int],
    speeds: tuple[float, float],
) -> dict[str, Any]:
    """What `--json` prints. `options.validators`: how many nodes check each signature. `speeds`: before and after."""
    verify_all = sum(speeds) / 2
    tally, wall = run.tally, run.ended.wall - run.begun.wall
    whole = max(1, tally.committed)
    verify_cpu = sum(node.verify_cpu for node in run.counters)
    all_cpu = (run.ended.nodes - run.begun.nodes) + (run.ended.client - run.begun.client)
    others = run.after.other_cores_since(run.before)
    return {
        "engine": options.engine,
        "validators": options.validators,
        "senders": options.senders,
        "tps": round(run.tps, 1),
        "window_s": round(run.window_s, 3),
        "submitted": tally.submitted,
        "committed": tally.committed,
        "failed": tally.failed,
        "rejected": tally.rejected,
        "pending": tally.pending,
        "codes": dict(sorted(tally.codes.items())),
        "latency_ms": {name: round(percentile(latency, share), 1) for name, share in _SHARES.items()},
        "latency_rate": round(run.tps / 2, 1),
        "cpu_s_per_transaction": round((run.after.nodes - run.before.nodes) / max(1, run.counted), 7),
        "client_cpu_s_per_transaction": round((run.after.client - run.before.client) / max(1, run.counted), 7),
        "peak_memory_bytes": list(memory),
        "blocks_per_s": round(max(node.blocks for node in run.counters) / wall, 2),
        "fsyncs_per_s": round(sum(node.fsyncs for node in run.counters) / len(run.counters) / wall, 2),
        "stage_us_per_transaction": {
            stage: round(sum(node.stages.get(stage, 0.0) for node in run.counters) / len(run.counters) / whole * 1e6, 2)
            for stage in sorted({stage for node in run.counters for stage in node.stages})
        },
        "verify_all_per_s": round(verify_all, 1),
        "verify_all_before_after": [round(speed, 1) for speed in speeds],
        "other_cpu": round(others, 3),
        "decides": others <= OTHERS_MAY_USE,
        "efficiency": round(run.tps * options.validators / verify_all, 4),
        "efficiency_cpu": round(verify_cpu / all_cpu, 4) if all_cpu > 0 else 0.0,
        "bad_signatures": refused,
        "cores": cores(),
        "cpu_model": cpu_model(),
        "python": platform.python_version(),
    }


_SHARES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
