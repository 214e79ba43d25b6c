"""Large blocks name their transactions by 8 bytes; names are not signed, so no lie about them hurts the block or an
honest peer (failure 12 of the list)."""

from __future__ import annotations

import msgspec
import pytest

from consensus import compact
from consensus.compact import SHORT_ABOVE, Names, count_of, make_proposal, shortener
from consensus.engine import (
    BODY_MISMATCH,
    Accuse,
    Check,
    Checked,
    Halt,
    PeerId,
    Request,
    RequestKind,
    Send,
    SignProposal,
    StoredBlock,
    Verdict,
)
from consensus.messages import BodyRequest, BodyResponse, Part, Proposal, encode_message
from consensus.simulator.options import SeedOptions
from consensus.simulator.probe import Probe, block_of
from consensus.simulator.simulation import run_seed
from ledger.certificates import VoteKind
from ledger.crypto import ZERO_HASH, Hash, sha256
from ledger.objects import transaction_id

NOTARIZE, FINALIZE = VoteKind.NOTARIZE, VoteKind.FINALIZE


def ids(count: int) -> tuple[Hash, ...]:
    return tuple(transaction_id(b"transaction %d" % index) for index in range(count))


def published(probe: Probe, count: int) -> Proposal:
    """The message that goes to peers for a block of that many transactions."""
    certificates = (probe.certificate(FINALIZE, 1, sha256(b"parent")),)
    block = StoredBlock(sha256(b"block"), probe.proposal(2).header, b"")
    return make_proposal(SignProposal(1, 2, block, ids(count), (), b"", certificates), bytes(64))


def test_above_a_thousand_names_are_short_and_a_proposal_is_a_quarter() -> None:
    probe = Probe(4)
    full, short = published(probe, SHORT_ABOVE), published(probe, SHORT_ABOVE + 1)
    assert (len(full.transaction_ids), full.short_ids) == (1_000, b"")
    assert (short.transaction_ids, len(short.short_ids)) == ((), 8 * 1_001)
    assert (count_of(full), count_of(short)) == (1_000, 1_001)
    assert 34_000 < len(encode_message(full)) < 36_000
    assert len(encode_message(short)) < 9_500, "of 300 bytes each, the transactions themselves are 300 kB"


def test_short_names_are_keyed_by_the_block() -> None:
    one, other = shortener(sha256(b"one")), shortener(sha256(b"other"))
    assert {len(one(id)) for id in ids(100)} == {8}
    assert len({one(id) for id in ids(100)} | {other(id) for id in ids(100)}) == 200


# --- in the core ------------------------------------------------------------------------------------------------------


def peer(index: int) -> PeerId:
    return PeerId(index.to_bytes(32, "big"))


def connected() -> Probe:
    probe = Probe(4, me=3)
    probe.start()
    for member in (0, 1, 2):
        probe.give(Request(RequestKind.PEER_CONNECTED, peer(member), probe.committee.validators[member].public_key))
    probe.clear()
    return probe


def shortened(proposal: Proposal) -> Proposal:
    """The same proposal with short names."""
    name = shortener(block_of(proposal))
    joined = b"".join(map(name, proposal.transaction_ids))
    return msgspec.structs.replace(proposal, transaction_ids=(), short_ids=joined)


def lacking(probe: Probe, proposal: Proposal, positions: tuple[int, ...], verdict: Verdict = Verdict.MISSING) -> None:
    reason = BODY_MISMATCH if verdict is Verdict.INVALID else ""
    probe.give(Checked(1, 1, ZERO_HASH, block_of(proposal), verdict, None, positions, reason))


def body(proposal: Proposal, positions: tuple[int, ...]) -> BodyResponse:
    parts = tuple(part for part in proposal.prefill if part.index in positions)
    return BodyResponse(block_of(proposal), proposal.header, len(proposal.prefill), parts, b"")


def asked(probe: Probe) -> list[tuple[int, tuple[int, ...]]]:
    requests = [(e.peer, e.message) for e in probe.effects(Send) if isinstance(e.message, BodyRequest)]
    return [(int.from_bytes(who, "big"), request.missing) for who, request in requests]


def test_missing_positions_come_from_the_leader_and_fit_their_short_names() -> None:
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b", b"c"))
    probe.hear(shortened(proposal), peer=0)
    lacking(probe, proposal, (1, 2))
    assert asked(probe) == [(0, (1, 2))]
    probe.answer = True
    probe.hear(body(proposal, (1, 2)), peer=0)
    assert [part.index for part in probe.effects(Check)[-1].parts] == [1, 2]
    assert probe.votes() == [(NOTARIZE, 1)]


def test_a_substituted_part_costs_the_leader_that_sent_both_and_nobody_else() -> None:
    for bringer, accused in ((0, [0]), (1, [])):
        probe = connected()
        probe.answer = False
        proposal = probe.proposal(1, transactions=(b"a", b"b"))
        probe.hear(shortened(proposal), peer=0)
        lacking(probe, proposal, (1,))
        wrong = BodyResponse(block_of(proposal), proposal.header, 2, (Part(1, b"x"),), b"")
        probe.hear(wrong, peer=bringer)
        assert [int.from_bytes(e.peer or b"", "big") for e in probe.effects(Accuse)] == accused
        probe.answer = True
        probe.hear(body(proposal, (0, 1)), peer=2)
        assert probe.votes() == [(NOTARIZE, 1)]


@pytest.mark.parametrize("lie", ["substituted", "swapped", "doubled", "shorter", "longer", "full ids of others"])
def test_names_changed_on_the_way_cost_no_honest_peer_and_not_the_block(lie: str) -> None:
    probe = connected()
    probe.answer = False
    proposal = probe.proposal(1, transactions=(b"a", b"b"))
    true = shortened(proposal)
    a, b = true.short_ids[:8], true.short_ids[8:]
    changed = {"substituted": a + bytes(8), "swapped": b + a, "doubled": a + a, "shorter": a, "longer": a + b + a}
    forged = msgspec.structs.replace(true, short_ids=changed.get(lie, b""), prefill=())
    if lie not in changed:
        forged = msgspec.structs.replace(forged, transaction_ids=ids(2))
    probe.hear(forged, peer=2)
    lacking(probe, proposal, (), Verdict.INVALID)
    assert asked(probe) == [(2, ())], "all of it: only the header decides"
    probe.answer = True
    probe.hear(body(proposal, (0, 1)), peer=0)
    assert probe.effects(Accuse) == []
    assert probe.votes() == [(NOTARIZE, 1)]


@pytest.mark.parametrize("short_ids", [bytes(7), bytes(9), b"both kinds"[:8]])
def test_names_in_no_form_are_the_bringers_fault_and_leave_the_view_open(short_ids: bytes) -> None:
    probe = connected()
    proposal = probe.proposal(1, transactions=(b"a",))
    full = proposal.transaction_ids if len(short_ids) == 8 else ()
    probe.hear(msgspec.structs.replace(proposal, transaction_ids=full, short_ids=short_ids), peer=2)
    assert [(e.peer, e.reason) for e in probe.effects(Accuse)] == [(peer(2), "malformed-ids")]
    probe.hear(proposal, peer=0)
    assert probe.votes() == [(NOTARIZE, 1)]
    assert probe.effects(Halt) == []


def test_too_many_short_names_are_not_read() -> None:
    probe = connected()
    proposal = probe.proposal(1, transactions=(b"a",))
    many = bytes(8 * (probe.parameters.max_block_txs + 1))
    probe.hear(msgspec.structs.replace(proposal, transaction_ids=(), short_ids=many), peer=2)
    assert [e.reason for e in probe.effects(Accuse)] == ["too-many-ids"]


def test_names_fit_only_what_they_name() -> None:
    proposal = shortened(Probe(4).proposal(1, transactions=(b"a", b"b")))
    names = Names(proposal, block_of(proposal))
    assert len(names) == 2
    assert names.fits(0, b"a")
    assert not names.fits(1, b"a")
    assert not names.fits(2, b"b")


# --- in whole worlds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversary", ["", "id-forger"])
def test_worlds_of_short_names_that_collide_all_the_time_lose_no_block(
    adversary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte for eight: every second block has two of a name, or finds a stranger's transaction under one."""
    monkeypatch.setattr(compact, "SHORT_ABOVE", 0)
    real = shortener
    monkeypatch.setattr(compact, "shortener", lambda key: lambda id: real(key)(id)[:1] * 8)
    byzantine = 1 if adversary else 0
    options = SeedOptions(3, nodes=4, seconds_ms=6_000, load_ms=20, adversary=adversary, byzantine=byzantine)
    report = run_seed(options)
    assert report.good, report.text()
    assert report.blocks > 10
