"""The genesis of a chain that continues another: a region that begins anew (ADR 0285).

It is that of the region's first chain with another committee and a `Succession`: no field of the network's document
changes, so every other chain keeps its hash. The chain's name is given to it (`Succession.chain_id`, a hash of all that
it begins from); its users go on signing for the name of the first chain, so that they notice nothing and no signature
counts twice.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ledger.codec import MAX_OBJECT_BYTES, Bytes32, ShortText, Uint, Wire, decode
from ledger.genesis import Genesis, GenesisHead, GenesisSummary, genesis_block
from ledger.objects import BODY_VERSION, Block, Body, make_block


class Succession(Wire, frozen=True):
    """What a chain continues. `chain_id`: its own name, `first`: that of the first chain of the line, `before`: that of
    the chain it continues. `epoch`: the regional epoch, from 2. `base_seq`, `base_record`: the last confirmed record,
    after which it begins; 0 and zeros for none."""

    chain_id: ShortText
    first: ShortText
    before: ShortText
    epoch: Uint
    base_seq: Uint
    base_record: Bytes32


class SuccessorSummary(GenesisSummary, frozen=True):
    """See `GenesisSummary`."""

    succession: Succession

    @property
    def chain_id(self) -> str:
        """The name that was given to it."""
        return self.succession.chain_id

    @property
    def transaction_chain_id(self) -> str:
        """What its users sign for."""
        return self.succession.first


class SuccessorGenesis(Genesis, frozen=True):
    """See `Genesis`. Derived, never read."""

    succession: Succession

    @property
    def summary(self) -> SuccessorSummary:
        """The canonical form, sources by their hash."""
        plain: dict[str, Any] = fields_of(super().summary)
        return SuccessorSummary(**plain, succession=self.succession)

    @property
    def chain_id(self) -> str:
        """The name that was given to it."""
        return self.succession.chain_id

    @property
    def transaction_chain_id(self) -> str:
        """What its users sign for."""
        return self.succession.first


def succession_of(genesis: GenesisHead) -> Succession | None:
    """What a chain continues; None for the first of its line."""
    return genesis.succession if isinstance(genesis, SuccessorGenesis | SuccessorSummary) else None


def decode_summary(raw: bytes, *, limit: int = MAX_OBJECT_BYTES) -> GenesisSummary:
    """A summary as stores and exports keep it. Raise `DecodeError`."""
    successor = raw[:1] == bytes((0x90 | len(SuccessorSummary.__struct_fields__),))  # a MessagePack array's length
    return decode(SuccessorSummary if successor else GenesisSummary, raw, limit=limit)


def successor_block(genesis: SuccessorGenesis, height: int, time_ms: int, state_root: bytes) -> Block:
    """The first block of a successor, of epoch 0, view 0. `height`: where the chain before was left; `time_ms`: block
    time of that. Its parent is the genesis hash."""
    header = replace(genesis_block(genesis, state_root).header, height=height, time_ms=time_ms)
    return make_block(header, Body(BODY_VERSION, ()))


def fields_of(genesis: GenesisHead) -> dict[str, Any]:
    """Field by name."""
    return {name: getattr(genesis, name) for name in genesis.__struct_fields__}
