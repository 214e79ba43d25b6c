"""Rules removed on purpose, to prove that the checker would notice (C.2: a mutant needs some tens of seeds to die).

Each replaces one function of the core for the time of a run. `no-log` and `body-not-durable` forget what the driver's
model writes (`World.mutate_entries`), `quorum` weakens the sets that engines are given, never the auditor's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from consensus.engine import PeerId
from consensus.simplex import (
    ancestry,
    certificates,
    effects,
    engine,
    gossip,
    proposals,
    recovery,
    tally,
    voting,
)
from consensus.simplex.state import Fetch, Slot, State, ViewState
from ledger.certificates import Certificate, VoteKind
from ledger.crypto import Hash


@dataclass(frozen=True, slots=True)
class Mutant:
    """What a mutant does without, and what it puts in the place of which functions."""

    without: str
    patches: tuple[tuple[ModuleType, str, Callable[..., Any]], ...] = ()


def _always_nullify(state: State, vs: ViewState) -> bool:
    return not vs.my_nullify and state.may_vote(vs.view)


def _always_finalize(state: State, vs: ViewState, certificate: Certificate) -> bool:
    return state.may_vote(vs.view)


def _nothing(*_args: object) -> None:
    return None


def _credulous(state: State, certificate: Certificate, peer: PeerId) -> bool:
    fits = certificate.epoch == state.epoch.epoch and certificate.view > state.final_view
    return fits and certificates.add_certificate(state, certificate, peer)


def _resend_nothing(state: State) -> None:
    state.resend_at = state.now + state.resend_interval


def _ask_nobody(state: State, block_hash: Hash, outstanding: Fetch, preferred: Sequence[PeerId] = ()) -> None:
    outstanding.at = state.now + state.parameters.delta_ms


def _status_to_nobody(state: State) -> None:
    state.status_at = state.now + state.parameters.status_interval_ms


def _proof_unseen(*_args: object) -> tuple[Certificate, ...]:
    return ()


def _suspicious(state: State, view: ViewState, slot: Slot) -> None:
    other = view.notarize.get(slot.vote.signer)
    if slot.vote.kind is VoteKind.NULLIFY and other is not None:
        effects.accuse_signer(state, other.vote, slot.vote, "notarize-and-nullify")


def _no_fault(*_args: object) -> str:
    return ""


def _bodiless(state: State) -> bool:
    voted = False
    for view, certificate in state.notarizations.items():
        vs = state.view_state(view)
        if vs.my_finalize is None and not vs.my_nullify and state.may_vote(view):
            entry = state.entry(Hash(certificate.block_hash))
            voting._finalize(state, vs, entry)
            voted = True
    return voted


MUTANTS: Final[dict[str, Mutant]] = {
    "nullify-and-finalize": Mutant(
        "R5's guard: nullify and finalize in one view never",
        ((voting, "may_nullify", _always_nullify), (voting, "may_finalize", _always_finalize)),
    ),
    "no-log": Mutant("the write-ahead log"),
    "body-not-durable": Mutant("the body under the same sync as its vote"),
    "quorum": Mutant("one vote of the quorum"),
    "unjustified-parent": Mutant(
        "the check of a proposal's justification", ((proposals, "justification", _proof_unseen),)
    ),
    "no-resend": Mutant("R6", ((gossip, "resend", _resend_nothing), (gossip, "send_all_status", _status_to_nobody))),
    "no-hold": Mutant("the amnesia guard", ((recovery, "Hold", _nothing),)),
    "slots-forgotten": Mutant("own slots after a restart", ((recovery, "_recover_vote", _nothing),)),
    "no-fetch": Mutant("the search for missing bodies", ((ancestry, "_ask", _ask_nobody),)),
    "evidence-against-honest": Mutant("what an honest member may sign", ((tally, "_contradiction", _suspicious),)),
    "header-unchecked": Mutant("what makes a header invalid", ((proposals, "header_fault", _no_fault),)),
    "finalize-unseen": Mutant("R2: only what is held and valid", ((engine, "finalize_notarized", _bodiless),)),
    "certificates-unchecked": Mutant(
        "the verification of a peer's certificate",
        ((engine, "receive_certificate", _credulous), (proposals, "receive_certificate", _credulous)),
    ),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Run with a rule missing; the empty name is the true core. Raise `KeyError` for an unknown mutant."""
    patches = MUTANTS[name].patches if name else ()
    true = [(module, attribute, getattr(module, attribute)) for module, attribute, _ in patches]
    try:
        for module, attribute, replacement in patches:
            setattr(module, attribute, replacement)
        yield
    finally:
        for module, attribute, original in true:
            setattr(module, attribute, original)
