"""Certificates behind an interface: verified at the quorum and not before, forgeries found and charged to who brought
them, in committees of 4 to 150; and a scheme without single signatures, to see that the interface suffices."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import pytest

from consensus.engine import Accuse, Fault
from consensus.messages import Complaint
from consensus.scheme import Ed25519Scheme, Scheme, bisected
from consensus.simulator.probe import Probe, block_of
from consensus.simulator.scheme import MockScheme, mock_sign
from consensus.simulator.world import CHAIN_ID
from ledger.certificates import Certificate, Vote, VoteKind, vote_bytes
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, SigningKey, sha256
from ledger.errors import ProofError
from ledger.validators import Validator, ValidatorSet

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


class Counting(MockScheme):
    """Writes down every vote it is shown, alone or among others."""

    def __init__(self) -> None:
        super().__init__(CHAIN_ID)
        self.alone: list[Vote] = []
        self.together: list[tuple[Vote, ...]] = []

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        self.alone.append(vote)
        return super().verify_vote(vote, validators)

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        self.together.append(tuple(votes))
        return super().forged(votes, validators)

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        return MockScheme(CHAIN_ID).assemble(votes, validators)

    @property
    def shown(self) -> list[Vote]:
        return self.alone + [vote for votes in self.together for vote in votes]


class OneTag:
    """Votes melt into one tag, as signatures of an aggregating scheme do: a certificate shows no single vote."""

    def __init__(self) -> None:
        self._mock = MockScheme(CHAIN_ID)

    def verify_vote(self, vote: Vote, validators: ValidatorSet) -> bool:
        return self._mock.verify_vote(vote, validators)

    def forged(self, votes: Sequence[Vote], validators: ValidatorSet) -> tuple[int, ...]:
        def holds(begin: int, end: int) -> bool:
            owed = [self._signature(vote, vote.signer, validators) for vote in votes[begin:end]]
            return _tag(owed) == _tag([vote.signature for vote in votes[begin:end]])

        return bisected(len(votes), holds)

    def verify_complaint(self, complaint: Complaint, validators: ValidatorSet) -> bool:
        return self._mock.verify_complaint(complaint, validators)

    def verify_certificate(self, certificate: Certificate, validators: ValidatorSet) -> bool:
        signers = certificate.signers
        if list(signers) != sorted(set(signers)) or not signers or signers[-1] >= len(validators):
            return False
        if validators.weight_of(list(signers)) < validators.quorum or len(certificate.signatures) != 1:
            return False
        return certificate.signatures[0] == _tag([self._signature(certificate, s, validators) for s in signers])

    def assemble(self, votes: Sequence[Vote], validators: ValidatorSet) -> Certificate:
        listed = self._mock.assemble(votes, validators)
        tag = _tag(list(listed.signatures))
        return Certificate(listed.kind, listed.epoch, listed.view, listed.block_hash, listed.signers, (tag,))

    def votes_of(self, certificate: Certificate) -> tuple[Vote, ...]:
        return ()

    def _signature(self, said: Vote | Certificate, signer: int, validators: ValidatorSet) -> bytes:
        data = self._mock.vote_bytes(said.kind, said.epoch, said.view, said.block_hash, validators.hash)
        return mock_sign(validators.validators[signer].public_key, data)


def _tag(signatures: list[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(signatures)).digest()


def committee(members: int, scheme: Scheme | None = None, weights: tuple[int, ...] = ()) -> tuple[Probe, Counting]:
    """The last member of a committee, in view 1, which the first leads; no work is known."""
    probe = Probe(members, me=members - 1, weights=weights)
    counting = Counting()
    probe.scheme = scheme or counting
    probe.start()
    probe.clear()
    return probe, counting


def accused(probe: Probe) -> list[int]:
    """Peers that were accused of bad signatures, in order."""
    found = []
    for effect in probe.effects(Accuse):
        assert (effect.fault, effect.reason) == (Fault.PEER, "bad-signature")
        assert effect.peer is not None
        found.append(int.from_bytes(effect.peer, "big"))
    return found


def damaged(vote: Vote) -> Vote:
    return Vote(vote.kind, vote.epoch, vote.view, vote.block_hash, vote.signer, bytes(64))


# --- finding forgeries among many -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 34, 100, 150])
def test_halving_finds_exactly_the_bad_ones(count: int) -> None:
    draw = random.Random(count)
    for bad in [set(), set(range(count)), *({n for n in range(count) if draw.random() < 0.1} for _ in range(30))]:
        asked: list[tuple[int, int]] = []

        def holds(begin: int, end: int, bad: set[int] = bad, asked: list[tuple[int, int]] = asked) -> bool:
            asked.append((begin, end))
            return not bad & set(range(begin, end))

        assert set(bisected(count, holds)) == bad, f"seed {count}"
        assert len(set(asked)) == len(asked) <= max(1, 2 * count), f"seed {count}"
        if not bad:
            assert len(asked) == min(count, 1)


def test_one_bad_among_a_hundred_costs_some_ten_looks() -> None:
    for bad in range(100):
        looks = 0

        def holds(begin: int, end: int, bad: int = bad) -> bool:
            nonlocal looks
            looks += 1
            return not begin <= bad < end

        assert bisected(100, holds) == (bad,)
        assert looks <= 1 + 2 * 7


@pytest.mark.parametrize("bad", [(), (0,), (57,), (99,), (3, 4, 50), tuple(range(0, 100, 7))])
def test_a_signature_list_looks_at_each_once(bad: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [SigningKey(sha256(b"key %d" % index)) for index in range(100)]
    voters = ValidatorSet(tuple(Validator(f"v{index}", key.public) for index, key in enumerate(keys)))
    block_hash = sha256(b"a block")
    message = vote_bytes(CHAIN_ID, voters.hash, NOTARIZE, 1, 7, block_hash)
    votes = [Vote(NOTARIZE, 1, 7, block_hash, n, key.sign(DOMAIN_VOTE, message)) for n, key in enumerate(keys)]
    for position in bad:
        votes[position] = damaged(votes[position])
    looks = 0

    def verify(*arguments: bytes) -> bool:
        nonlocal looks
        looks += 1
        return real(*arguments)

    from consensus import scheme as module

    real = module.verify  # type: ignore[attr-defined]  # counted where the scheme finds it
    monkeypatch.setattr(module, "verify", verify)
    assert Ed25519Scheme(CHAIN_ID).forged(votes, voters) == bad
    assert looks == 100
    stranger = Vote(NOTARIZE, 1, 7, block_hash, 100, votes[1].signature)
    assert Ed25519Scheme(CHAIN_ID).forged([stranger], voters) == (0,)


# --- in the core ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "quorum"), [(4, 3), (50, 34), (150, 100)])
def test_votes_are_looked_at_when_they_reach_a_quorum_and_each_once(members: int, quorum: int) -> None:
    probe, scheme = committee(members)
    block_hash = sha256(b"somebody's block")
    for signer in range(quorum - 1):
        probe.hear(probe.vote(FINALIZE, 1, block_hash, signer), peer=signer)
        probe.hear(probe.vote(FINALIZE, 1, block_hash, signer), peer=signer)
    assert scheme.shown == []
    probe.hear(probe.vote(FINALIZE, 1, block_hash, quorum - 1), peer=quorum - 1)
    assert [len(votes) for votes in scheme.together] == [quorum]
    assert probe.state.final_view == 1
    for signer in range(quorum, members - 1):
        probe.hear(probe.vote(FINALIZE, 1, block_hash, signer), peer=signer)
    assert len(scheme.shown) == quorum, "what comes later decides nothing and costs nothing"
    assert accused(probe) == []


def test_one_bad_among_a_hundred_costs_its_bringer_and_one_more_vote_decides() -> None:
    probe, scheme = committee(150)
    for signer in range(100):
        vote = probe.vote(FINALIZE, 1, sha256(b"block"), signer)
        probe.hear(damaged(vote) if signer == 57 else vote, peer=signer)
    assert accused(probe) == [57]
    assert probe.state.final_view == 0
    assert 57 not in probe.state.views[1].finalize
    probe.hear(probe.vote(FINALIZE, 1, sha256(b"block"), 100), peer=100)
    assert probe.state.final_view == 1
    assert accused(probe) == [57]
    assert [len(votes) for votes in scheme.together] == [100, 1]
    assert len({(v.signer, v.signature) for v in scheme.shown}) == len(scheme.shown) == 101, "each vote once"


def test_nullify_above_f_counts_as_work_only_if_it_is_signed() -> None:
    probe, scheme = committee(50)
    for signer in range(1, 18):
        vote = probe.vote(NULLIFY, 1, ZERO_HASH, signer)
        probe.hear(damaged(vote) if signer == 3 else vote, peer=signer)
    assert accused(probe) == [3]
    assert (probe.state.work_since is None) is True
    probe.hear(probe.vote(NULLIFY, 1, ZERO_HASH, 18), peer=18)
    assert (probe.state.work_since is None) is False
    assert [len(votes) for votes in scheme.together] == [17, 1]


@pytest.mark.parametrize("members", [50, 150])
def test_several_bad_ones_are_all_found_and_the_true_votes_replace_them(members: int) -> None:
    probe, scheme = committee(members)
    quorum = probe.committee.quorum
    bad = {1, 2, 9, quorum - 1}
    for signer in range(quorum):
        vote = probe.vote(FINALIZE, 1, sha256(b"block"), signer)
        probe.hear(damaged(vote) if signer in bad else vote, peer=200 + signer)
    assert sorted(accused(probe)) == sorted(200 + signer for signer in bad)
    assert probe.state.final_view == 0
    for signer in sorted(bad):
        assert probe.state.final_view == 0
        probe.hear(probe.vote(FINALIZE, 1, sha256(b"block"), signer), peer=signer)
    assert probe.state.final_view == 1
    assert len(accused(probe)) == len(bad)
    assert len(scheme.shown) <= quorum + len(bad)


def test_a_forgery_does_not_keep_the_true_vote_out_and_only_its_bringer_pays() -> None:
    probe, _ = committee(50)
    true = probe.vote(FINALIZE, 1, sha256(b"block"), 5)
    probe.hear(damaged(true), peer=77)
    probe.hear(true, peer=5)
    assert accused(probe) == [77]
    slot = probe.state.views[1].finalize[5]
    assert slot.vote == true


def test_weights_decide_and_not_heads() -> None:
    weights = (40, 30, 10, 10, *(1,) * 46)
    probe, _ = committee(50, weights=weights)
    total = sum(weights)
    assert probe.committee.quorum == (total + (total - 1) // 3) // 2 + 1 == 91
    for signer in range(4, 49):
        probe.hear(probe.vote(FINALIZE, 1, sha256(b"block"), signer), peer=signer)
    for signer in (1, 2):
        probe.hear(probe.vote(FINALIZE, 1, sha256(b"block"), signer), peer=signer)
    assert accused(probe) == []
    probe.hear(damaged(probe.vote(FINALIZE, 1, sha256(b"block"), 0)), peer=0)
    assert accused(probe) == [0]
    assert probe.state.final_view == 0, "47 of 50 have signed, of weight 85"
    probe.hear(probe.vote(FINALIZE, 1, sha256(b"block"), 0), peer=0)
    certificate = probe.state.finalization
    assert certificate is not None
    chosen = probe.committee.weight_of(list(certificate.signers))
    assert chosen >= 91 > chosen - min(weights[signer] for signer in certificate.signers)


# --- another scheme ---------------------------------------------------------------------------------------------------


def test_a_scheme_without_single_signatures_runs_the_same_core() -> None:
    probe, _ = committee(4, OneTag())
    assert isinstance(probe.scheme, OneTag)
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    for signer in (0, 1):
        probe.hear(probe.vote(NOTARIZE, 1, block_of(first), signer), peer=signer)
    assert len(probe.state.notarizations[1].signatures) == 1
    for signer in (0, 1):
        probe.hear(probe.vote(FINALIZE, 1, block_of(first), signer), peer=signer)
    assert probe.state.head.height == 1
    probe.now += 300
    second = probe.proposal(2, parent=first, just=(probe.certificate(FINALIZE, 1, block_of(first)),))
    probe.hear(second, peer=1)
    probe.hear(probe.certificate(FINALIZE, 2, block_of(second)), peer=2)
    assert probe.state.head.height == 2
    bad = probe.certificate(NULLIFY, 3)
    probe.hear(Certificate(bad.kind, 1, 3, bad.block_hash, bad.signers, (bytes(64),)), peer=2)
    assert [effect.reason for effect in probe.effects(Accuse)] == ["bad-certificate"]
    assert probe.state.view == 3


def test_conflicting_certificates_name_signers_only_where_votes_are_shown() -> None:
    for scheme, named in ((None, 3), (OneTag(), 0)):
        probe, _ = committee(4, scheme)
        probe.hear(probe.certificate(NOTARIZE, 1, sha256(b"one")))
        probe.hear(probe.certificate(NOTARIZE, 1, sha256(b"other")))
        faults = [effect.fault for effect in probe.effects(Accuse)]
        assert faults == [Fault.EQUIVOCATION] * named


def test_less_than_a_quorum_makes_no_certificate() -> None:
    probe, scheme = committee(50)
    votes = [probe.vote(FINALIZE, 1, sha256(b"b"), signer) for signer in range(33)]
    with pytest.raises(ProofError):
        scheme.assemble(votes, probe.committee)
