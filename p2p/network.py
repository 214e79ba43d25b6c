"""A node's place among the others: listens, dials, shakes hands; `p2p.connections` keeps who is linked.

    async with Network.open(settings, identity, handler, clock_ms) as network: ...

Nothing that a peer sends leaves here as an exception: it ends that peer's connection, is logged, and is kept in
`refusals()`. What the handler raises as `PeerFault`, `DecodeError`, `BadSignature` or `ProofError` counts as the peer's
fault too; anything else is this node's own fault and ends the scope.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import structlog

from ledger.errors import ConfigError, PeerFault
from p2p.addresses import AddressBook, format_address, parse_address, sign_address
from p2p.certificates import NodeIdentity
from p2p.connections import Connections
from p2p.dialer import Dialer, DialResult, Goal
from p2p.frames import Channel, PeerId, encode_frame
from p2p.handshake import HandshakeFailed, HandshakeTerms, shake_hands
from p2p.hello import HelloRules, Session, refusal
from p2p.link import Link
from p2p.listener import stop_listening
from p2p.peer import PeerInfo
from p2p.refusals import Refusal
from p2p.settings import Clock, NetworkSettings, NetworkStatistics, PeerHandler
from p2p.topology import is_mesh

__all__ = [
    "Channel",
    "Clock",
    "Network",
    "NetworkSettings",
    "NetworkStatistics",
    "NodeIdentity",
    "PeerHandler",
    "PeerId",
    "PeerInfo",
    "Refusal",
]

_log = structlog.get_logger("p2p")
_CLOSE_S: Final = 1.5


class Network:
    """Connections to all peers. Made by `open`; every method is called on the loop."""

    def __init__(
        self, settings: NetworkSettings, identity: NodeIdentity, handler: PeerHandler, clock_ms: Clock, port: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        session = Session(b"", clock_ms(), os.urandom(16))
        place = parse_address(settings.advertise) if settings.advertise else (settings.listen_host, port)
        own = sign_address(identity, settings.chain_id, place, session.started_ms, settings.name)
        self._book = AddressBook(own, settings.chain_id, lambda node: settings.admit(node) is None)
        self._statistics = NetworkStatistics()
        self._connections = Connections(
            settings, (identity.node_id, session), self._book, handler, clock_ms, self._statistics
        )
        self._terms = HandshakeTerms(
            identity=identity,
            rules=HelloRules(
                settings.chain_id, settings.genesis_hash, identity.ca_fingerprints, settings.max_clock_skew_ms
            ),
            started_ms=session.started_ms,
            instance=session.instance,
            clock_ms=clock_ms,
            accept=self._connections.judge,
            server_context=identity.tls_context(server_side=True),
            client_context=identity.tls_context(server_side=False),
            timeout_s=settings.handshake_timeout_s,
        )
        self._dialer = Dialer(
            self._book,
            settings.seeds,
            (settings.dial, settings.links),
            settings.is_validator,
            self._connections.peers.keys,
            settings.jitter,
        )
        self._connections.changed = self._dialer.poke
        self._connections.lost = self._dialer.lost
        self._shaking: dict[Link, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: NetworkSettings, identity: NodeIdentity, handler: PeerHandler, clock_ms: Clock
    ) -> AsyncIterator[Network]:
        """Listen and dial until the scope ends. Raise `ConfigError` if the listen address cannot be used."""
        _check(settings)
        opened: list[Network] = []
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: Link(settings.lanes, lambda link: opened[0]._arrived(link)),
                settings.listen_host,
                settings.listen_port,
                start_serving=False,
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {settings.listen_host}:{settings.listen_port}: {error}",
                code="LISTEN_FAILED",
                fix="choose another [p2p] host and port, or stop the program that has it",
            ) from None
        own_error: BaseException | None = None
        try:
            network = cls(settings, identity, handler, clock_ms, server.sockets[0].getsockname()[1])
            opened.append(network)
            async with asyncio.TaskGroup() as group:
                network._begin(group)
                await server.start_serving()
                _log.info("network.listening", address=network.address, node_id=network.node_id.hex())
                try:
                    yield network
                except BaseException as error:
                    own_error = error
                    raise
                finally:
                    await stop_listening(server)
                    await network._end()
        except BaseExceptionGroup as errors:
            if own_error is not None and errors.exceptions == (own_error,):
                raise own_error from None  # the caller's own error leaves as it came, not wrapped in a group
            raise
        finally:
            server.close()
            await asyncio.sleep(0)

    # --- for the node -------------------------------------------------------------------------------------------------

    @property
    def node_id(self) -> PeerId:
        """This node's own id."""
        return self._terms.identity.node_id

    @property
    def address(self) -> str:
        """host:port that this node tells others to dial."""
        return self._book.own.place

    @property
    def full_mesh(self) -> bool:
        """Whether every known node that can be reached is linked directly, so that nothing needs to be relayed."""
        linked = self._connections.peers.keys()
        others = {known.node_id for known in self._book.others()} | linked
        return is_mesh(self._settings.links, len(others)) and all(
            node in linked or self._dialer.unreachable(node) for node in others
        )

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        """Queue a frame. False if the peer is gone or its queue is full (for votes and blocks: it is disconnected
        then).

        Raise `TooLarge` for a payload above the channel's limit.
        """
        found = self._connections.peers.get(peer)
        return found is not None and self._connections.queue(found, channel, encode_frame(channel, payload))

    def broadcast(
        self, channel: Channel, payload: bytes, *, only: Collection[PeerId] | None = None, skip: PeerId | None = None
    ) -> None:
        """Queue a frame to every peer, or to those of `only`, but not to `skip`."""
        frame = encode_frame(channel, payload)
        for peer in list(self._connections.peers.values()):
            if peer.id != skip and (only is None or peer.id in only):
                self._connections.queue(peer, channel, frame)

    def peers(self) -> list[PeerInfo]:
        """The connected peers, by node name."""
        peers = self._connections.peers.values()
        return sorted((peer.info() for peer in peers), key=lambda info: (info.node_name, info.id))

    def peer_ids(self) -> list[PeerId]:
        """The connected peers' ids, in no order; cheap."""
        return list(self._connections.peers)

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        """End a peer's connection for a fault of its, tell it why, and refuse it for `ban_s`."""
        found = self._connections.peers.get(peer)
        if found is not None:
            self._connections.drop(found, fault, ban=True)

    def refusals(self) -> list[Refusal]:
        """The last refusals in both directions, newest last."""
        return self._connections.refusals.entries()

    def refusal_counts(self) -> dict[str, int]:
        """How many refusals since the start, by code."""
        return dict(self._connections.refusals.counts)

    def statistics(self) -> NetworkStatistics:
        """Counters since the start, bytes and writes of the open connections included."""
        links = [peer.link for peer in self._connections.peers.values()]
        counted = self._statistics
        return replace(
            counted,
            bytes_in=counted.bytes_in + sum(link.bytes_in for link in links),
            bytes_out=counted.bytes_out + sum(link.bytes_out for link in links),
            writes=counted.writes + sum(link.writes for link in links),
        )

    def known_addresses(self) -> list[bytes]:
        """The address book as signed records: keep them, and give them to `NetworkSettings.known_addresses`."""
        return [known.raw for known in self._book.others()]

    def known_nodes(self) -> list[tuple[PeerId, str, str]]:
        """(id, name, host:port) of every other node in the address book."""
        return [(known.node_id, known.record.name, known.place) for known in self._book.others()]

    # --- scope --------------------------------------------------------------------------------------------------------

    def _begin(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        for raw in self._settings.known_addresses:
            try:
                self._book.add(raw)
            except PeerFault as fault:
                _log.warning("network.stored_address_ignored", reason=str(fault))
        self._spawn(self._connections.inbox.run())
        self._spawn(self._dialer.run(self._spawn, self._dial))
        self._spawn(self._tick())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Start `work` under this scope; None, and not started, once the scope is ending."""
        if self._group is None:
            work.close()
            return None
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end(self) -> None:
        """Stop all tasks, close all connections, within `_CLOSE_S`."""
        self._group = None
        for task in list(self._tasks):
            task.cancel()
        links = list(self._connections.links)
        for link in links:
            link.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                for link in links:
                    await link.closed.wait()
        except TimeoutError:
            pass
        finally:
            for link in links:
                link.abort()

    async def _tick(self) -> None:
        """Look after the peers every `ping_interval_s`; after a stall of this node's own nobody is judged."""
        interval = self._settings.ping_interval_s
        due = self._loop.time() + interval
        while True:
            await asyncio.sleep(interval)
            now = self._loop.time()
            fair, due = now - due < interval, now + interval
            self._connections.check(now, fair=fair)

    # --- connecting ---------------------------------------------------------------------------------------------------

    def _arrived(self, link: Link) -> None:
        """A connection was accepted. The oldest unfinished handshake yields when there are too many."""
        if len(self._shaking) >= self._settings.max_handshakes:
            oldest = next(iter(self._shaking))
            self._shaking.pop(oldest).cancel()
            fault = refusal("TOO_MANY_HANDSHAKES", f"at most {self._settings.max_handshakes}", "one more")
            self._connections.note(fault, oldest.remote, outbound=False)
        task = self._spawn(self._welcome(link))
        if task is None:
            link.abort()
            return
        self._connections.links.add(link)
        self._shaking[link] = task

    async def _welcome(self, link: Link) -> None:
        try:
            introduced = await shake_hands(link, self._terms, dialed=False)
        except HandshakeFailed as failed:
            self._connections.note(failed, link.remote, outbound=False)
        else:
            self._connections.register(introduced, link, outbound=False)
        finally:
            self._shaking.pop(link, None)
            self._forget(link)

    async def _dial(self, goal: Goal) -> DialResult:
        """One attempt at one goal."""
        place = format_address(goal.host, goal.port)
        node = goal.node_id or b""
        link = Link(self._settings.lanes)
        try:
            async with asyncio.timeout(self._settings.dial.connect_timeout_s):
                await self._loop.create_connection(lambda: link, goal.host, goal.port)
        except OSError as error:
            found = "no answer" if isinstance(error, TimeoutError) else str(error)
            fault = refusal("UNREACHABLE", f"a node at {place}", found)
            self._connections.note(fault, place, outbound=True, node_id=node)
            return DialResult.FAILED
        link.remote = place
        self._connections.links.add(link)
        try:
            introduced = await shake_hands(link, self._terms, dialed=True)
        except HandshakeFailed as failed:
            if failed.code == "SELF":
                return DialResult.SELF
            self._connections.note(failed, place, outbound=True, node_id=node)
            return DialResult.LINKED if failed.code == "DUPLICATE_LINK" else DialResult.REFUSED
        else:
            goal.node_id = introduced.certificate.node_id
            self._connections.register(introduced, link, outbound=True)
            return DialResult.LINKED
        finally:
            self._forget(link)

    def _forget(self, link: Link) -> None:
        """After a handshake: a connection that was not opened is closed already, and nobody will report it lost."""
        if not link.opened:
            self._connections.links.discard(link)


def _check(settings: NetworkSettings) -> None:
    """Raise `ConfigError` for settings that nobody could reach."""
    for seed in settings.seeds:
        parse_address(seed)
    if settings.listen_host in ("", "0.0.0.0", "::") and not settings.advertise:
        raise ConfigError(
            "a node that listens on every address must say which one others dial",
            code="ADVERTISE_MISSING",
            expected="[p2p] advertise = host:port",
            found="nothing",
            fix="set advertise to the address under which the other nodes reach this one",
        )
