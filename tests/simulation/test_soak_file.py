"""The long runs go on where their file ends, and never take a seed twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation import soak

from consensus.simulator import SimulationReport


def report(nodes: int, first: int, seeds: int) -> SimulationReport:
    return SimulationReport("bft", nodes, seeds, first, 0, 0, 10, 100, 100, 10, (), "")


def test_a_run_in_two_parts_takes_the_seeds_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "FILE", tmp_path / "reliability.csv")
    whole = list(soak.chunks(2_000))
    assert sum(seeds for _, _, seeds in whole) == 2_000
    assert {nodes for nodes, _, _ in whole} == set(soak.SIZES)
    for chunk in whole[:9]:
        soak.append(report(*chunk), "abc")
    rest = list(soak.chunks(2_000))
    assert sum(seeds for _, _, seeds in rest) == 2_000 - 9 * soak.CHUNK
    seen = {(nodes, first + n) for nodes, first, seeds in (*whole[:9], *rest) for n in range(seeds)}
    assert len(seen) == 2_000
    assert soak.rows()[0]["configuration"] == "bft n=1 swarm 20 s"
    assert list(soak.chunks(100)) == []


def test_a_chunk_is_a_batch_of_the_simulator() -> None:
    found = soak.run_chunk(1, 5, 2)
    assert (found.nodes, found.first_seed, found.seeds, found.good) == (1, 5, 2, True)
