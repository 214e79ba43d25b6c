"""Accepting certificates: from a quorum of votes here, from a peer, from the log (R2, R3, R4)."""

from __future__ import annotations

from consensus.engine import LogCertificate, PeerId
from consensus.simplex.ancestry import forget_far
from consensus.simplex.effects import accuse_peer, broadcast, publish
from consensus.simplex.state import State
from consensus.simplex.tally import conflicting_certificates, quorum_votes
from ledger.certificates import Certificate, VoteKind


def certify(state: State) -> bool:
    """Turn tallies that have reached a quorum into certificates. True if there was one."""
    found = False
    while state.ready:
        number, kind, block_hash = state.ready.pop(0)
        view = state.views.get(number)
        if view is None or number <= state.final_view or state.held(kind, number) is not None:
            continue
        votes = quorum_votes(state, view, kind, block_hash)
        if votes is not None:
            certificate = state.scheme.assemble(votes, state.epoch.validators)
            found |= add_certificate(state, certificate, None)
            share(state, certificate)
    return found


def share(state: State, certificate: Certificate) -> None:
    """Broadcast a certificate, once."""
    key = (certificate.kind, certificate.view)
    if key not in state.shared:
        state.shared.add(key)
        broadcast(state, certificate)


def receive_certificate(state: State, certificate: Certificate, peer: PeerId) -> bool:
    """Verify a peer's certificate of the current epoch, if it is news; True if it was accepted."""
    view, kind = certificate.view, certificate.kind
    if certificate.epoch != state.epoch.epoch or view < state.final_view or view < 1:
        return False
    known = state.held(kind, view)
    if known is None and view == state.final_view:
        known = state.finalization if kind is not VoteKind.NOTARIZE else None
        if known is None:
            return False
    if known is not None and known.kind is kind and known.block_hash == certificate.block_hash:
        return False
    if not state.scheme.verify_certificate(certificate, state.epoch.validators):
        accuse_peer(state, peer, "bad-certificate")
        return False
    if known is not None:
        conflicting_certificates(state, known, certificate)
        return False
    return add_certificate(state, certificate, peer)


def add_certificate(state: State, certificate: Certificate, peer: PeerId | None, logged: bool = False) -> bool:
    """Take a verified certificate of the current epoch. True if it is news."""
    view, kind = certificate.view, certificate.kind
    if view <= state.final_view or state.held(kind, view) is not None:
        return False
    if not logged:
        publish(state, LogCertificate(certificate))
    state.certificate_version += 1
    if kind is VoteKind.FINALIZE:
        rival = state.nullifications.get(view)
        if rival is not None:
            conflicting_certificates(state, rival, certificate)
        _accept_finalization(state, certificate)
        if peer is not None:
            share(state, certificate)
    elif kind is VoteKind.NULLIFY:
        state.nullifications[view] = certificate
    else:
        state.notarizations[view] = certificate
    if view + 1 > state.next_view:
        state.next_view = view + 1
        state.next_entering = certificate
    return True


def _accept_finalization(state: State, certificate: Certificate) -> None:
    state.finalization = certificate
    state.nullified //= 2
    prune_views(state)
    forget_far(state)


def prune_views(state: State) -> None:
    """Forget votes and certificates at and below the highest final view."""
    floor = state.final_view
    if state.owed_since is not None and state.owed_since < floor:
        state.owed_since = None
    for certificates in (state.notarizations, state.nullifications):
        for view in [view for view in certificates if view <= floor]:
            del certificates[view]
    for view in [view for view in state.views if view <= floor]:
        del state.views[view]
    state.shared = {key for key in state.shared if key[1] > floor}
