"""`gridchain simulate --layer node`: whole nodes instead of engines."""

from __future__ import annotations

from consensus.simulator import SimulationOptions
from ledger.errors import ConfigError
from node.cli.output import Output
from node.simulation import NodeSeed, draw_nodes, run_node_seed

LAYERS = ("engine", "node")


def replay_nodes(output: Output, replay: str, options: SimulationOptions) -> bool:
    """Run one seed again, named by its number or by the line that a failure printed, and tell all it broke; whether it
    is good. Raise `ConfigError` (BAD_SEED_LINE)."""
    try:
        seed = draw_nodes(options, int(replay)) if replay.isdecimal() else NodeSeed.parse(replay.partition("->")[0])
    except ValueError as error:
        raise ConfigError(
            "not a line of the simulator",
            code="BAD_SEED_LINE",
            expected="a seed, or a line as a failed run prints it",
            found=error,
            fix="copy the whole line, in quotes",
        ) from None
    report = run_node_seed(seed)
    broken = [f"{v.invariant} at {v.at_ms} ms, node {v.node}: {v.text}" for v in report.violations]
    output.result(
        {
            "line": seed.text(),
            "good": report.good,
            "blocks": report.blocks,
            "stalled": report.stalled,
            "violations": broken,
            "trace_hash": report.trace_hash,
        },
        report.text(),
        f"trace hash {report.trace_hash}",
        *(f"  {line}" for line in broken),
    )
    return report.good
