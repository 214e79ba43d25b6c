"""The liveness criterion of a sharded network, after the faults (consensus C.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consensus.sharded.discipline import Standing
from consensus.simulator.node import SimNode
from consensus.simulator.region_node import RegionNode

if TYPE_CHECKING:
    from consensus.simulator.sharded import ShardedWorld

NEW_BLOCKS: Final = 10
NEW_RECORDS: Final = 3
ROUNDS: Final = 10
ROUNDS_ANEW: Final = 25
"""Where regions begin anew: bars of those who lied must end before all may publish."""


def quiet_phase(hub: ShardedWorld) -> tuple[str, int]:
    """After the faults every chain has ten new blocks at every faultless node, every region three new records confirmed
    and is in good standing, and every transaction is dealt with; within ten rounds and ten slow views."""
    hub.quiet()
    heights = {(world.chain_id, node.index): _height(node) for world in hub.worlds for node in world.nodes}
    before = {view.name: view.position.seq for view in hub.finals[-1].state.regions}
    chains = (hub.centres, *hub.regions)
    deltas = [node.core.state.delta() for world in chains for node in world.faultless() if node.core]
    slow = max([*deltas, hub.options.delta_ms])
    anew = bool(hub.past or hub.options.byzantine or hub.options.twins or hub.colludes(hub.regions[0].name))
    rounds = ROUNDS_ANEW if anew else ROUNDS
    end = hub.now + 10 * (hub.centres.parameters.min_block_interval_ms + 3 * slow) + rounds * hub.centres.round_ms
    missing = "everything"
    while missing:
        if not hub.step(end):
            return f"stall: {missing}", _slowest(hub, heights)
        slowest = _slowest(hub, heights)
        missing = f"{slowest} new blocks in the quiet phase" if slowest < NEW_BLOCKS else _behind(hub, before)
    return "", _slowest(hub, heights)


def _slowest(hub: ShardedWorld, heights: dict[tuple[str, int], int]) -> int:
    """New blocks of the faultless node that has fewest; of a chain that has begun since, all are new."""
    gained = [
        _height(node) - heights.get((world.chain_id, node.index), 0)
        for world in (hub.centres, *hub.regions)
        for node in world.faultless()
        if not (isinstance(node, RegionNode) and node.lost)
    ]
    return min(gained)


def _behind(hub: ShardedWorld, before: dict[str, int]) -> str:
    """What regions still owe."""
    state = hub.finals[-1].state
    for view in state.regions:
        gained = view.position.seq - before[view.name]
        if gained < NEW_RECORDS:
            return f"{gained} new records of {view.name}"
        if view.standing(hub.centres.context.rules, state.round) is not Standing.CURRENT:
            return f"{view.name} is not in good standing"
    for region in hub.regions:
        region.loading = False
    waiting = sum(len(region.waiting) for region in hub.regions)
    return f"{waiting} transactions are not in" if waiting else ""


def _height(node: SimNode) -> int:
    return node.chain[-1].header.height
