"""What a run of whole nodes is: the faults of the engine's own simulator that apply, and those of machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from consensus.simulator.generator import Generator
from consensus.simulator.options import SeedOptions, SimulationOptions, draw
from ledger.errors import ConfigError

LEAST_INTERVAL_MS: Final = 100
MOST_NODES: Final = 16
"""A full mesh; above that whom one is linked with is another question."""

SHARED: Final = (
    "epoch_blocks",
    "delay_ms",
    "jitter_ms",
    "drop_ppm",
    "duplicate_ppm",
    "crash_mtbf_ms",
    "restart_ms",
    "partition_ms",
    "one_way",
    "power_cuts",
    "lose_unsynced",
    "fsync_ms",
    "skew_ms",
    "skewed",
    "wiped",
    "weighted",
    "load_ms",
)
"""What is drawn as the engine's own simulator draws it."""


@dataclass(frozen=True, slots=True)
class NodeSeed(SeedOptions):
    """`SeedOptions` of which adversaries, twins and changing committees do not apply, and more; times in ms, 0 is off.

    `reset_ms`: mean time between broken links. `full_ms`: how long a disk is full. `slow_ms`: how long a disk needs
    `slow_sync_ms` a sync. `cut_at_write`: crashes fall into an operation of the disk, not between two steps of the
    loop. `cut_operation`: the power of the first machine fails in that many-th operation of its disk. `sync_liar`: one
    node lies when others catch up from it. `followers`: each node has one that never
    reads and one that calls back.
    """

    layer: str = "node"
    reset_ms: int = 0
    full_ms: int = 0
    slow_ms: int = 0
    slow_sync_ms: int = 2_000
    cut_at_write: bool = False
    cut_operation: int = 0
    sync_liar: bool = False
    followers: bool = False

    def text(self) -> str:
        """See `SeedOptions.text`; says which layer it is of."""
        return f"{SeedOptions.text(self)} layer={self.layer}"

    def check(self) -> None:
        """See `SeedOptions.check`."""
        SeedOptions.check(self)
        if self.layer != "node" or self.engine != "bft" or self.adversary or self.nodes > MOST_NODES:
            found = f"layer={self.layer} engine={self.engine} adversary={self.adversary} nodes={self.nodes}"
            raise ValueError(f"{found}: whole nodes are at most {MOST_NODES} honest ones of bft")


def draw_nodes(options: SimulationOptions, seed: int) -> NodeSeed:
    """The options of one seed of a batch."""
    check_nodes(options)
    base = draw(options, seed)
    plain = NodeSeed(
        seed,
        nodes=options.nodes,
        seconds_ms=base.seconds_ms,
        delta_ms=base.delta_ms,
        interval_ms=max(LEAST_INTERVAL_MS, base.interval_ms),
    )
    if options.faults == "none":
        return plain
    shared: dict[str, Any] = {name: getattr(base, name) for name in SHARED}
    chance = Generator(seed * 1_000_033 + options.nodes)
    on = [chance.chance(500_000) for _ in range(5)]
    return replace(
        plain,
        **shared,
        reset_ms=chance.log_uniform(500, 10_000) if on[0] else 0,
        full_ms=chance.log_uniform(500, 4_000) if on[1] else 0,
        slow_ms=chance.log_uniform(500, 4_000) if on[2] else 0,
        slow_sync_ms=chance.log_uniform(100, 2_000),
        cut_at_write=on[3],
        sync_liar=on[4] and options.nodes >= 4 and not base.skewed and not base.wiped,
        followers=chance.chance(500_000),
    )


def check_nodes(options: SimulationOptions) -> None:
    """Raise `ConfigError` for what this layer does not run."""
    if options.engine != "bft" or options.adversary:
        found = f"{options.engine}, {options.adversary or 'no adversary'}"
        raise ConfigError(
            "the layer of whole nodes runs honest members of one engine",
            expected="bft, no adversary",
            found=found,
            fix="give --engine bft without --adversary, or leave --layer node out",
        )
    if options.nodes > MOST_NODES:
        raise ConfigError(
            "too many whole nodes",
            expected=f"at most {MOST_NODES}",
            found=options.nodes,
            fix=f"give --nodes {MOST_NODES}, or leave --layer node out",
        )
