"""Prometheus metrics, one registry per node, so that several nodes live in one process in tests.

Stage times are `time.thread_time`: CPU of the thread that does the work, summed per stage. A stage is timed once per
batch, never once per transaction, so that measuring costs nothing measurable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

_LATENCY_S: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
_BLOCK_TXS: Final = (0, 1, 5, 25, 100, 250, 500, 1_000, 2_000, 4_000)
_BLOCK_BYTES: Final = (256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 19, 1 << 20)
_SYNC_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)


class Metrics:
    """What a node counts. Names are stable; dashboards and the bench read them."""

    def __init__(self, node: str) -> None:
        self.registry = CollectorRegistry()
        Gauge("node_info", "Always 1; names the node", ["node"], namespace="gridchain", registry=self.registry).labels(
            node
        ).set(1)
        self.height = self._gauge("height", "Height of the last committed block")
        self.epoch = self._gauge("epoch", "Epoch the engine is in")
        self.view = self._gauge("view", "View the engine is in")
        self.unfinalised = self._gauge("unfinalised_blocks", "Notarised blocks that are not final")
        self.held = self._gauge("held", "1 while the node may not vote")
        self.peers = self._gauge("peers", "Connected peers")
        self.mempool_transactions = self._gauge("mempool_transactions", "Transactions waiting")
        self.mempool_bytes = self._gauge("mempool_bytes", "Bytes of the transactions waiting")
        self.blocks = self._counter("blocks", "Blocks committed")
        self.transactions = self._counter("transactions", "Transactions committed")
        self.spoken = self._counter(
            "spoken_transactions", "Transactions committed of accounts that speak for validators"
        )
        self.scheduled = self._counter("scheduled_calls", "Scheduled calls committed")
        self.internal = self._counter("contract_internal", "Calls that failed with Internal: a fault of the runtime")
        self.equivocations = self._counter("equivocations", "Double votes of others that were proved")
        self.evicted_events = self._counter("inbox_dropped", "Peer messages dropped because the inbox was full")
        self.verifications = self._counter("verifications", "Transaction signatures checked")
        self.admitted = self._counter("admitted", "Transactions let in with a good signature, by gossip, API or block")
        self.submitted = self._counter("submitted", "Transactions that arrived, by way", ["source"])
        self.refused = self._counter("refused", "Transactions refused, by code", ["code"])
        self.votes = self._counter("votes", "Own votes signed, by kind", ["kind"])
        self.messages = self._counter("consensus_messages", "Consensus messages received, by type", ["type"])
        self.fsyncs = self._counter("fsyncs", "Synchronous writes", ["log"])
        self.stage = self._counter("stage_cpu", "CPU seconds of a stage", ["stage"])
        self.stage_items = self._counter("stage_items", "Things a stage has handled", ["stage"])
        self.sync_seconds = self._histogram("sync_seconds", "Wall time of a synchronous write", _SYNC_S, ["log"])
        self.block_transactions = self._histogram("block_transactions", "Transactions per block", _BLOCK_TXS)
        self.block_bytes = self._histogram("block_bytes", "Bytes per block body", _BLOCK_BYTES)
        self.commit_latency = self._histogram("commit_latency_seconds", "From arrival to commit, own API", _LATENCY_S)
        self._stages: dict[str, tuple[Counter, Counter]] = {}

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, namespace="gridchain", registry=self.registry)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(name, text, labels or [], namespace="gridchain", registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], labels: list[str] | None = None
    ) -> Histogram:
        return Histogram(name, text, labels or [], namespace="gridchain", registry=self.registry, buckets=buckets)

    def spent(self, stage: str, seconds: float, items: int = 1) -> None:
        """Add CPU time to a stage. Safe from any thread."""
        pair = self._stages.get(stage)
        if pair is None:
            pair = (self.stage.labels(stage), self.stage_items.labels(stage))
            self._stages[stage] = pair
        pair[0].inc(seconds)
        pair[1].inc(items)

    @contextmanager
    def timed(self, stage: str, items: int = 1) -> Iterator[None]:
        """Time a block of code of this thread as a stage."""
        begun = time.thread_time()
        try:
            yield
        finally:
            self.spent(stage, time.thread_time() - begun, items)

    def stage_times(self) -> dict[str, tuple[float, int]]:
        """CPU seconds and items per stage so far."""
        return {
            name: (seconds._value.get(), int(items._value.get())) for name, (seconds, items) in self._stages.items()
        }

    def text(self) -> bytes:
        """The exposition format of /metrics."""
        return generate_latest(self.registry)


class _Labelled(Collector):
    """The samples of several chains as one family each, every sample labelled with its chain."""

    def __init__(self, chains: Mapping[str, Metrics]) -> None:
        self._chains = chains

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        families: dict[str, Metric] = {}
        for chain, metrics in self._chains.items():
            for found in metrics.registry.collect():
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                family.samples += [
                    sample._replace(labels={"chain": chain, **sample.labels}) for sample in found.samples
                ]
        yield from families.values()


def text_of_chains(chains: Mapping[str, Metrics]) -> bytes:
    """The exposition format of several chains of one process."""
    registry = CollectorRegistry()
    registry.register(_Labelled(chains))
    return generate_latest(registry)
