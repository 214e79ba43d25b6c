"""Links between nodes: each message may be late, lost, doubled or cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from consensus.messages import Message, decode_message, encode_message

if TYPE_CHECKING:
    from consensus.simulator.world import World

_NAMES: Final = {kind: kind.__name__.encode() for kind in get_args(Message)}
"""What the trace calls each kind of message."""


class Network:
    """Every pair of nodes in both directions. `blocked` holds (from, to) pairs that a partition has cut."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance.fork()
        self.blocked: set[tuple[int, int]] = set()
        self.calm = False
        self._written: Message | None = None
        self._read: Message

    def send(self, sender: int, receiver: int, message: Message) -> None:
        """Put a message on its way."""
        if self.blocked and (sender, receiver) in self.blocked:
            return
        options = self.world.options
        if self.calm:
            self._deliver_in(1 + self.chance.below(2 * options.delay_ms), sender, receiver, message)
            return
        if options.drop_ppm and self.chance.chance(options.drop_ppm):
            return
        copies = 2 if options.duplicate_ppm and self.chance.chance(options.duplicate_ppm) else 1
        for _ in range(copies):
            delay = options.delay_ms + self.chance.exponential(options.jitter_ms)
            self._deliver_in(delay, sender, receiver, message)

    def _deliver_in(self, delay: int, sender: int, receiver: int, message: Message) -> None:
        if self.world.options.wire:
            message = self._wired(message)
        self.world.at(delay, self._deliver, sender, receiver, message)

    def _wired(self, message: Message) -> Message:
        """The message as its bytes have it; written and read once for all receivers of a broadcast."""
        if self._written is not message:
            self._written, self._read = message, decode_message(encode_message(message))
        return self._read

    def _deliver(self, sender: int, receiver: int, message: Message) -> None:
        world = self.world
        node = world.nodes[receiver]
        if node.alive and world.nodes[sender].alive:
            world.trace(b"m", sender, receiver, _NAMES[type(message)])
            node.receive(sender, message)

    def partition(self, one_way: bool) -> None:
        """Cut the nodes into two sides; `one_way`: only from one of them to the other."""
        count = len(self.world.nodes)
        order = list(range(count))
        self.chance.shuffle(order)
        cut = self.chance.between(1, max(1, count - 1))
        left, right = order[:cut], order[cut:]
        self.blocked = {(a, b) for a in left for b in right}
        if not one_way:
            self.blocked |= {(b, a) for a, b in self.blocked}

    def heal(self) -> None:
        """End the partition."""
        self.blocked = set()

    def calm_down(self) -> None:
        """The quiet phase: no loss, no partition, delays well below Delta."""
        self.calm = True
        self.heal()
