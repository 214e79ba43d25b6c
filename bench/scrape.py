"""Counters of a node, read from its /metrics, and their differences."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class NodeCounters:
    """What a node has done so far: counts, and CPU seconds by stage."""

    verifications: float
    blocks: float
    transactions: float
    fsyncs: float
    stages: dict[str, float]
    spoken: float = 0.0
    """Of the transactions, those that validators' nodes sent by themselves (engine `dpos`)."""

    @property
    def verify_cpu(self) -> float:
        """CPU seconds of the signature checks."""
        return self.stages.get("verify", 0.0)

    def __sub__(self, earlier: NodeCounters) -> NodeCounters:
        return NodeCounters(
            self.verifications - earlier.verifications,
            self.blocks - earlier.blocks,
            self.transactions - earlier.transactions,
            self.fsyncs - earlier.fsyncs,
            {stage: seconds - earlier.stages.get(stage, 0.0) for stage, seconds in self.stages.items()},
            self.spoken - earlier.spoken,
        )


def parse_counters(text: str, chain: str = "") -> NodeCounters:
    """Read the exposition format. `chain`: only of this one, where a node hosts several."""
    totals: dict[str, float] = {}
    stages: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if chain and sample.labels.get("chain", chain) != chain:
                continue
            if sample.name == "gridchain_stage_cpu_total":
                stage = sample.labels["stage"]
                stages[stage] = stages.get(stage, 0.0) + sample.value
            elif sample.name.endswith("_total"):
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return NodeCounters(
        verifications=totals.get("gridchain_verifications_total", 0.0),
        blocks=totals.get("gridchain_blocks_total", 0.0),
        transactions=totals.get("gridchain_transactions_total", 0.0),
        fsyncs=totals.get("gridchain_fsyncs_total", 0.0),
        stages=stages,
        spoken=totals.get("gridchain_spoken_transactions_total", 0.0),
    )


async def scrape_all(session: aiohttp.ClientSession, urls: Sequence[str], chain: str = "") -> list[NodeCounters]:
    """Counters of all nodes, about now; see `parse_counters`."""

    async def scrape(url: str) -> NodeCounters:
        async with session.get(f"{url}/metrics") as response:
            return parse_counters(await response.text(), chain)

    return list(await asyncio.gather(*(scrape(url) for url in urls)))
