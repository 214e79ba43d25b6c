"""One round of market C as published (rules 5.3 of the market specification): half of the agents suffices.

For conformance cases and the simulator only; no node decides by it. It tolerates faults of fewer than half of the
agents only if everyone hears the same digests in time, which is why nodes run the quorum of `consensus.simplex`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Round:
    """`votes`: of every agent but the producer; `yes`: how many agree; `accepted`: whether the block stands."""

    votes: Mapping[bytes, bool]
    yes: int
    accepted: bool


def published_round(
    agents: Sequence[bytes], digests: Mapping[bytes, bytes], producer: bytes, block_digest: bytes
) -> Round:
    """Items 2 to 4 of the rules.

    An agent accepts its own digest as verified if more than half of all agents, itself included, sent the same, and
    votes yes if the block's digest is that one. Half of the agents as yes votes accept the block; the producer has no
    vote. An agent that sent no digest votes no.
    """
    sent = [digests[agent] for agent in agents if agent in digests]
    votes = {}
    for agent in agents:
        if agent != producer:
            own = digests.get(agent)
            votes[agent] = own is not None and own == block_digest and 2 * sent.count(own) > len(agents)
    yes = sum(votes.values())
    return Round(votes, yes, 2 * yes >= len(agents))
