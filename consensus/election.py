"""The election of market C (rules 5.2 of the market specification): composite scores vote for the producers of blocks.

Ids are bytes and compare as such, so every order is total and the same on every node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Election:
    """`queue`: the elected in the order in which they produce. `votes`: of every candidate, scores added up, ppm."""

    queue: tuple[bytes, ...]
    votes: Mapping[bytes, int]


def elect(
    scores: Mapping[bytes, int],
    ballots: Mapping[bytes, Sequence[bytes]],
    seats: int,
    barred: Collection[bytes] = (),
    capped: bool = False,
) -> Election:
    """Count the ballots and seat the first `seats` by votes, then score, both descending, then id.

    A ballot is cut to `seats` names; each candidate among them gets the voter's whole score once. A node without ballot
    counts as naming the `seats` highest scores. The barred vote but are no candidates; who has no score has no vote.
    `capped`: nobody keeps more than floor(2 * all votes / seats) (consensus B.4); what is above it is nobody's.
    Raise `ConfigError` SEATS for less than one seat.
    """
    if seats < 1:
        raise ConfigError(
            "an election fills at least one seat",
            code="SEATS",
            expected="1 or more",
            found=seats,
            fix="give the council's seats, as genesis has them",
        )
    candidates = [node for node in scores if node not in barred]
    silent = sorted(candidates, key=lambda node: (-scores[node], node))[:seats]
    votes = dict.fromkeys(sorted(candidates), 0)
    for voter, weight in scores.items():
        named = ballots[voter][:seats] if voter in ballots else silent
        for candidate in dict.fromkeys(named):
            if candidate in votes:
                votes[candidate] += weight
    if capped:
        most = 2 * sum(votes.values()) // seats
        votes = {node: min(found, most) for node, found in votes.items()}
    queue = sorted(votes, key=lambda node: (-votes[node], -scores[node], node))
    return Election(tuple(queue[:seats]), votes)
