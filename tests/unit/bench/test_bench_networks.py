"""What `bench tps` founds for each engine, and runs of regions that are counted as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bench.load import BenchFailed, Load, Tally
from bench.machine import CpuReading
from bench.networks import ENGINES, BenchNetwork
from bench.running import running
from bench.scrape import NodeCounters, parse_counters
from bench.tps import Throughput, check_verifications
from bench.tps_sharded import merged
from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from ledger.errors import ConfigError
from ledger.genesis import ENGINES as OFFERED


def test_every_engine_that_a_genesis_may_name_is_measured() -> None:
    assert set(ENGINES) == set(OFFERED)
    assert [BenchNetwork.of(name, None, None, None).nodes for name in ENGINES] == [1, 4, 4, 16]
    assert BenchNetwork.of("sharded", None, 1, 4).nodes == 8
    assert BenchNetwork.of("dpos", 10, None, None).nodes == 10


@pytest.mark.parametrize("engine", ENGINES)
def test_its_network_can_be_founded(engine: str, tmp_path: Path) -> None:
    network = BenchNetwork.of(engine, None, 2 if engine == "sharded" else None, None)
    layout = make_network(network.plan(tmp_path / "network"))
    assert (layout.engine, len(layout.nodes)) == (engine, network.nodes)
    assert layout.chain_id.startswith(f"bench-{engine}-")


@pytest.mark.parametrize(
    ("engine", "validators", "code"),
    [
        ("raft", None, "GENESIS_ENGINE"),
        ("solo", 2, "BAD_OPTION"),
        ("sharded", 4, "BAD_OPTION"),
        ("bft", 4, "BAD_OPTION"),
    ],
)
def test_networks_that_there_are_not_are_refused(engine: str, validators: int | None, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        BenchNetwork.of(engine, validators, 3, 4)
    assert refused.value.code == code


def run_of(submitted: int, tps: float, cpu: float) -> Throughput:
    """A region's run: one order failed, one refused."""
    tally = Tally(Load((), (), frozenset()), 4)
    tally.submitted, tally.finished, tally.failed, tally.rejected = submitted, submitted - 1, 1, 1
    tally.codes = {"Closed": 1, "NONCE": 1}
    readings = [CpuReading(float(at), 10.0 * at, cpu * at, 0.5 * at) for at in (1, 2, 1, 3)]
    counters = NodeCounters(1.0, 2.0, 3.0, 4.0, {"verify": 5.0})
    return Throughput(tps, 1.0, submitted, tally, *readings, (counters,))


def test_regions_add_up_and_the_machine_counts_once() -> None:
    found = merged([run_of(100, 40.0, 2.0), run_of(60, 25.0, 3.0)])
    tally = found.tally
    assert (found.tps, found.counted, tally.submitted, tally.committed) == (65.0, 160, 160, 156)
    assert (tally.failed, tally.rejected, tally.pending) == (2, 2, 0)
    assert tally.codes == {"Closed": 2, "NONCE": 2}
    assert found.after == CpuReading(2.0, 20.0, 10.0, 1.0)
    assert found.after.other_cores_since(found.before) == pytest.approx(10 - 5 - 0.5)
    assert len(found.counters) == 2


def test_counters_of_one_chain_of_a_node() -> None:
    text = "# TYPE gridchain_verifications counter\n" + "".join(
        f'gridchain_verifications_total{{chain="{chain}"}} {count}\n' for chain, count in (("north", 7), ("global", 2))
    )
    assert parse_counters(text).verifications == 9
    assert parse_counters(text, "north").verifications == 7
    stages = "".join(
        f'gridchain_stage_cpu_total{{chain="{chain}",stage="verify"}} {seconds}\n'
        for chain, seconds in (("north", 0.5), ("global", 0.25))
    )
    text = "# TYPE gridchain_stage_cpu counter\n" + stages
    assert parse_counters(text).verify_cpu == 0.75
    assert parse_counters(text, "north").verify_cpu == 0.5


def test_signatures_are_checked_once_and_what_others_send_comes_on_top() -> None:
    tally = Tally(Load((), (), frozenset()), 2)
    tally.submitted = tally.finished = 100

    def checked(*counts: int) -> list[NodeCounters]:
        return [NodeCounters(float(count), 1.0, 100.0, 1.0, {}) for count in counts]

    check_verifications(checked(100, 100), tally, "bft")
    check_verifications(checked(103, 101), tally, "dpos")
    check_verifications(checked(130, 128), tally, "sharded")
    for engine, counts in (("bft", (101, 100)), ("bft", (99, 101)), ("dpos", (130, 128)), ("sharded", (90, 130))):
        with pytest.raises(BenchFailed):
            check_verifications(checked(*counts), tally, engine)


@pytest.mark.parametrize(("dead", "expected"), [(["north1"], BenchFailed), ([], TimeoutError)])
def test_a_node_that_dies_under_load_is_named_with_its_last_words(
    dead: list[str], expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [SimpleNamespace(name=name, log_tail=lambda: "killed by a bug") for name in dead]

    @asynccontextmanager
    async def opened(layout: object) -> AsyncIterator[object]:
        yield SimpleNamespace(dead=lambda: ended)

    async def measured() -> None:
        async with running(cast(NetworkLayout, None)):
            raise TimeoutError("nobody answers")

    monkeypatch.setattr(Cluster, "open", opened)
    with pytest.raises(expected) as failed:
        asyncio.run(measured())
    if dead:
        assert "north1 ended" in str(failed.value)
        assert "killed by a bug" in str(failed.value)
