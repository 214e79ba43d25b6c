"""Random behaviours of the TLA+ model, replayed into the core: it signs what the model signs, then, and nothing else.

`tests/model/traces.py` draws them. Three cores vote, the fourth member is faulty: it leads every view, signs all,
and shows each core exactly the certificates that its next vote of the trace rests on.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from consensus.engine import (
    Commit,
    EpochStart,
    Expired,
    PeerId,
    Publish,
    Request,
    RequestKind,
    Send,
    SignProposal,
    SignVote,
    TimerKind,
)
from consensus.engine import TransactionsReady as Pending
from consensus.messages import BodyRequest, BodyResponse, Part, Proposal
from consensus.simulator.probe import Probe, block_of
from ledger.certificates import Certificate, VoteKind
from ledger.crypto import ZERO_HASH
from ledger.objects import Header, decode_header

TRACES: list[list[list[Any]]] = json.loads((Path(__file__).parents[1] / "model" / "traces.json").read_text("utf-8"))
FAULTY = 3
PEER = PeerId(FAULTY.to_bytes(32, "big"))
KINDS = {"notarize": VoteKind.NOTARIZE, "nullify": VoteKind.NULLIFY, "finalize": VoteKind.FINALIZE}
Place: TypeAlias = tuple[int, int]
"""View and block of a view; (0, 0) is genesis."""
Ballot: TypeAlias = tuple[VoteKind, int, bytes]


class Core(Probe):
    """A member; the faulty one leads every view."""

    def epoch(self, number: int = 1, boundary: Header | None = None, boundary_hash: Any = None) -> EpochStart:
        """See `Probe`."""
        start = super().epoch(number, boundary, boundary_hash)
        return EpochStart(start.epoch, start.boundary, start.boundary_hash, start.validators, (FAULTY,))

    def leader(self, view: int) -> int:
        """See `Probe`."""
        return FAULTY

    def ballots(self) -> list[Ballot]:
        """All votes so far, in order."""
        records = [effect.record for effect in self.effects(Publish)]
        assert not [record for record in records if isinstance(record, SignProposal)]
        return [(r.kind, r.view, bytes(r.block_hash)) for r in records if isinstance(r, SignVote)]


class Replay:
    """A run of one trace."""

    def __init__(self) -> None:
        self.cores = [Core(4, me=index) for index in range(3)]
        self.maker = Core(4, me=FAULTY)
        self.blocks: dict[Place, Proposal] = {}
        self.votes: dict[Ballot, list[int]] = {}
        for core in self.cores:
            core.start()
            core.give(Request(RequestKind.PEER_CONNECTED, PEER, core.committee.validators[FAULTY].public_key))
            core.give(Pending(True))

    def certificate(self, kind: VoteKind, view: int, block_hash: bytes = ZERO_HASH) -> Certificate | None:
        """The certificate of the votes so far and the faulty member's, if they suffice."""
        signers = sorted(self.votes.get((kind, view, bytes(block_hash)), []))[:2]
        if len(signers) < 2:
            return None
        maker = self.maker
        votes = [maker.vote(kind, view, block_hash, signer) for signer in (*signers, FAULTY)]
        return maker.scheme.assemble(votes, maker.committee)

    def notarization(self, place: Place) -> Certificate:
        """The one of a block that the trace says is notarized."""
        found = self.certificate(VoteKind.NOTARIZE, place[0], block_of(self.blocks[place]))
        assert found is not None, f"{place} is not notarized"
        return found

    def proposal(self, place: Place, parent: Place) -> Proposal:
        """The block, with what justifies its parent now. Made when it is first notarized."""
        view = place[0]
        just = [] if parent == (0, 0) else [self.notarization(parent)]
        for skipped in range(parent[0] + 1, view):
            found = self.certificate(VoteKind.NULLIFY, skipped)
            assert found is not None, f"view {skipped} is not nullified"
            just.append(found)
        above = self.blocks.get(parent)
        time_ms = self.maker.now + (0 if above is None else decode_header(above.header).height)
        raw = bytes([view, place[1]])
        return self.maker.proposal(view, above, tuple(just), (raw,), time_ms=time_ms)

    def open(self, core: Core, view: int) -> None:
        """Show the certificate by which a core enters a view."""
        if view == 1 or core.state.view >= view:
            return
        found = self.certificate(VoteKind.NULLIFY, view - 1)
        if found is None:
            place = next(p for p in sorted(self.blocks) if p[0] == view - 1 and self.votes_for(p) >= 2)
            found = self.notarization(place)
        self.show(core, found)

    def expire(self, core: Core, kind: TimerKind) -> None:
        """A core's timer runs out, if it is armed. Its clock is put back afterwards: in the model nobody has one."""
        for timer, due in core.armed().items():
            if timer.kind is kind:
                before, core.now = core.now, due
                core.give(Expired(timer))
                core.now = before

    def votes_for(self, place: Place) -> int:
        """Notarize votes of the honest for a block."""
        return len(self.votes.get((VoteKind.NOTARIZE, place[0], bytes(block_of(self.blocks[place]))), []))

    def show(self, core: Core, message: Certificate | Proposal) -> None:
        """The faulty member sends something, and every body that it is asked for."""
        mark = len(core.seen)
        core.hear(message, peer=FAULTY)
        self.expire(core, TimerKind.FETCH)
        for effect in core.seen[mark:]:
            if isinstance(effect, Send) and isinstance(effect.message, BodyRequest):
                self.answer(core, effect.message)

    def answer(self, core: Core, request: BodyRequest) -> None:
        """Send a whole body."""
        for proposal in self.blocks.values():
            if bytes(block_of(proposal)) == bytes(request.block_hash):
                parts = tuple(Part(part.index, part.transaction) for part in proposal.prefill)
                core.hear(BodyResponse(request.block_hash, proposal.header, len(parts), parts, b""), peer=FAULTY)

    def step(self, node: str, kind: str, view: int, block: int, parent: Place) -> Ballot:
        """Have a core cast a vote of the trace; returns the vote."""
        core, place = self.cores[int(node[1]) - 1], (view, block)
        if kind == "nullify":
            self.open(core, view)
            self.expire(core, TimerKind.VIEW)
            return VoteKind.NULLIFY, view, bytes(ZERO_HASH)
        if kind == "finalize":
            self.show(core, self.notarization(place))
        else:
            self.open(core, view)
            proposal = self.proposal(place, parent)
            self.blocks.setdefault(place, proposal)
            self.show(core, proposal)
        return KINDS[kind], view, bytes(block_of(self.blocks[place]))


@pytest.mark.parametrize("number", range(len(TRACES)))
def test_the_core_follows_the_model(number: int) -> None:
    replay = Replay()
    cast: list[list[Ballot]] = [[], [], []]
    for node, kind, view, block, *parent in TRACES[number]:
        ballot = replay.step(node, kind, view, block, (parent[0], parent[1]))
        cast[int(node[1]) - 1].append(ballot)
        replay.votes.setdefault(ballot, []).append(int(node[1]) - 1)
        assert [core.ballots() for core in replay.cores] == cast, f"at {node} {kind} {view} {block}"
    chains = [finalised(replay, core) for core in replay.cores]
    assert chains[0] == chains[1] == chains[2]
    final = [p for p in replay.blocks if replay.certificate(VoteKind.FINALIZE, p[0], block_of(replay.blocks[p]))]
    assert {bytes(block_of(replay.blocks[place])) for place in final} <= set(chains[0])


def finalised(replay: Replay, core: Core) -> list[bytes]:
    """What a core commits once it is shown every certificate that there is."""
    for view in range(1, 6):
        for place in sorted(p for p in replay.blocks if p[0] == view):
            for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE):
                found = replay.certificate(kind, view, block_of(replay.blocks[place]))
                if found is not None:
                    replay.show(core, found)
    return [bytes(block_hash) for effect in core.effects(Commit) for block_hash in effect.hashes]


def test_the_traces_are_worth_replaying() -> None:
    """Enough of everything: votes of all kinds, views up to the fifth, parents further back than one view."""
    votes = [vote for trace in TRACES for vote in trace]
    kinds = Counter(kind for _, kind, *_ in votes)
    assert min(kinds[kind] for kind in KINDS) >= 100
    assert max(view for _, _, view, *_ in votes) == 5
    assert sum(1 for _, kind, view, _, parent, _ in votes if kind == "notarize" and 0 < parent < view - 1) >= 20
