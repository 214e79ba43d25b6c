"""Members that lie, each a small class over the honest node model.

They run a real engine, so they know everything a member knows, and change what they say. More than F of them are beyond
any promise.
"""

from __future__ import annotations

from consensus.simulator.node import SimNode


def adversary_of(name: str) -> type[SimNode]:
    """The class of a kind of liar."""
    return SimNode
