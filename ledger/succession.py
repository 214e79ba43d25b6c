"""Chains that continue another, as regions do that begin anew (ADR 0285): what the centres decide, and the genesis.

The genesis is that of the region's first chain with another committee and a `Succession`: no field of the network's
document changes, so every other chain keeps its hash. The chain's name is given to it (`Succession.chain_id`, a hash of
all that it begins from); its users go on signing for the name of the first chain, so that they notice nothing and no
signature counts twice.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from ledger.codec import MAX_OBJECT_BYTES, Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import domain, hash_of
from ledger.errors import DecodeError
from ledger.genesis import Genesis, GenesisHead, GenesisSummary, genesis_block
from ledger.objects import BODY_VERSION, Block, Body, make_block
from ledger.schema import state_engine
from ledger.validators import Validator

DOMAIN_REGION_CHAIN: Final = domain("region-chain")


class RegionEpoch(Wire, frozen=True):
    """A region begins anew from `base_root` with the set that the global chain decided: after a correction, a takeover
    or a change of members. Regional blocks after the last confirmed record are void. `epoch`: the one that begins.

    `base_seq`, `base_record`: the last confirmed record, after which the region goes on; 0 and zeros if there is none.
    """

    region: ShortText
    epoch: Uint
    base_seq: Uint
    base_record: Bytes32
    base_root: Bytes32
    members: tuple[Validator, ...]
    reason: ShortText


def next_chain_id(chain_id: str, opened: RegionEpoch) -> str:
    """Name of the chain on which a region begins anew: the old one's without its hash, and a hash of all that the new
    one begins from. So no vote of one epoch of a region is a vote of another, even where the members are the same."""
    name, _, old = chain_id.rpartition("-")
    bare = name if len(old) == 32 and set(old) <= set("0123456789abcdef") else chain_id
    return f"{bare}-{hash_of(DOMAIN_REGION_CHAIN, encode((chain_id, opened))).hex()[:32]}"


class Opening(Wire, frozen=True):
    """A regional epoch that has begun. `before`: the chain that ended, `chain_id`: the one that continues it; `height`:
    the block of the centres' chain that decided it. `known`: after a correction the block of that chain before the one
    that entered the corrected record, which could consume nothing that is later; else 0."""

    opened: RegionEpoch
    before: ShortText
    chain_id: ShortText
    height: Uint
    known: Uint = 0


def openings_prefix(region: str) -> bytes:
    """Prefix of the openings of a region in the state of the centres' chain."""
    return state_engine(f"shards-openings-{region}")


def opening_key(region: str, epoch: int) -> bytes:
    """Where the opening of a regional epoch is there."""
    return openings_prefix(region) + epoch.to_bytes(8, "big")


class Succession(Wire, frozen=True):
    """What a chain continues. `region`: whose it is; `chain_id`: its own name, `first`: that of the first chain of the
    line, `before`: that of the chain it continues. `epoch`: the regional epoch, from 2. `base_seq`, `base_record`: the
    last confirmed record, after which it begins; 0 and zeros for none."""

    region: ShortText
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
    """A summary as stores and exports keep it, of either kind. Raise `DecodeError`."""
    try:
        return decode(SuccessorSummary, raw, limit=limit)
    except DecodeError:
        return decode(GenesisSummary, raw, limit=limit)


def successor_block(genesis: SuccessorGenesis, height: int, time_ms: int, state_root: bytes) -> Block:
    """The first block of a successor, of epoch 0, view 0. `height`: where the chain before was left; `time_ms`: block
    time of that. Its parent is the genesis hash."""
    header = replace(genesis_block(genesis, state_root).header, height=height, time_ms=time_ms)
    return make_block(header, Body(BODY_VERSION, ()))


def fields_of(genesis: GenesisHead) -> dict[str, Any]:
    """Field by name."""
    return {name: getattr(genesis, name) for name in genesis.__struct_fields__}
