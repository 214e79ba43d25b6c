"""Committees of 20 to 150 in the simulator: what makes them fast changes nothing that is decided, checked or traced."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

import consensus.simplex.engine
import consensus.simulator.scheme
from consensus.scheme import Ed25519Scheme
from consensus.simplex.rest import is_still
from consensus.simulator import SeedOptions, SimulationOptions, run_seed
from consensus.simulator.options import draw
from consensus.simulator.scheme import MockScheme, RememberingScheme, mock_sign, scheme_of
from ledger.certificates import Vote, VoteKind, assemble, vote_bytes
from ledger.crypto import sha256
from ledger.validators import Validator, ValidatorSet

SEEDS = [
    *(draw(SimulationOptions(nodes=4, seconds=2), seed) for seed in range(4)),
    *(draw(SimulationOptions(nodes=7, seconds=2), seed) for seed in (0,)),
    draw(SimulationOptions(nodes=4, seconds=2, adversary="nullify-spammer"), 1),
    draw(SimulationOptions(nodes=4, seconds=2, adversary="forger"), 2),
    draw(SimulationOptions(nodes=7, seconds=2, adversary="equivocator"), 3),
    draw(SimulationOptions(engine="dpos", nodes=7, seconds=2), 4),
    draw(SimulationOptions(engine="sharded", nodes=8, seconds=1), 1),
    SeedOptions(1, nodes=7, seconds_ms=3_000, weighted=True, drop_ppm=200_000, jitter_ms=90),
]


@pytest.mark.parametrize("options", SEEDS, ids=lambda options: options.text())
def test_turns_that_move_nothing_are_left_out_without_a_trace(
    options: SeedOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every turn gone through to its end the run is the same, event by event."""
    found: list[bool] = []

    def counted(*args: object) -> bool:
        found.append(is_still(*args))  # type: ignore[arg-type]  # those of `is_still`
        return found[-1]

    monkeypatch.setattr(consensus.simplex.engine, "is_still", counted)
    fast = run_seed(options)
    monkeypatch.setattr(consensus.simplex.engine, "is_still", lambda *_: False)
    whole = run_seed(options)
    assert fast.good, fast.text()
    assert fast == whole
    assert found.count(True) * 5 > len(found), f"only {found.count(True)} of {len(found)} turns were left out"


def test_remembered_verdicts_change_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = draw(SimulationOptions(nodes=20, seconds=1), 3)
    cases = [plain, replace(plain, real_crypto=True, seconds_ms=400, quiet=False)]
    remembered = [run_seed(options) for options in cases]
    monkeypatch.setattr(consensus.simulator.scheme, "LARGE_COMMITTEE", 1_000)
    assert isinstance(scheme_of("simulated", 20, real=True), Ed25519Scheme)
    assert [run_seed(options) for options in cases] == remembered
    assert remembered[0].good


def test_a_remembering_scheme_takes_no_certificate_that_its_scheme_refuses() -> None:
    """Also where it has accepted another certificate of the same statement, and every true vote of it is known."""
    keys = [sha256(b"%d" % index) for index in range(20)]
    members = ValidatorSet(tuple(Validator(f"v{n}", key) for n, key in enumerate(keys)))
    data = vote_bytes("simulated", members.hash, VoteKind.NOTARIZE, 1, 1, sha256(b"block"))
    votes = [Vote(VoteKind.NOTARIZE, 1, 1, sha256(b"block"), n, mock_sign(key, data)) for n, key in enumerate(keys)]
    inner, scheme = MockScheme("simulated"), RememberingScheme(MockScheme("simulated"))
    assert scheme.forged(votes, members) == ()
    good = assemble(votes[: members.quorum], members)
    assert scheme.verify_certificate(good, members)
    rest = votes[members.quorum]
    other = structs.replace(
        good, signers=(*good.signers[1:], rest.signer), signatures=(*good.signatures[1:], rest.signature)
    )
    assert scheme.verify_certificate(other, members)
    forged = structs.replace(good, signatures=(bytes(64), *good.signatures[1:]))
    swapped = structs.replace(good, signers=(*good.signers[1::-1], *good.signers[2:]))
    crossed = structs.replace(good, signatures=(*good.signatures[1::-1], *good.signatures[2:]))
    short = structs.replace(good, signers=good.signers[1:], signatures=good.signatures[1:])
    long = structs.replace(good, signers=(*good.signers, rest.signer), signatures=(*good.signatures, rest.signature))
    stranger = structs.replace(good, signers=(*good.signers[:-1], 20))
    another = structs.replace(good, block_hash=sha256(b"another"))
    for bad in (forged, swapped, crossed, short, long, stranger, another):
        assert not inner.verify_certificate(bad, members)
        assert not scheme.verify_certificate(bad, members)
        assert not scheme.verify_certificate(bad, members), "nor the second time"
    wrong = structs.replace(votes[0], signature=bytes(64))
    assert scheme.forged([wrong, *votes[1:3], wrong], members) == (0, 3)
    assert scheme.forged([wrong, *votes[1:3]], members) == (0,)
    assert not scheme.verify_vote(wrong, members)


def test_sixty_members_for_a_moment() -> None:
    report = run_seed(SeedOptions(1, nodes=60, seconds_ms=900, quiet=False, jitter_ms=30, drop_ppm=20_000))
    assert report.violations == ()
    assert report.blocks >= 1


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("engine", ["bft", "dpos"])
@pytest.mark.parametrize("seed", [0, 3])
def test_a_hundred_and_fifty_members(engine: str, seed: int) -> None:
    report = run_seed(draw(SimulationOptions(engine=engine, nodes=150, seconds=20), seed))
    assert report.good, report.text()
