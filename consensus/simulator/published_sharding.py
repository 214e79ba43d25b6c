"""`sharded-paper`: market D's consensus as published (markets 7, items 1 to 5), to show what it does under faults.

Shards mine; at the end of an epoch each shard's proxy publishes the tip that it follows, and the global header enters
it; a record that most members of the shard do not have is fixed in the next header and its proxy barred; what is not
fixed then counts as settled. A settled block that a member's chain does not hold later on is a fork. The global header
itself is taken as given, as published: nothing is said of how servers agree on it.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from consensus.published_heaviest import HeaviestChain, MinedBlock
from consensus.published_shards import digest, proxy_of
from consensus.simulator.auditor import Violation
from consensus.simulator.generator import Generator
from consensus.simulator.options import SeedOptions, region_sizes
from ledger.crypto import ZERO_HASH, Hash, sha256

BLOCK_MS: Final = 500
EPOCH_MS: Final = 2_000
PENALTY_EPOCHS: Final = 8


@dataclass(slots=True)
class Miner:
    """A member of a shard. `power`: its share of the shard's hashes among those of its fellows."""

    shard: int
    index: int
    key: bytes
    power: int = 1
    chain: HeaviestChain = field(default_factory=HeaviestChain)


class PublishedSharding:
    """One run. `powers`: hash power of each member of a shard, one each if empty."""

    def __init__(self, options: SeedOptions, powers: tuple[int, ...] = ()) -> None:
        self.options = options
        self.chance = Generator(options.seed * 31 + 7)
        self.now = 0
        self.events = 0
        self.calm = False
        self.cut = 0
        self.shards: list[list[Miner]] = []
        for shard, size in enumerate(region_sizes(options.nodes)):
            keys = [bytes(sha256(b"miner %d of %d" % (at, shard))) for at in range(size)]
            self.shards.append([Miner(shard, at, key, powers[at] if powers else 1) for at, key in enumerate(keys)])
        self.previous = ZERO_HASH.hex()
        self.epoch = 0
        self.barred: dict[str, int] = {}
        self.entered: dict[int, tuple[str, int, Hash]] = {}
        self.settled: list[tuple[int, int, Hash]] = []
        self.fixes = 0
        self.violations: list[Violation] = []
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._trace = hashlib.sha256(options.text().encode())

    # --- time ---------------------------------------------------------------------------------------------------------

    def at(self, delay: int, action: Callable[..., None], *args: Any) -> None:
        """Do something later."""
        self._order += 1
        heapq.heappush(self._queue, (self.now + delay, self._order, action, args))

    def step(self, until: int) -> bool:
        """Do the next thing at or before `until`."""
        if not self._queue or self._queue[0][0] > until:
            self.now = until
            return False
        self.now, _, action, args = heapq.heappop(self._queue)
        self.events += 1
        action(*args)
        return True

    def begin(self) -> None:
        """Start mining, epochs and faults."""
        for shard in self.shards:
            for miner in shard:
                self._search(miner)
        self.at(EPOCH_MS, self.end_epoch)
        if self.options.partition_ms:
            self.at(self.chance.exponential(self.options.partition_ms), self.divide)

    def divide(self) -> None:
        """Cut every shard into two halves for a while, then again."""
        if not self.calm:
            self.cut = self.chance.between(1, len(self.shards[0]) - 1)
            length = self.chance.exponential(self.options.partition_ms)
            self.at(length, self.heal)
            self.at(length + 1 + self.chance.exponential(self.options.partition_ms), self.divide)

    def heal(self) -> None:
        """End the partition."""
        self.cut = 0

    def quiet(self) -> None:
        """Faults end."""
        self.calm = True
        self.heal()

    # --- shards -------------------------------------------------------------------------------------------------------

    def _search(self, miner: Miner) -> None:
        """Proof of work finds a block after an exponential time; more power, sooner."""
        power = sum(other.power for other in self.shards[miner.shard])
        self.at(1 + self.chance.exponential(BLOCK_MS * power // miner.power), self.mine, miner)

    def mine(self, miner: Miner) -> None:
        """A block on what this member follows."""
        block = MinedBlock(f"s{miner.shard}", miner.chain.height + 1, miner.chain.head, miner.key, self.now)
        miner.chain.add(block)
        self._trace.update(b"b%d " % self.now + block.hash)
        for other in self.shards[miner.shard]:
            if other is not miner:
                self.send(miner, other, block)
        self._search(miner)

    def send(self, sender: Miner, receiver: Miner, block: MinedBlock) -> None:
        """Put a block on its way."""
        options = self.options
        if self.cut and (sender.index < self.cut) != (receiver.index < self.cut):
            return
        if not self.calm and options.drop_ppm and self.chance.chance(options.drop_ppm):
            return
        delay = options.delay_ms + (0 if self.calm else self.chance.exponential(options.jitter_ms))
        self.at(1 + delay, self.hear, sender, receiver, block)

    def hear(self, sender: Miner, receiver: Miner, block: MinedBlock) -> None:
        """Take a block; ask its sender for what is missing under it."""
        missing = receiver.chain.add(block)
        if missing is not None and missing in sender.chain.blocks:
            self.send(sender, receiver, sender.chain.blocks[missing])

    # --- the global header --------------------------------------------------------------------------------------------

    def end_epoch(self) -> None:
        """Fix or settle the records of the epoch before, then enter this one's."""
        fixes = []
        for shard, (proxy, height, root) in sorted(self.entered.items()):
            true = self._true_root(shard, height)
            if true is not None and true != root:
                self.fixes += 1
                self.barred[proxy] = self.epoch - 1 + PENALTY_EPOCHS
                fixes.append(f"fix:s{shard}:{true.hex()}")
            else:
                self.settled.append((shard, height, root))
        self.look()
        self.entered = {}
        for shard, members in enumerate(self.shards):
            barred = [name for name, until in sorted(self.barred.items()) if until >= self.epoch]
            proxy_name = proxy_of(self.previous, f"s{shard}", self.epoch, [m.key.hex() for m in members], barred)
            tip = next((m.chain for m in members if m.key.hex() == proxy_name), None)
            if proxy_name is not None and tip is not None and tip.height:
                self.entered[shard] = (proxy_name, tip.height, tip.head)
        roots = (f"s{shard}:{root.hex()}" for shard, (_, _, root) in sorted(self.entered.items()))
        self.previous = digest(self.previous, str(self.epoch), *roots, *fixes)
        self._trace.update(self.previous.encode())
        self.epoch += 1
        self.at(EPOCH_MS, self.end_epoch)

    def _true_root(self, shard: int, height: int) -> Hash | None:
        """What more than half of the shard's members sign at this height, None if they do not agree."""
        found = Counter(name for m in self.shards[shard] if (name := m.chain.at(height)) is not None)
        name, count = min(found.items(), key=lambda pair: (-pair[1], pair[0]), default=(ZERO_HASH, 0))
        return name if 2 * count > len(self.shards[shard]) else None

    def look(self) -> None:
        """I1: a settled block that a member does not have, each counted once."""
        kept = []
        for shard, height, root in self.settled:
            against = [m.index for m in self.shards[shard] if m.chain.at(height) not in (None, root)]
            if against:
                text = f"settled block {height} of s{shard} is not in the chain of {against}"
                self.violations.append(Violation("I1", self.now, against[0], text))
            else:
                kept.append((shard, height, root))
        self.settled = kept

    def least_height(self) -> int:
        """Of the shard that has come least far."""
        return min(max(miner.chain.height for miner in shard) for shard in self.shards)

    def trace_hash(self) -> str:
        """Names everything that happened, in order."""
        return self._trace.hexdigest()
