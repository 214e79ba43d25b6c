"""The long runs go on where their file ends, and never take a seed twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation import soak

from consensus.simulator import SimulationReport


def report(engine: str, nodes: int, first: int, seeds: int) -> SimulationReport:
    return SimulationReport(engine, nodes, seeds, first, 0, 0, 10, 100, 100, 10, (), "")


def test_a_run_in_two_parts_takes_the_seeds_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "FILE", tmp_path / "reliability.csv")
    whole = list(soak.chunks(2_000))
    assert sum(seeds for *_, seeds in whole) == 2_000
    assert {(engine, nodes) for engine, nodes, _, _ in whole} == set(soak.SIZES)
    for chunk in whole[:9]:
        soak.append(report(*chunk), "abc")
    rest = list(soak.chunks(2_000))
    assert sum(seeds for *_, seeds in rest) == 2_000 - 9 * soak.CHUNK
    parts = (*whole[:9], *rest)
    seen = {(engine, nodes, first + n) for engine, nodes, first, seeds in parts for n in range(seeds)}
    assert len(seen) == 2_000
    assert soak.rows()[0]["configuration"] == "bft n=1 swarm 20 s"
    assert list(soak.chunks(100)) == []


def test_a_chunk_is_a_batch_of_the_simulator() -> None:
    found = soak.run_chunk("bft", 1, 5, 2)
    assert (found.nodes, found.first_seed, found.seeds, found.good) == (1, 5, 2, True)
    whole = soak.run_chunk(soak.WHOLE_NODES, 1, 5, 1)
    assert (whole.engine, whole.seeds, whole.good) == ("node", 1, True)
