"""What one chain of a process may know of the others that the process hosts, and how it hears of them.

The side of a chain (`node.engine_side`) is made with its `Siblings`. What a sibling shows is committed: reading it
never waits and never writes. A chain whose block depends on what a sibling has not committed here yet says so
(`node.engine_side.BEHIND`) and is asked again as soon as that sibling commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from ledger.chain import ChainStore
from ledger.chain_reader import ChainView, Finality
from ledger.genesis import Genesis
from ledger.objects import Block, Header, Receipt
from ledger.state import StateReader
from ledger.validators import ValidatorSet


class SiblingChain(Protocol):
    """A chain hosted by this process, as far as it is committed. Safe on the ledger thread; `view` on any thread."""

    @property
    def name(self) -> str:
        """Of the chain: `global` or a region's."""

    @property
    def genesis(self) -> Genesis:
        """Of the chain (`ledger.shard_genesis.hosted_genesis`)."""

    @property
    def height(self) -> int:
        """Of the last committed block."""

    def header(self, height: int) -> Header | None:
        """Of a committed block."""

    def header_bytes(self, height: int) -> bytes | None:
        """The same as it was signed."""

    def block(self, height: int) -> Block | None:
        """Header and body of a committed block."""

    def receipts(self, height: int) -> Sequence[Receipt] | None:
        """In block order."""

    def height_of(self, block_hash: bytes) -> int | None:
        """Height of a committed block."""

    def differing(self, first: int, last: int) -> int | None:
        """The first of these heights whose certified roots are not those of the execution here; None if none is."""

    def final_by(self, height: int) -> int | None:
        """Height of the certified block whose finalization proves this one; None above the head."""

    def finality(self, height: int) -> Finality | None:
        """The finalization kept at a height that is some block's `final_by`."""

    def validators(self, committee: bytes) -> ValidatorSet | None:
        """A committee of this chain by its hash."""

    def state(self) -> StateReader:
        """Committed state at the head. On the ledger thread alone, and only during the call that asks."""

    def view(self, height: int | None = None) -> AbstractContextManager[ChainView]:
        """Chain and state at one of the last 256 heights, as they are now."""


class StoredSibling:
    """A `SiblingChain` by the chain's own store."""

    def __init__(self, name: str, genesis: Genesis, chain: ChainStore) -> None:
        self.name = name
        self.genesis = genesis
        self._chain = chain
        self.header = chain.header
        self.header_bytes = chain.header_bytes
        self.block = chain.block
        self.receipts = chain.receipts
        self.height_of = chain.height_of
        self.differing = chain.differing
        self.final_by = chain.final_by
        self.finality = chain.finality
        self.validators = chain.validators
        self.state = chain.state
        self.view = chain.view

    @property
    def height(self) -> int:
        """See `SiblingChain`."""
        return self._chain.height


def _unheard(wanted: bool) -> None:
    """Nobody proposes yet."""


@dataclass(slots=True)
class Siblings:
    """The other chains of this process, for the side of one chain. Empty where a network has one chain."""

    chains: dict[str, SiblingChain] = field(default_factory=dict)
    """By name. Complete before the first block is built, checked or committed; not yet while a side is being made."""
    listeners: list[Callable[[SiblingChain], None]] = field(default_factory=list)
    propose: Callable[[bool], None] = _unheard

    def get(self, name: str) -> SiblingChain | None:
        """A sibling by name."""
        return self.chains.get(name)

    def on_commit(self, listener: Callable[[SiblingChain], None]) -> None:
        """Have `listener` called on the ledger thread soon after each commit of a sibling, and once at the start for
        each sibling. A few commits may come as one call."""
        self.listeners.append(listener)

    def want_block(self, wanted: bool) -> None:
        """Say that this chain has something to propose though no transaction waits, or has no more. Any thread; holds
        until it is said otherwise. `EngineSide.section` is asked then, and may still answer None."""
        self.propose(wanted)

    def heard(self, sibling: SiblingChain) -> None:
        """A sibling has committed. On the ledger thread."""
        for listener in self.listeners:
            listener(sibling)


def join_siblings(chains: Mapping[str, tuple[SiblingChain, Siblings]]) -> None:
    """Let every chain of a process see the others."""
    for name, (_, siblings) in chains.items():
        siblings.chains.update({other: chain for other, (chain, _) in chains.items() if other != name})
