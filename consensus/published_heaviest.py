"""Inside a shard of market D as published (markets 7, item 1): blocks by proof of work, and the heaviest chain counts.

For the simulator only; no node runs it. Nothing here is ever final: a block is undone as soon as a heavier chain
without it is heard of, which is what `consensus.sharded` does not allow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ledger.codec import Bytes32, ShortText, Uint, Wire, encode
from ledger.crypto import ZERO_HASH, Hash, domain, hash_of

DOMAIN_MINED: Final = domain("published-shard-block")


class MinedBlock(Wire, frozen=True):
    """A block of a shard. `found`: what makes two blocks of one miner on one parent differ."""

    shard: ShortText
    height: Uint
    parent: Bytes32
    miner: Bytes32
    found: Uint

    @property
    def hash(self) -> Hash:
        """Its name and, being a shard's root, what a record publishes."""
        return hash_of(DOMAIN_MINED, encode(self))


@dataclass(slots=True)
class HeaviestChain:
    """One member's view: all blocks whose ancestors it has, and the tip it follows. All blocks weigh the same; of two
    chains of one weight the first heard stays [R]."""

    head: Hash = ZERO_HASH
    height: int = 0
    blocks: dict[Hash, MinedBlock] = field(default_factory=dict)
    orphans: dict[Hash, list[MinedBlock]] = field(default_factory=dict)
    undone: int = 0

    def add(self, block: MinedBlock) -> Hash | None:
        """Take a block; the parent that is missing for it, if one is."""
        parent = Hash(block.parent)
        if parent != ZERO_HASH and parent not in self.blocks:
            waiting = self.orphans.setdefault(parent, [])
            if block not in waiting:
                waiting.append(block)
            return parent
        waiting = [block]
        while waiting:
            one = waiting.pop()
            name = one.hash
            if name in self.blocks or one.height != self._height_of(Hash(one.parent)) + 1:
                continue
            self.blocks[name] = one
            self._follow(one, name)
            waiting += self.orphans.pop(name, [])
        return None

    def at(self, height: int) -> Hash | None:
        """The block of the followed chain at a height, None above its tip."""
        if height > self.height or height < 1:
            return None
        name = self.head
        while self.blocks[name].height > height:
            name = Hash(self.blocks[name].parent)
        return name

    def _height_of(self, name: Hash) -> int:
        return 0 if name == ZERO_HASH else self.blocks[name].height

    def _follow(self, block: MinedBlock, name: Hash) -> None:
        if block.height <= self.height:
            return
        if Hash(block.parent) != self.head:
            self.undone += self._depth_to(Hash(block.parent))
        self.head, self.height = name, block.height

    def _depth_to(self, other: Hash) -> int:
        """Blocks of the followed chain that the chain ending in `other` does not have."""
        theirs = set()
        while other != ZERO_HASH:
            theirs.add(other)
            other = Hash(self.blocks[other].parent)
        name, depth = self.head, 0
        while name != ZERO_HASH and name not in theirs:
            name, depth = Hash(self.blocks[name].parent), depth + 1
        return depth
