"""R6 and A.7: what is sent again, what is told to peers, what they get when they ask."""

from __future__ import annotations

from consensus.engine import PeerId
from consensus.messages import (
    BodyRequest,
    BodyResponse,
    CertificateRequest,
    CertificateResponse,
    Part,
    Status,
)
from consensus.simplex.effects import MAX_PEERS, ask_certificates, broadcast, report_behind, send
from consensus.simplex.hold import note_status
from consensus.simplex.relay import look_at_links, pass_on_again
from consensus.simplex.state import BlockEntry, Peer, State
from ledger.certificates import Certificate
from ledger.codec import decode
from ledger.crypto import Hash
from ledger.objects import Body

MAX_CERTIFICATES = 256


def resend(state: State) -> None:
    """R6: own votes of this view and the one before, entering certificate, last finalization, own proposal."""
    if state.entering is not None:
        broadcast(state, state.entering)
    if state.finalization is not None and state.finalization is not state.entering:
        broadcast(state, state.finalization)
    for number in (state.view - 1, state.view):
        vs = state.views.get(number)
        if vs is not None:
            if vs.own_proposal is not None and number == state.view:
                broadcast(state, vs.own_proposal)
            for vote in vs.own:
                broadcast(state, vote)
            pass_on_again(state, vs)
    state.resends += 1
    delta = state.parameters.delta_ms
    state.resend_interval = min(state.resend_interval * 3 // 2, 4 * delta)
    state.resend_at = state.now + state.resend_interval
    if state.resends > 1:
        ask_certificates(state, None, state.final_view + 1 if state.resends % 2 else None)


def note_peer(state: State, peer: PeerId, key: bytes | None = None) -> None:
    """Remember a connection."""
    known = state.peers.get(peer)
    if known is None:
        if len(state.peers) >= MAX_PEERS:
            return
        known = state.peers[peer] = Peer()
    if key is not None:
        known.key = key
    look_at_links(state)


def send_status(state: State, peer: PeerId) -> None:
    """Where we stand, and the newest vote of theirs that we hold."""
    known = state.peers.get(peer)
    key = known.key if known is not None else None
    if key is None and known is not None and known.signer is not None:
        key = state.epoch.validators.validators[known.signer].public_key
    last = state.last_votes.get(key) if key is not None else None
    height = state.committed_height
    send(state, peer, Status(state.epoch.epoch, state.view, height, state.head_hash, last))


def send_all_status(state: State) -> None:
    """Every few seconds, pending or not."""
    for peer in state.peers:
        send_status(state, peer)
    state.status_at = state.now + state.parameters.status_interval_ms


def on_status(state: State, status: Status, peer: PeerId) -> None:
    """Help a peer that is behind, ask one that is ahead; heights are hints."""
    note_status(state, peer, status)
    mine = state.epoch.epoch
    if status.epoch > mine:
        ask_certificates(state, peer)
        report_behind(state, peer, status.final_height)
    elif status.epoch < mine:
        _help(state, peer, state.past.finalization if state.past is not None else None)
    else:
        ahead = status.final_height - state.committed_height
        if ahead > 2 or (ahead > 0 and any(fetch.attempts > 1 for fetch in state.fetches.values())):
            report_behind(state, peer, status.final_height)
        if status.view > state.view or status.final_height > state.committed_height:
            ask_certificates(state, peer)
        elif status.view < state.view or status.final_height < state.committed_height:
            _help(state, peer, state.entering)
            if state.finalization is not state.entering:
                _help(state, peer, state.finalization)


def _help(state: State, peer: PeerId, certificate: Certificate | None) -> None:
    if certificate is not None:
        send(state, peer, certificate)


def on_certificate_request(state: State, request: CertificateRequest, peer: PeerId) -> None:
    """Answer with what is held of the asked views; the highest finalization stands for everything below it."""
    found: list[Certificate] = []
    if request.epoch == state.epoch.epoch:
        if state.finalization is not None and state.finalization.view >= request.first_view:
            found.append(state.finalization)
        top = min(request.last_view, state.view + 1)
        for view in range(max(request.first_view, state.final_view + 1), top + 1):
            for certificates in (state.notarizations, state.nullifications):
                certificate = certificates.get(view)
                if certificate is not None and len(found) < MAX_CERTIFICATES:
                    found.append(certificate)
        entering = state.entering
        if entering is not None and entering not in found and entering.view >= request.first_view:
            found = [*found[: MAX_CERTIFICATES - 1], entering]
    elif state.past is not None and request.epoch == state.past.epoch:
        found.append(state.past.finalization)
    if found:
        send(state, peer, CertificateResponse(tuple(found)))


def on_body_request(state: State, request: BodyRequest, peer: PeerId) -> None:
    """Answer with the asked positions of a block that is held, or with all of it."""
    block_hash = Hash(request.block_hash)
    entry = state.blocks.get(block_hash)
    if entry is None and state.past is not None:
        entry = state.past.blocks.get(block_hash)
    if entry is not None and entry.block is not None:
        send(state, peer, _body_response(entry, request.missing))
    else:
        send_status(state, peer)  # committed in an earlier life, perhaps: sync has it, and the peer learns that it must


def _body_response(entry: BlockEntry, missing: tuple[int, ...]) -> BodyResponse:
    if entry.block is None:
        return BodyResponse(entry.hash, b"", 0, (), b"")
    body = decode(Body, entry.block.body_bytes)
    count = len(body.transactions)
    wanted = sorted({index for index in missing if index < count}) if missing else range(count)
    parts = tuple(Part(index, body.transactions[index]) for index in wanted)
    return BodyResponse(entry.hash, entry.block.header_bytes, count, parts, body.extra)
