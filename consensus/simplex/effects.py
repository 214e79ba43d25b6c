"""Short ways to say the commonest effects."""

from __future__ import annotations

from collections.abc import Iterable

from consensus.engine import (
    Accuse,
    Behind,
    Broadcast,
    EpochStart,
    Fault,
    PeerId,
    Publish,
    Record,
    Send,
)
from consensus.messages import CertificateRequest, Message
from consensus.simplex.state import State
from ledger.certificates import Vote

MAX_ACCUSED = 1024
MAX_PEERS = 1024


def publish(state: State, record: Record) -> None:
    """Own bytes: the driver signs, logs and sends them."""
    state.out.append(Publish(record))


def broadcast(state: State, message: Message) -> None:
    """To every validator's node."""
    state.out.append(Broadcast(message))


def send(state: State, peer: PeerId, message: Message) -> None:
    """To one peer."""
    state.out.append(Send(peer, message))


def accuse_peer(state: State, peer: PeerId | None, reason: str, expected: str = "", found: str = "") -> None:
    """A peer sent what no honest one sends."""
    if peer is not None:
        state.out.append(Accuse(Fault.PEER, reason, peer, expected=expected, found=found))


def accuse_signer(state: State, first: Vote, second: Vote, reason: str) -> bool:
    """Evidence, once per (signer, epoch, view, reason); False if it is old."""
    key = (first.signer, first.epoch, first.view, reason)
    if key in state.accused:
        return False
    if len(state.accused) >= MAX_ACCUSED:
        del state.accused[next(iter(state.accused))]
    state.accused[key] = None
    state.out.append(Accuse(Fault.EQUIVOCATION, reason, None, first, second))
    return True


def next_peer(state: State, preferred: Iterable[PeerId] = (), attempt: int = 0) -> PeerId | None:
    """The peer whose turn it is to be asked: the preferred ones first, then all others in turn."""
    wanted = [peer for peer in dict.fromkeys(preferred) if peer in state.peers]
    if attempt < len(wanted):
        return wanted[attempt]
    if not state.peers:
        return None
    state.turn_of = (state.turn_of + 1) % len(state.peers)
    for position, peer in enumerate(state.peers):
        if position == state.turn_of:
            return peer
    return None


def peers_of(state: State, signers: Iterable[int]) -> list[PeerId]:
    """Peers that are, or seem to be, the nodes of these signers."""
    wanted = set(signers)
    found = []
    for peer, known in state.peers.items():
        index = state.epoch.validators.index_of(known.key) if known.key is not None else known.signer
        if index in wanted:
            found.append(peer)
    return found


def ask_certificates(state: State, peer: PeerId | None = None, first: int | None = None) -> None:
    """Ask for certificates from view `first` on, by default from the lowest view that has none; once in Delta/2."""
    if state.now < state.certificates_asked_at:
        return
    chosen = peer if peer is not None else next_peer(state)
    if chosen is None:
        return
    if first is None:
        first = state.final_view + 1
        while first < state.view and (first in state.nullifications or first in state.notarizations):
            first += 1
    state.certificates_asked_at = state.now + state.parameters.delta_ms // 2
    send(state, chosen, CertificateRequest(state.epoch.epoch, first, max(first, state.view)))


def report_behind(state: State, peer: PeerId, height: int) -> None:
    """Ask the node to sync from a peer; at most once in two Delta."""
    if state.now >= state.behind_at and height > state.committed_height:
        state.behind_at = state.now + 2 * state.parameters.delta_ms
        state.out.append(Behind(peer, height))


def leader_key(epoch: EpochStart, view: int) -> bytes:
    """Public key of the leader of a view."""
    return epoch.validators.validators[epoch.leaders[(view - 1) % len(epoch.leaders)]].public_key
