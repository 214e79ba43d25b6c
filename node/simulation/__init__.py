"""Whole nodes in virtual time: the second layer of the simulator.

The engine's own simulator (`consensus.simulator`) replaces everything around the engine. Here nothing of the node is
replaced: driver, log, publisher, mempool, ingress, gossip, catching up, execution of real contracts, commits. Other are
only the machine (`node.machine`): the loop's time, its threads, the disk, the network, and who uses it.

    loop.py         time that jumps; threads that are turns of the loop
    disk.py         what a power cut leaves of files and of the database
    network.py      links: delay, loss, partitions, broken connections
    machine.py      the three for one life of a node
    founding.py     genesis and keys
    clients.py      who submits
    followers.py    who follows blocks, and calls back
    lying.py        a peer that lies to those who catch up
    world.py        lives and faults
    auditor.py      sees every frame and every durable write
    afterwards.py   every disk, and the chain executed again
    options.py      what a run is
    run.py          one seed, many seeds

Same options and seed, same trace hash.
"""

from __future__ import annotations

from node.simulation.options import NodeSeed, draw_nodes
from node.simulation.run import run_node_seed, simulate_nodes

__all__ = ["NodeSeed", "draw_nodes", "run_node_seed", "simulate_nodes"]
