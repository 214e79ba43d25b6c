"""Where not everybody is linked with everybody, members pass on what others sign, verified and once."""

from __future__ import annotations

import msgspec
import pytest

from consensus.engine import Accuse, Broadcast, Event, PeerId, Request, RequestKind, TimerKind, TransactionsReady
from consensus.messages import Message, Proposal
from consensus.simplex import relay
from consensus.simplex.state import State
from consensus.simulator.node import SimNode, index_of
from consensus.simulator.options import SeedOptions
from consensus.simulator.probe import Probe, block_of
from consensus.simulator.simulation import run_seed
from ledger.certificates import VoteKind
from ledger.crypto import ZERO_HASH, sha256

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
BLOCK = sha256(b"block")


def peer(index: int) -> PeerId:
    return PeerId(index.to_bytes(32, "big"))


def linked_with(*members: int, of: int = 10) -> Probe:
    """The last of ten members, linked with some of them."""
    probe = Probe(of, me=of - 1)
    probe.start()
    for member in members:
        key = probe.committee.validators[member].public_key
        probe.give(Request(RequestKind.PEER_CONNECTED, peer(member), key))
    probe.clear()
    return probe


def passes_on(probe: Probe) -> bool:
    return probe.state.relaying


def told(probe: Probe) -> list[Message]:
    """What went to all peers."""
    return [effect.message for effect in probe.effects(Broadcast)]


def test_a_mesh_in_which_f_are_down_passes_nothing_on() -> None:
    probe = linked_with(0, 1, 2, 3, 4, 5)
    assert not passes_on(probe), "seven of ten, itself counted: three may be down"
    probe.hear(probe.vote(FINALIZE, 1, BLOCK, 3), peer=3)
    assert told(probe) == []
    probe.give(Request(RequestKind.PEER_GONE, peer(5)))
    assert passes_on(probe)
    one = linked_with(0)
    assert not passes_on(one), "there is nobody to pass anything on to"


def test_a_vote_is_passed_on_once_and_not_after_its_certificate() -> None:
    probe = linked_with(0, 1, 2, 3)
    for bringer in (0, 1, 2, 0):
        probe.hear(probe.vote(FINALIZE, 1, BLOCK, 7), peer=bringer)
    assert told(probe) == [probe.vote(FINALIZE, 1, BLOCK, 7)]
    probe.clear()
    for signer in range(6):
        probe.hear(probe.vote(FINALIZE, 1, BLOCK, signer), peer=0)
    assert probe.state.final_view == 1
    probe.clear()
    probe.hear(probe.vote(FINALIZE, 1, BLOCK, 6), peer=1)
    assert told(probe) == []


def test_a_forgery_is_not_passed_on_and_its_bringer_made_it() -> None:
    probe = linked_with(0, 1, 2, 3)
    probe.hear(msgspec.structs.replace(probe.vote(FINALIZE, 1, BLOCK, 7), signature=bytes(64)), peer=2)
    assert [(effect.peer, effect.reason) for effect in probe.effects(Accuse)] == [(peer(2), "bad-signature")]
    assert told(probe) == []
    probe.hear(probe.vote(FINALIZE, 1, BLOCK, 7), peer=1)
    assert told(probe) == [probe.vote(FINALIZE, 1, BLOCK, 7)]


def test_two_votes_of_one_member_are_evidence_and_the_second_is_not_passed_on() -> None:
    probe = linked_with(0, 1, 2, 3)
    probe.hear(probe.vote(FINALIZE, 1, BLOCK, 7), peer=0)
    probe.clear()
    probe.hear(probe.vote(FINALIZE, 1, sha256(b"other"), 7), peer=1)
    assert [type(message).__name__ for message in told(probe)] == ["Evidence"]


def test_a_proposal_goes_on_under_the_justification_held_here() -> None:
    probe = linked_with(0, 1, 2, 3)
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    assert [message for message in told(probe) if isinstance(message, Proposal)] == [first]
    probe.hear(probe.certificate(NOTARIZE, 1, block_of(first)), peer=1)
    probe.clear()
    probe.now += 300
    forged = msgspec.structs.replace(probe.certificate(NULLIFY, 1), signatures=(bytes(64),) * 7)
    second = probe.proposal(2, parent=first, just=(probe.certificate(NOTARIZE, 1, block_of(first)),))
    tainted = msgspec.structs.replace(second, justification=(*second.justification, forged))
    probe.hear(tainted, peer=2)
    on = [message for message in told(probe) if isinstance(message, Proposal)]
    assert on == [second], "what was not signed and does not hold stays here"
    probe.hear(second, peer=3)
    assert len([message for message in told(probe) if isinstance(message, Proposal)]) == 1


def test_what_was_lost_further_on_is_said_again() -> None:
    probe = linked_with(0, 1, 2, 3)
    probe.give(TransactionsReady(True))
    vote = probe.vote(NULLIFY, 1, ZERO_HASH, 7)
    probe.hear(vote, peer=1)
    probe.clear()
    wait = probe.timer(TimerKind.RESEND)
    assert wait is not None
    probe.later(wait)
    assert vote in told(probe)


# --- a whole world of few links ---------------------------------------------------------------------------------------

STEPS = (1, 3)
"""Whom a node of the ring is linked with, on either side: four links of nine."""


def few_links(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def near(one: int, other: int) -> bool:
        return min((one - other) % size, (other - one) % size) in STEPS

    turn, send = SimNode.turn, SimNode.send

    def turned(node: SimNode, event: Event) -> None:
        stranger = isinstance(event, Request) and event.peer is not None and not near(node.index, index_of(event.peer))
        if not stranger:
            turn(node, event)

    def sent(node: SimNode, other: int, message: Message) -> None:
        if near(node.index, other):
            send(node, other, message)

    monkeypatch.setattr(SimNode, "turn", turned)
    monkeypatch.setattr(SimNode, "send", sent)


def test_ten_with_four_links_each_make_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    few_links(monkeypatch, 10)
    report = run_seed(SeedOptions(5, nodes=10, seconds_ms=6_000))
    assert report.good, report.text()
    assert report.blocks > 10


@pytest.mark.parametrize("adversary", ["forger", "id-forger"])
def test_liars_among_few_links_get_no_honest_member_accused(adversary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few_links(monkeypatch, 10)
    report = run_seed(SeedOptions(6, nodes=10, seconds_ms=6_000, adversary=adversary, byzantine=2))
    assert report.good, report.text()


def test_without_passing_on_the_same_world_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    few_links(monkeypatch, 10)

    def never(state: State) -> None:
        state.relaying = False

    for module in ("gossip", "engine", "recovery"):
        monkeypatch.setattr(f"consensus.simplex.{module}.look_at_links", never)
    assert relay.look_at_links is not never
    report = run_seed(SeedOptions(5, nodes=10, seconds_ms=6_000))
    assert not report.good
