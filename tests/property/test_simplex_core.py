"""One core, any order of events: it never raises, never contradicts itself, does not mind hearing things twice."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given, settings

from consensus.engine import Accuse, Commit, Effect, Fault, LiftHold, Publish, SignProposal, SignVote, TransactionsReady
from consensus.messages import (
    BodyRequest,
    BodyResponse,
    CertificateRequest,
    CertificateResponse,
    Complaint,
    ComplaintReason,
    Evidence,
    Message,
    Part,
    Proposal,
    Status,
    decode_message,
    encode_message,
)
from consensus.simulator.probe import Probe, block_of
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.crypto import ZERO_HASH
from ledger.objects import Header, decode_header

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
VIEWS = 5


def script() -> list[Message]:
    """A chain of three blocks with a skipped view, two blocks in view 1, one that skips a view without proof, and every
    vote and certificate for them."""
    probe = Probe(4, me=3)
    first = probe.proposal(1, transactions=(b"a",))
    rival = probe.proposal(1, time_ms=probe.now + 1)
    proof = (probe.certificate(NOTARIZE, 1, block_of(first)),)
    second = probe.proposal(2, first, proof, time_ms=probe.now + 10)
    skipped = (probe.certificate(NOTARIZE, 2, block_of(second)), probe.certificate(NULLIFY, 3))
    fourth = probe.proposal(
        4, second, skipped, time_ms=probe.now + 20, proposer=probe.committee.validators[3].public_key
    )
    leap = probe.proposal(3, first, proof, time_ms=probe.now + 11)  # good only if view 2 was nullified
    messages: list[Message] = [first, rival, second, fourth, leap]
    for proposal, view in ((first, 1), (rival, 1), (second, 2)):
        for signer in range(3):
            messages += (
                probe.vote(NOTARIZE, view, block_of(proposal), signer),
                probe.vote(FINALIZE, view, block_of(proposal), signer),
            )
    for view in range(1, VIEWS):
        messages += (probe.vote(NULLIFY, view, ZERO_HASH, signer) for signer in range(3))
    messages += (probe.certificate(NULLIFY, view) for view in (3, 4))
    messages += (probe.certificate(kind, 2, block_of(second)) for kind in (NOTARIZE, FINALIZE))
    messages.append(Evidence(probe.vote(FINALIZE, 1, b"x" * 32, 0), probe.vote(FINALIZE, 1, b"y" * 32, 0)))
    messages.append(CertificateRequest(1, 1, 9))
    messages.append(BodyRequest(block_of(first), ()))
    return messages


SCRIPT = script()


def own_votes(effects: list[Effect]) -> list[tuple[VoteKind, int, bytes]]:
    """(kind, view, hash) of everything handed over for signing."""
    found: list[tuple[VoteKind, int, bytes]] = []
    for effect in effects:
        if isinstance(effect, Publish) and isinstance(effect.record, SignVote):
            found.append((effect.record.kind, effect.record.view, effect.record.block_hash))
        elif isinstance(effect, Publish) and isinstance(effect.record, SignProposal):
            found.append((NOTARIZE, effect.record.view, effect.record.block.hash))
    return found


def check_own(effects: list[Effect]) -> None:
    """What an honest member may sign: one hash per (kind, view), nothing after NULLIFY, NULLIFY never with FINALIZE."""
    votes = own_votes(effects)
    assert len({(kind, view) for kind, view, _ in votes}) == len(votes)
    nullified: set[int] = set()
    finalized: set[int] = set()
    for kind, view, _ in votes:
        if kind is NULLIFY:
            assert view not in finalized
            nullified.add(view)
        else:
            assert view not in nullified
            if kind is FINALIZE:
                finalized.add(view)


def check_commits(effects: list[Effect]) -> None:
    """Commits follow each other and repeat nothing."""
    hashes = [h for effect in effects if isinstance(effect, Commit) for h in effect.hashes]
    assert len(hashes) == len(set(hashes))


steps = st.one_of(
    st.integers(0, len(SCRIPT) - 1),
    st.tuples(st.just("wait"), st.integers(1, 700)),
    st.tuples(st.just("work"), st.booleans()),
    st.tuples(st.just("restart"), st.just(0)),
)


def play(probe: Probe, step: int | tuple[str, int]) -> None:
    """One step of a random story."""
    if isinstance(step, int):
        probe.hear(SCRIPT[step], peer=step % 3)
        return
    kind, value = step
    if kind == "wait":
        probe.later(value)
    elif kind == "work":
        probe.give(TransactionsReady(bool(value)))
    else:
        probe.restart()


class Reference:
    """What the rules say of one member's knowledge, without caches, pruning or order. `may` holds whatever was ever
    said to it, certificates inside proposals included; `must` what it cannot have missed in this life.
    """

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.may: set[Message] = set()
        self.must: set[Message] = set()

    def hear(self, message: Message) -> None:
        """The member is told something."""
        self.may.add(message)
        self.must.add(message)
        if isinstance(message, Proposal):
            self.may.update(message.justification)
            header = decode_header(message.header)
            leader = (header.view - 1) % 4
            own = Vote(NOTARIZE, header.epoch, header.view, block_of(message), leader, message.signature)
            self.may.add(own)

    def forget(self) -> None:
        """A new life knows what the log holds."""
        self.must = {entry for entry in self.probe.log if isinstance(entry, Vote | Certificate)}

    def certified(self, said: set[Message]) -> set[tuple[VoteKind, int, bytes]]:
        """Certificates among what was said, and those that its votes and the member's own make."""
        own = {entry for entry in self.probe.log if isinstance(entry, Vote)}
        signers: dict[tuple[VoteKind, int, bytes], set[int]] = {}
        found = set()
        for one in said | own:
            if isinstance(one, Certificate):
                found.add((one.kind, one.view, bytes(one.block_hash)))
            elif isinstance(one, Vote):
                signers.setdefault((one.kind, one.view, bytes(one.block_hash)), set()).add(one.signer)
        return found | {place for place, who in signers.items() if len(who) >= 3}

    def view(self, said: set[Message]) -> int:
        """R0: the view above the highest that is certified, reached without a gap or by a finalization."""
        places = self.certified(said)
        view = max((v + 1 for kind, v, _ in places if kind is FINALIZE), default=1)
        left = {v for _, v, _ in places}
        while view in left:
            view += 1
        return view

    def check(self) -> None:
        """The core is where the rules put it, and every vote of its own has its reason."""
        state, most = self.probe.state, self.certified(self.may)
        assert self.view(self.must) <= state.view <= max([1, *(v + 1 for _, v, _ in most)])
        blocks = {bytes(block_of(m)): decode_header(m.header) for m in self.may if isinstance(m, Proposal)}
        for kind, view, block_hash in own_votes(self.probe.seen):
            if kind is FINALIZE:
                assert (NOTARIZE, view, bytes(block_hash)) in most
            elif kind is NOTARIZE and bytes(block_hash) in blocks:
                self.justified(blocks[bytes(block_hash)], most)
            assert view <= state.view
        final = {block_hash for kind, _, block_hash in most if kind is FINALIZE}
        for commit in self.probe.effects(Commit):
            assert bytes(commit.hashes[-1]) in final or bytes(commit.finalization.block_hash) in final

    def justified(self, header: Header, places: set[tuple[VoteKind, int, bytes]]) -> None:
        """R1: the parent is certified, or genesis, and every view between is nullified."""
        certified = {(v, block) for kind, v, block in places if kind is not NULLIFY}
        assert header.parent_view == 0 or (header.parent_view, bytes(header.parent)) in certified
        nullified = {v for kind, v, _ in places if kind is NULLIFY}
        assert set(range(header.parent_view + 1, header.view)) <= nullified


@settings(max_examples=2_000, deadline=None)
@given(st.lists(steps, max_size=30))
def test_any_order_of_events_agrees_with_a_naive_reference(story: list[int | tuple[str, int]]) -> None:
    probe = Probe(4, me=3)
    probe.start()
    reference = Reference(probe)
    for step in story:
        if isinstance(step, int):
            reference.hear(SCRIPT[step])
        play(probe, step)
        if step == ("restart", 0):
            reference.forget()
    reference.check()
    check_own(probe.seen)
    state = probe.state
    assert len(state.views) <= state.view - state.final_view + 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SCRIPT) - 1), st.integers(1, 3)), max_size=30))
def test_hearing_things_twice_changes_nothing(story: list[tuple[int, int]]) -> None:
    once, twice = Probe(4, me=3), Probe(4, me=3)
    once.start()
    twice.start()
    for step, times in story:
        play(once, step)
        for _ in range(times):
            play(twice, step)
    assert own_votes(twice.seen) == own_votes(once.seen)
    assert [c.hashes for c in twice.effects(Commit)] == [c.hashes for c in once.effects(Commit)]
    assert (twice.state.view, twice.state.nullified) == (once.state.view, once.state.nullified)
    check_commits(twice.seen)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(3)), st.permutations(range(3)))
def test_votes_add_up_in_any_order(notarizers: list[int], finalizers: list[int]) -> None:
    probe = Probe(4, me=3)
    first = probe.proposal(1)
    probe.start()
    probe.hear(first, peer=0)
    order = [(FINALIZE, s) for s in finalizers] + [(NOTARIZE, s) for s in notarizers]
    for kind, signer in order:
        probe.hear(probe.vote(kind, 1, block_of(first), signer), peer=signer)
    assert [commit.hashes for commit in probe.effects(Commit)] == [(block_of(first),)]
    assert probe.state.view == 2


numbers = st.one_of(st.integers(0, 6), st.integers(0, (1 << 63) - 1))
hashes = st.one_of(
    st.sampled_from([ZERO_HASH, *(block_of(m) for m in SCRIPT if isinstance(m, Proposal))]),
    st.binary(min_size=32, max_size=32),
)
signatures = st.binary(min_size=64, max_size=64)
true_votes = st.sampled_from([m for m in SCRIPT if isinstance(m, Vote)])
votes = st.one_of(true_votes, st.builds(Vote, st.sampled_from(VoteKind), numbers, numbers, hashes, numbers, signatures))
certificates = st.sampled_from([m for m in SCRIPT if type(m).__name__ == "Certificate"])
proposals = st.sampled_from([m for m in SCRIPT if isinstance(m, Proposal)])
parts = st.lists(st.builds(Part, numbers, st.binary(max_size=8)), max_size=3).map(tuple)
headers = st.one_of(proposals.map(lambda proposal: proposal.header), st.binary(max_size=40))
anything: st.SearchStrategy[Message] = st.one_of(
    votes,
    certificates,
    proposals,
    st.builds(
        Proposal,
        headers,
        signatures,
        st.lists(hashes, max_size=2).map(tuple),
        parts,
        st.binary(max_size=4),
        st.lists(certificates, max_size=3).map(tuple),
    ),
    st.builds(Complaint, numbers, numbers, hashes, st.sampled_from(ComplaintReason), numbers, signatures),
    st.builds(CertificateRequest, numbers, numbers, numbers),
    st.builds(CertificateResponse, st.lists(certificates, max_size=4).map(tuple)),
    st.builds(BodyRequest, hashes, st.lists(numbers, max_size=3).map(tuple)),
    st.builds(BodyResponse, hashes, headers, numbers, parts, st.binary(max_size=4)),
    st.builds(Status, numbers, numbers, numbers, hashes, st.one_of(st.none(), votes)),
    st.builds(Evidence, votes, votes),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(anything, st.integers(0, 5)), max_size=25), st.booleans())
def test_no_message_makes_an_engine_raise_or_accuse_the_honest(story: list[tuple[Message, int]], held: bool) -> None:
    probe = Probe(4, me=3)
    probe.restart(held=held)
    probe.give(TransactionsReady(True))
    for message, peer in story:
        probe.hear(decode_message(encode_message(message)), peer=peer)
        probe.later(40)
    check_own(probe.seen)
    for accusation in probe.effects(Accuse):
        assert accusation.fault is Fault.PEER or (accusation.first is not None and accusation.first.signer != 3)
    lifts = probe.published(LiftHold)
    assert all(later.floor_view > earlier.floor_view for earlier, later in pairwise(lifts))
