"""The table of peers: who is linked, over which connection, and what happens on it.

One connection per peer. Two of the same life of a peer (both dialed at once): the one dialed by the smaller node id
stays, and what waited on the other moves over. Two lives with one key: the newest session wins, both sides log
`KEY_IN_USE`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from ledger.errors import BadSignature, DecodeError, GridchainError, PeerFault, ProofError
from p2p.addresses import AddressBook, KnownAddress, encode_list
from p2p.frames import Channel, Frame, PeerId, encode_frame
from p2p.handshake import HandshakeFailed, Introduced
from p2p.hello import Refuse, Session, received_refusal, refusal
from p2p.inbox import HOLD_BYTES, Inbox
from p2p.limits import Passage
from p2p.link import Link
from p2p.outbox import Offer
from p2p.peer import Peer
from p2p.refusals import RefusalLog
from p2p.settings import Clock, NetworkSettings, NetworkStatistics, PeerHandler
from p2p.topology import admits_link, to_trim

_log = structlog.get_logger("p2p")
_CROSSING_S: Final = 10.0
_SETTLED_S: Final = 2.0


class Lost(Protocol):
    """Told of a link that is gone, how long it lasted, and whether the peer had too many."""

    def __call__(self, node_id: PeerId, lasted_s: float, *, crowded: bool) -> None:
        """Called on the loop."""
        ...


class Connections:
    """All accepted peers. `changed` is called when a link was made or news of addresses came, `lost` when one is
    gone.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        own: tuple[PeerId, Session],
        book: AddressBook,
        handler: PeerHandler,
        clock_ms: Clock,
        statistics: NetworkStatistics,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._own, self._session = own
        self._book = book
        self._handler = handler
        self._clock_ms = clock_ms
        self._statistics = statistics
        self._by_link: dict[Link, Peer] = {}
        self._banned: dict[PeerId, float] = {}
        self.peers: dict[PeerId, Peer] = {}
        self.links: set[Link] = set()
        self.refusals = RefusalLog(settings.kept_refusals)
        self.inbox = Inbox(self._deliver, self._tell)
        self.changed: Callable[[], None] = _nothing
        self.lost: Lost = _nothing_lost

    def note(self, fault: PeerFault, address: str, *, outbound: bool, node_id: bytes = b"", name: str = "") -> None:
        """Keep and log a refusal."""
        by_peer = isinstance(fault, HandshakeFailed) and fault.by_peer
        self.refusals.add(
            fault, self._clock_ms(), by_peer=by_peer, outbound=outbound, address=address, node_id=node_id, name=name
        )

    # --- who may be linked --------------------------------------------------------------------------------------------

    def judge(self, introduced: Introduced, dialed: bool) -> PeerFault | None:
        """Whether a peer with a good certificate may be linked: the verdict inside TLS."""
        node, session = introduced.certificate.node_id, introduced.session
        who = f"{node.hex()[:32]} ({introduced.certificate.organisation})"
        if node == self._own:
            if session.instance == self._session.instance:
                return refusal("SELF", "another node", "this node itself")
            return refusal("KEY_IN_USE", _life(node, self._session), _life(node, session))
        if self._banned.get(node, 0.0) > self._loop.time():
            return refusal("BANNED", f"{self._settings.ban_s:g} s without this peer", who)
        reason = self._settings.admit(node)
        if reason is not None:
            return refusal("UNKNOWN_MEMBER", f"a registered member: {reason}", who)
        known = self.peers.get(node)
        if known is not None:
            held = known.introduced.session
            if held.instance != session.instance and held.started_ms > session.started_ms:
                return refusal("KEY_IN_USE", _life(node, held), _life(node, session))
            if dialed and known.outbound and held.instance == session.instance:
                return refusal("DUPLICATE_LINK", "one connection", "a second one")
        if not admits_link(
            node, len(self._others() | {node}), self.peers.keys(), self._settings.is_validator, self._settings.links
        ):
            return refusal("TOO_MANY_LINKS", 2 * self._settings.links.max_links, len(self.peers) + 1)
        return None

    def register(self, introduced: Introduced, link: Link, *, outbound: bool) -> None:
        """Both sides have accepted: the connection becomes the peer's, or yields to the one there is."""
        node, session = introduced.certificate.node_id, introduced.session
        known = self.peers.get(node)
        if known is not None and known.introduced.session.instance == session.instance:
            if self._keeps(known, outbound):
                link.open(self)
                self._retire(link)
                return
            self._by_link[link] = known
            old = known.replace(introduced, link, outbound=outbound)
            self._retire(old)
            link.open(self)
        else:
            if known is not None:
                held = known.introduced.session
                self.drop(known, refusal("KEY_IN_USE", _life(node, session), _life(node, held)), ban=False)
            known = Peer(introduced, link, self._settings.traffic, outbound=outbound, since_ms=self._clock_ms())
            self.peers[node] = known
            self._by_link[link] = known
            self._statistics.connects += 1
            self.inbox.up(known)
            link.open(self)
        if self.peers.get(node) is known:
            for payload in encode_list(self._book.all()):
                self.queue(known, Channel.PEERS, encode_frame(Channel.PEERS, payload))
            known.ping()
        self.changed()

    def _keeps(self, known: Peer, outbound: bool) -> bool:
        """Of two connections of one life: crossed dialing is settled by the ids; else the newer one is right."""
        crossed = known.outbound != outbound and self._loop.time() - known.up_at < _CROSSING_S
        return crossed and known.outbound == (self._own < known.id)

    def _retire(self, link: Link) -> None:
        """Close a connection that another one replaces. What it still brings for its peer is handed on."""
        link.say(Refuse("DUPLICATE_LINK", "one connection", "a second one"))
        link.close()

    # --- sending and ending -------------------------------------------------------------------------------------------

    def queue(self, peer: Peer, channel: Channel, frame: bytes) -> bool:
        """Queue an encoded frame; a peer too slow for votes and blocks is disconnected."""
        match peer.send(channel, frame):
            case Offer.QUEUED:
                self._statistics.frames_out += 1
                return True
            case Offer.DROPPED:
                self._statistics.dropped += 1
            case Offer.OVERFLOW:
                waiting = f"{peer.link.outbox.queued_bytes} bytes waiting"
                self.drop(peer, refusal("SLOW_PEER", f"a peer that reads {channel.name}", waiting), ban=False)
        return False

    def drop(self, peer: Peer, fault: PeerFault, *, ban: bool) -> None:
        """End a peer's connection for a fault, telling it why. Banned, it is refused for `ban_s`."""
        name = peer.certificate.organisation
        self.note(fault, peer.link.remote, outbound=peer.outbound, node_id=peer.id, name=name)
        if ban:
            self._banned[peer.id] = self._loop.time() + self._settings.ban_s
        peer.gone = True
        peer.dismiss(fault)
        self._remove(peer, str(fault), crowded=fault.code == "TOO_MANY_LINKS")

    def check(self, now: float, *, fair: bool) -> None:
        """Ping everybody; drop who is silent, if `fair` (this node itself was awake)."""
        limit = self._settings.silence_timeout_s
        self._banned = {node: until for node, until in self._banned.items() if until > now}
        for peer in list(self.peers.values()):
            silent = peer.silent_for(now)
            if fair and silent > limit:
                fault = refusal("SILENT_PEER", f"a word every {limit:g} s", f"{silent:.1f} s of silence")
                self.drop(peer, fault, ban=False)
                peer.link.abort()
            else:
                peer.ping()
        self._trim(now)

    def _others(self) -> set[PeerId]:
        return {address.node_id for address in self._book.others()} | self.peers.keys()

    def _trim(self, now: float) -> None:
        """Above the mesh limit: let go of links that newcomers needed for their start, own ones last."""
        old = [peer for peer in self.peers.values() if now - peer.up_at > _SETTLED_S]
        settled = [peer.id for peer in sorted(old, key=lambda peer: not peer.outbound)]
        links, policy = len(self.peers), self._settings.links
        for node in to_trim(settled, len(self._others()), links, self._settings.is_validator, policy):
            self.drop(self.peers[node], refusal("TOO_MANY_LINKS", policy.max_links, links), ban=False)

    def _remove(self, peer: Peer, reason: str, *, crowded: bool = False) -> None:
        if self.peers.get(peer.id) is peer:
            del self.peers[peer.id]
            self._statistics.disconnects += 1
            self.inbox.down(peer, reason)
            self.lost(peer.id, self._loop.time() - peer.up_at, crowded=crowded)

    # --- what links report (LinkSink) ---------------------------------------------------------------------------------

    def link_frames(self, link: Link, frames: list[Frame]) -> None:
        """Frames of an open connection: limits, control at once, the rest to the inbox."""
        peer = self._by_link.get(link)
        if peer is None:
            return
        now = link.heard_at
        self._statistics.frames_in += len(frames)
        for channel, payload in frames:
            if peer.gone:
                return
            passage = peer.passage(channel, len(payload), now)
            if passage is Passage.FLOOD:
                self.drop(peer, refusal("FLOOD", f"the limits of {channel.name}", "more"), ban=True)
            elif passage is Passage.DROP:
                self._statistics.throttled += 1
            elif channel is Channel.CONTROL:
                self._control(peer, link, payload)
            else:
                self.inbox.put(peer, channel, payload)
        if peer.inbox_bytes > HOLD_BYTES:
            link.pause_reading()

    def link_faulted(self, link: Link, fault: PeerFault) -> None:
        """The framing of an open connection is broken."""
        peer = self._by_link.get(link)
        if peer is not None and not peer.gone:
            self.drop(peer, fault, ban=True)

    def link_lost(self, link: Link, reason: str) -> None:
        """A connection is gone. Its peer is gone with it, unless another connection has replaced it."""
        self.links.discard(link)
        self._statistics.bytes_in += link.bytes_in
        self._statistics.bytes_out += link.bytes_out
        self._statistics.writes += link.writes
        peer = self._by_link.pop(link, None)
        if peer is not None and peer.link is link:
            self._remove(peer, reason)

    def _control(self, peer: Peer, link: Link, payload: bytes) -> None:
        answer = peer.control(payload)
        if answer is None or link is not peer.link:
            return
        if isinstance(answer, PeerFault):
            self.drop(peer, answer, ban=True)
        elif answer.code != "DUPLICATE_LINK":
            fault = HandshakeFailed(received_refusal(answer), by_peer=True)
            self.note(fault, link.remote, outbound=peer.outbound, node_id=peer.id, name=peer.certificate.organisation)
            peer.link.close()
            self._remove(peer, str(fault))

    # --- handing on (from the inbox's task) ---------------------------------------------------------------------------

    def _deliver(self, peer: Peer, channel: Channel, payload: bytes) -> None:
        try:
            if channel is Channel.PEERS:
                self._learn(peer, payload)
            else:
                self._handler.on_frame(peer.id, channel, payload)
        except PeerFault as fault:
            self.drop(peer, fault, ban=True)
        except (DecodeError, BadSignature, ProofError) as error:
            self.drop(peer, _as_fault(error), ban=True)

    def _tell(self, peer: Peer, reason: str | None) -> None:
        name = peer.certificate.organisation
        if reason is None:
            _log.info("peer.up", peer=name, id=peer.id.hex()[:16], address=peer.link.remote, outbound=peer.outbound)
            self._handler.on_peer_up(peer.id, peer.info())
        else:
            _log.info("peer.down", peer=name, id=peer.id.hex()[:16], reason=reason)
            self._handler.on_peer_down(peer.id, reason)

    def _learn(self, source: Peer, payload: bytes) -> None:
        news: list[KnownAddress] = self._book.learn(payload)
        if not news:
            return
        for text in encode_list(news):
            frame = encode_frame(Channel.PEERS, text)
            for peer in list(self.peers.values()):
                if peer is not source:
                    self.queue(peer, Channel.PEERS, frame)
        self.changed()


def _as_fault(error: GridchainError) -> PeerFault:
    return PeerFault(error.message, code=error.code, expected=error.expected, found=error.found, fix=error.fix)


def _life(node: PeerId, session: Session) -> str:
    return f"{node.hex()[:16]} started at {session.started_ms} ms, instance {session.instance.hex()[:8]}"


def _nothing() -> None:
    """Nobody listens yet."""


def _nothing_lost(node_id: PeerId, lasted_s: float, *, crowded: bool) -> None:
    """Nobody listens yet."""
