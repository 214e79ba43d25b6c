"""Links between the nodes of a simulated world, in the place of `p2p.network`: the same calls, the same events.

Frames of one lane between two nodes arrive in order, those of different lanes in any. A link breaks at random, and with
a life; what is under way then is lost. Both sides hear of it, each in its time, and dial again. A partition holds
frames back until it heals, as TCP does, or breaks the links across it. Frames may also be lost or come twice, which a
real link never does to a node: a harder world than the real one. No peer is authenticated and no frame limited here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Final, Protocol

from consensus.simulator.generator import Generator
from ledger.errors import BadSignature, DecodeError, PeerFault, ProofError
from node.simulation.options import NodeSeed
from p2p.frames import LIMITS, Channel, PeerId, encode_frame
from p2p.outbox import LANE_OF, LANES
from p2p.peer import PeerInfo
from p2p.refusals import Refusal
from p2p.settings import PeerHandler

BAN_S: Final = 5.0
SILENCE_S: Final = 15.0
"""When a link to a machine without power counts as broken, if it does not come back before."""


class Witness(Protocol):
    """Who watches the wires."""

    def sent(self, sender: int, channel: Channel, payload: bytes) -> None:
        """A node has handed a frame to its network."""

    def arrived(self, sender: int, receiver: int, channel: Channel, payload: bytes) -> None:
        """A frame is handed to a node."""

    def accused(self, accuser: int, peer: int, fault: PeerFault) -> None:
        """A node ends a connection for a fault of the peer."""

    def broke(self, node: int, error: BaseException) -> None:
        """A node raised what no handler may raise."""


class Endpoint:
    """One life of a node on the network (`node.peers.Links`)."""

    def __init__(self, switch: Switch, index: int, handler: PeerHandler) -> None:
        self._switch = switch
        self.index = index
        self.handler = handler
        self.context: Context = copy_context()
        self.links: dict[int, int] = {}
        self.banned: dict[int, float] = {}
        self.off = False

    @property
    def full_mesh(self) -> bool:
        """See `Links`."""
        return all(other.index in self.links for other in self._switch.present() if other is not self)

    def send(self, peer: PeerId, channel: Channel, payload: bytes) -> bool:
        """See `Links`."""
        _check(channel, payload)
        other = self._switch.index_of(peer)
        if self.off or other not in self.links:
            return False
        self._switch.witness.sent(self.index, channel, payload)
        self._switch.carry(self, other, channel, payload)
        return True

    def broadcast(self, channel: Channel, payload: bytes) -> None:
        """See `Links`."""
        _check(channel, payload)
        if not self.off and self.links:
            self._switch.witness.sent(self.index, channel, payload)
            for other in list(self.links):
                self._switch.carry(self, other, channel, payload)

    def peers(self) -> list[PeerInfo]:
        """See `Links`."""
        return [self._switch.info(other) for other in sorted(self.links)]

    def disconnect(self, peer: PeerId, fault: PeerFault) -> None:
        """See `Links`."""
        other = self._switch.index_of(peer)
        if not self.off and other in self.links:
            self._switch.witness.accused(self.index, other, fault)
            self.banned[other] = self._switch.loop.time() + BAN_S
            self._switch.part(self.index, other, 0)

    def refusals(self) -> list[Refusal]:
        """See `Links`."""
        return []

    def known_addresses(self) -> list[bytes]:
        """See `Links`."""
        return []

    # --- what the switch does with it ---------------------------------------------------------------------------------

    def up(self, other: int, number: int) -> None:
        """A link is there."""
        if other in self.links:
            self.down(other, self.links[other], "replaced by a newer session")
        if not self.off:
            self.links[other] = number
            info = self._switch.info(other)
            self._hand_over(lambda: self.handler.on_peer_up(info.id, info))

    def down(self, other: int, number: int, reason: str) -> None:
        """A link is gone."""
        if self.links.get(other) == number:
            del self.links[other]
            if not self.off:
                self._hand_over(lambda: self.handler.on_peer_down(self._switch.ids[other], reason))

    def take(self, other: int, number: int, channel: Channel, payload: bytes) -> None:
        """A frame has come."""
        if self.off or self.links.get(other) != number:
            return
        self._switch.witness.arrived(other, self.index, channel, payload)
        peer = self._switch.ids[other]
        try:
            self._hand_over(lambda: self.handler.on_frame(peer, channel, payload))
        except PeerFault as fault:
            self.disconnect(peer, fault)
        except (DecodeError, BadSignature, ProofError) as error:
            self.disconnect(peer, PeerFault(error.message, code=error.code))

    def _hand_over(self, call: Callable[[], None]) -> None:
        """Run the handler as its life's network task would."""
        try:
            self.context.run(call)
        except (PeerFault, DecodeError, BadSignature, ProofError):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it would have ended the node
            self._switch.witness.broke(self.index, error)


class Switch:
    """All links of a world. `calm`: no faults any more."""

    def __init__(self, options: NodeSeed, ids: list[PeerId], chance: Generator, witness: Witness) -> None:
        self.loop = asyncio.get_running_loop()
        self.ids = ids
        self.witness = witness
        self.calm = False
        self._options = options
        self._chance = chance
        self._index = {node: index for index, node in enumerate(ids)}
        self._ends: list[Endpoint | None] = [None] * len(ids)
        self._number = 0
        self._arrives: dict[tuple[int, int, int], float] = {}
        self._cut: set[tuple[int, int]] = set()
        self._holds = False
        self._held: list[tuple[int, int, int, Channel, bytes]] = []
        self.tamper: Callable[[int, Channel, bytes], bytes] | None = None
        for first in range(len(ids)):
            for second in range(first):
                self._watch(second, first)

    def index_of(self, peer: PeerId) -> int:
        """Whose id it is."""
        return self._index[peer]

    def present(self) -> list[Endpoint]:
        """The nodes that live."""
        return [end for end in self._ends if end is not None]

    def info(self, index: int) -> PeerInfo:
        """What a node is told of a peer."""
        name = f"node{index}"
        return PeerInfo(self.ids[index], name, name, "validator", name, True, 0, None, 0, 0, 0, 0)

    @asynccontextmanager
    async def open(self, index: int, handler: PeerHandler) -> AsyncIterator[Endpoint]:
        """A life is on the network until the scope ends or it is killed."""
        end = Endpoint(self, index, handler)
        self._ends[index] = end
        try:
            yield end
        finally:
            self.leave(index, end, at_once=True)

    def leave(self, index: int, end: Endpoint | None = None, *, at_once: bool) -> None:
        """A life is over. `at_once`: its machine tells the peers, else they find out by its silence."""
        present = self._ends[index]
        if present is None or (end is not None and end is not present):
            return
        present.off = True
        self._ends[index] = None
        for other, number in present.links.items():
            delay = self._latency_s() if at_once else SILENCE_S
            self.loop.call_later(delay, self._down, other, index, number, "the connection was lost")

    # --- links --------------------------------------------------------------------------------------------------------

    def _watch(self, first: int, second: int) -> None:
        """Dial again and again."""
        left, right = self._ends[first], self._ends[second]
        blocked = {(first, second), (second, first)} & self._cut
        if left is not None and right is not None and not (blocked and not self._holds):
            number = left.links.get(second)
            if (number is None or number != right.links.get(first)) and not blocked and self._allowed(left, right):
                self._number += 1
                left.up(second, self._number)
                right.up(first, self._number)
        self.loop.call_later((50 + self._chance.exponential(200)) / 1_000, self._watch, first, second)

    def _allowed(self, left: Endpoint, right: Endpoint) -> bool:
        now = self.loop.time()
        return left.banned.get(right.index, 0.0) <= now and right.banned.get(left.index, 0.0) <= now

    def part(self, first: int, second: int, delay_ms: int) -> None:
        """A link breaks: at once at `first`, later at `second`."""
        left = self._ends[first]
        if left is not None and second in left.links:
            number = left.links[second]
            left.down(second, number, "the connection was lost")
            self.loop.call_later(self._latency_s() + delay_ms / 1_000, self._down, second, first, number, "closed")

    def _down(self, at: int, other: int, number: int, reason: str) -> None:
        end = self._ends[at]
        if end is not None:
            end.down(other, number, reason)

    # --- frames -------------------------------------------------------------------------------------------------------

    def carry(self, sender: Endpoint, receiver: int, channel: Channel, payload: bytes) -> None:
        """Put a frame on its way."""
        options, index = self._options, sender.index
        number = sender.links[receiver]
        if self.tamper is not None:
            payload = self.tamper(index, channel, payload)
        if (index, receiver) in self._cut:
            if self._holds:
                self._held.append((index, receiver, number, channel, payload))
            return
        if not self.calm and options.drop_ppm and self._chance.chance(options.drop_ppm):
            return
        self._deliver(index, receiver, number, channel, payload)
        if not self.calm and options.duplicate_ppm and self._chance.chance(options.duplicate_ppm):
            self._deliver(index, receiver, number, channel, payload)

    def _deliver(self, sender: int, receiver: int, number: int, channel: Channel, payload: bytes) -> None:
        lane = (sender, receiver, LANE_OF[channel])
        at = max(self.loop.time() + self._latency_s(), self._arrives.get(lane, 0.0) + 1e-5)
        self._arrives[lane] = at
        self.loop.call_at(at, self._take, sender, receiver, number, channel, payload)

    def _take(self, sender: int, receiver: int, number: int, channel: Channel, payload: bytes) -> None:
        end = self._ends[receiver]
        if end is not None:
            end.take(sender, number, channel, payload)

    def _latency_s(self) -> float:
        options, chance = self._options, self._chance
        if self.calm:
            return (1 + chance.below(2 * options.delay_ms)) / 1_000
        return (options.delay_ms + chance.exponential(options.jitter_ms)) / 1_000

    # --- faults -------------------------------------------------------------------------------------------------------

    def partition(self, *, one_way: bool, holds: bool) -> None:
        """Cut the nodes into two sides; `one_way`: only from one of them to the other; `holds`: what is sent meanwhile
        comes later, else the links across break."""
        order = list(range(len(self.ids)))
        self._chance.shuffle(order)
        cut = self._chance.between(1, max(1, len(order) - 1))
        left, right = order[:cut], order[cut:]
        self._cut = {(a, b) for a in left for b in right}
        if not one_way:
            self._cut |= {(b, a) for a, b in self._cut}
        self._holds = holds
        if not holds:
            for a in left:
                for b in right:
                    self.part(a, b, self._chance.exponential(500))

    def heal(self) -> None:
        """End the partition."""
        self._cut = set()
        held, self._held = self._held, []
        for frame in held:
            self._deliver(*frame)

    def reset(self) -> None:
        """Some link breaks."""
        present = [end for end in self.present() if end.links]
        if present:
            end = self._chance.choose(present)
            self.part(end.index, self._chance.choose(list(end.links)), self._chance.exponential(500))

    def calm_down(self) -> None:
        """The quiet phase: no loss, no partition, delays well below Delta; whom nobody answers is known to be gone."""
        self.calm = True
        self.heal()


def _check(channel: Channel, payload: bytes) -> None:
    if len(payload) > LIMITS[channel]:
        encode_frame(channel, payload)  # raises as the real network does


assert set(LANE_OF.values()) == set(range(LANES))
