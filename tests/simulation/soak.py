"""`make sim` and `make soak`: seeds of the simulator in bulk, over all engines, sizes of committees, and whole nodes.

    python tests/simulation/soak.py sim EACH     EACH seeds of every configuration, told only
    python tests/simulation/soak.py soak TOTAL   until docs/reliability.csv holds TOTAL seeds; goes on where it ends

A row of the file is a chunk: date, commit, configuration, first seed, seeds, forks, stalls, violations. Seeds are never
repeated: a later run of the same command with a larger TOTAL takes new ones. A seed that fails is told as a line; keep
it in regressions.txt.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from consensus.simulator import SimulationOptions, SimulationReport, simulate
from node.simulation import simulate_nodes

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "reliability.csv"
COLUMNS = ("date", "commit", "configuration", "first_seed", "seeds", "forks", "stalls", "violations")
WHOLE_NODES = "node"
"""In the place of an engine: `gridchain simulate --layer node`."""
SIZES = (
    *(("bft", nodes) for nodes in (1, 2, 4, 5, 7, 10)),
    *(("dpos", nodes) for nodes in (4, 7)),
    *(("sharded", nodes) for nodes in (8, 16)),
    *((WHOLE_NODES, nodes) for nodes in (1, 4, 7)),
)
"""(engine, nodes); the engines as published fork, so they have no place here."""
SECONDS = 20
CHUNK = 100
FIRST_SEED = 100_000
"""Away from the seeds of CI and of regressions."""


def configuration(engine: str, nodes: int) -> str:
    """How a row names what was run."""
    return f"{engine} n={nodes} swarm {SECONDS} s"


def run_chunk(engine: str, nodes: int, first_seed: int, seeds: int) -> SimulationReport:
    """One chunk; a process of its own."""
    if engine == WHOLE_NODES:
        options = SimulationOptions(nodes=nodes, seeds=seeds, first_seed=first_seed, seconds=SECONDS)
        return replace(simulate_nodes(options), engine=WHOLE_NODES)
    return simulate(SimulationOptions(engine, nodes=nodes, seeds=seeds, first_seed=first_seed, seconds=SECONDS))


def rows() -> list[dict[str, str]]:
    """What the file holds."""
    if not FILE.exists():
        return []
    with FILE.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def append(report: SimulationReport, commit: str) -> None:
    """One more row."""
    fresh = not FILE.exists()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    values = (today, commit, configuration(report.engine, report.nodes), report.first_seed, report.seeds)
    with FILE.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow((*values, report.forks, report.stalls, len(report.violations)))
        stream.flush()
        os.fsync(stream.fileno())


def chunks(total: int) -> Iterator[tuple[str, int, int, int]]:
    """(engine, nodes, first seed, seeds) still missing for a total, one configuration after the other in turn."""
    done = rows()
    following = dict.fromkeys(SIZES, FIRST_SEED)
    missing = total
    for row in done:
        missing -= int(row["seeds"])
        for size in SIZES:
            if row["configuration"] == configuration(*size):
                following[size] = max(following[size], int(row["first_seed"]) + int(row["seeds"]))
    while missing > 0:
        for size in sorted(SIZES, key=following.__getitem__):
            seeds = min(CHUNK, missing)
            if seeds > 0:
                yield *size, following[size], seeds
            following[size] += seeds
            missing -= seeds


def commit_of_tree() -> str:
    """The commit that is run, with a plus if the tree differs from it."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def tell(report: SimulationReport, begun: float) -> bool:
    """A line for a chunk, and one for each seed that failed; whether it was good."""
    state = f"{report.forks} forks, {report.stalls} stalls, {len(report.violations)} broken"
    wall = time.monotonic() - begun
    last = report.first_seed + report.seeds - 1
    print(f"{wall:7.0f} s  {report.engine:<7} n={report.nodes:<2} seeds {report.first_seed} to {last}: {state}")
    for line in report.violations:
        print(f"  {line}")
    sys.stdout.flush()
    return report.good


def main(kind: str, number: int) -> int:
    """Run; 0 if all was good."""
    begun, good, commit = time.monotonic(), True, commit_of_tree()
    if kind == "sim":
        steps = [(*size, first, min(50, number - first)) for first in range(0, number, 50) for size in SIZES]
    else:
        steps = list(chunks(number))
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        pending = [pool.submit(run_chunk, *step) for step in steps]
        for future in pending:
            report = future.result()
            good &= tell(report, begun)
            if kind == "soak":
                append(report, commit)
    seeds = sum(step[3] for step in steps)
    sizes = ", ".join(f"{engine} {nodes}" for engine, nodes in SIZES)
    print(f"{seeds} seeds over {sizes}: {'all good' if good else 'SOME FAILED'}")
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("sim", "soak") or not sys.argv[2].isdecimal():
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
