"""Consensus of market C: `c.score`, `c.elect`, `c.round` on the pure functions that an engine decides by."""

from __future__ import annotations

from typing import Any, Final

from consensus.composite_score import ONE, composite_scores
from consensus.election import elect
from consensus.published_round import published_round
from node.conformance.fields import ByName, Choice, Flag, Id, Integer, Many, OrNull, Row, Via, bad_case
from node.conformance.ids import to_bytes, to_text
from node.conformance.mechanism import Mechanism

_PPM: Final = Integer(0, ONE)
_SCORES: Final = ByName(Integer())
_BY_AGENT: Final = ByName(Flag(), sparse=True)
_VOTES: Final = Via(
    Choice((_BY_AGENT, Via(Many(Id()), lambda agents: dict.fromkeys(agents, True), _BY_AGENT))),
    lambda votes: votes,
    _BY_AGENT,
)
"""Of each agent, or the list of those that say yes."""


def _score(case: dict[str, Any]) -> dict[str, Any]:
    trades = {node: [(row["pre"], row["real"]) for row in rows] for node, rows in case["trades"].items()}
    return {"score_ppm": composite_scores(trades, case.get("previous") or {}, case["alpha_ppm"])}


def _elect(case: dict[str, Any]) -> dict[str, Any]:
    scores = {to_bytes(node): score for node, score in case["score_ppm"].items()}
    ballots = {
        to_bytes(voter): [to_bytes(name) for name in names]
        for voter, names in (case.get("ballots") or {}).items()
        if names is not None
    }
    barred = {to_bytes(name) for name in case.get("barred") or ()}
    election = elect(scores, ballots, case["seats"], barred)
    return {
        "queue": [to_text(name) for name in election.queue],
        "votes": {to_text(name): votes for name, votes in election.votes.items()},
    }


def _round(case: dict[str, Any]) -> dict[str, Any]:
    agents, producer = case["agents"], case["producer"]
    if len(set(agents)) != len(agents):
        raise bad_case("names an agent twice", "input.agents", "each agent once", ", ".join(agents)[:80])
    if producer not in agents:
        raise bad_case("is no agent", "input.producer", ", ".join(agents)[:80], producer)
    digests = {to_bytes(agent): to_bytes(digest) for agent, digest in case["digest"].items() if digest is not None}
    done = published_round(
        [to_bytes(agent) for agent in agents], digests, to_bytes(producer), to_bytes(case["block_digest"])
    )
    votes = {to_text(agent): vote for agent, vote in done.votes.items()}
    return {"yes": done.yes, "accepted": done.accepted, "votes": votes}


MECHANISMS: Final = (
    Mechanism(
        "c.score",
        Row(
            {
                "trades": ByName(Many(Row({"pre": Integer(), "real": Integer()}))),
                "alpha_ppm": _PPM,
                "previous": OrNull(_SCORES),
            },
            frozenset({"previous"}),
        ),
        Row({"score_ppm": _SCORES}),
        _score,
    ),
    Mechanism(
        "c.elect",
        Row(
            {
                "score_ppm": _SCORES,
                "ballots": OrNull(ByName(OrNull(Many(Id())))),
                "seats": Integer(0, 10**6),
                "barred": OrNull(Many(Id())),
            },
            frozenset({"ballots", "barred"}),
        ),
        Row({"queue": Many(Id()), "votes": ByName(Integer(), sparse=True)}),
        _elect,
    ),
    Mechanism(
        "c.round",
        Row(
            {
                "agents": Many(Id()),
                "digest": ByName(OrNull(Id())),
                "producer": Id(),
                "block_digest": Id(),
            }
        ),
        Row({"yes": Integer(), "accepted": Flag(), "votes": _VOTES}),
        _round,
    ),
)
