"""What the API answers, as pydantic models: the OpenAPI document is made from them, and the client reads them.

Bytes are `0x` hex. Contract values are JSON by `contracts.values.to_json`: integers beyond 2^53 are decimal strings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Hex = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]*$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]


class Model(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Model):
    """RFC 9457. `code` is stable; the rest is for people."""

    type: str
    status: int
    title: str
    code: str
    message: str
    expected: str | None = None
    found: str | None = None
    fix: str | None = None


class SubmitRequest(Model):
    """Signed transactions, at most 256."""

    transactions: Annotated[list[Hex], Field(min_length=1, max_length=256)]


class Submission(Model):
    """What became of one submitted transaction: verified and in the mempool, or refused with a code."""

    id: Hex32 | None = None
    accepted: bool
    code: str = ""
    expected: str | None = None
    found: str | None = None
    fix: str | None = None


class EventView(Model):
    """One event of a committed receipt. `cursor` resumes a stream right after it."""

    cursor: str
    height: int
    index: int
    subject: Hex32
    contract: str
    name: str
    data: dict[str, Any]


class ReceiptView(Model):
    """What a transaction or scheduled call did."""

    id: Hex32
    height: int
    index: int
    scheduled: bool
    contract: str
    entry: str
    ok: bool
    code: str
    line: int
    gas: int
    gas_version: int
    language: str
    value: Any
    events: list[EventView]


class PendingView(Model):
    """A transaction that this node has verified and that waits for a block."""

    id: Hex32
    status: Literal["pending"] = "pending"


class BlockView(Model):
    """A committed block. `final_by`: height of the certified block whose finalization proves it."""

    height: int
    hash: Hex32
    header: dict[str, Any]
    final_by: int
    transactions: list[Hex32]
    receipts: list[ReceiptView] | None = None


class AccountView(Model):
    """An account as the chain knows it. `next_nonce`: its lowest unused nonce; `used_above`: used ones beyond it."""

    address: Hex32
    next_nonce: int
    used_above: list[int]
    height: int


class StateView(Model):
    """A value of authenticated state, None if absent. `proof` proves either against the header's state root."""

    key: Hex
    value: Hex | None
    height: int
    state_root: Hex32
    proof: Hex | None = None
    header: Hex | None = None


class ContractAnswer(Model):
    """What a free query of a contract returned."""

    contract: str
    view: str
    height: int
    value: Any
    encoded: Hex
    """The value in canonical encoding, exact whatever JSON does to integers."""


class PeerView(Model):
    """A connected node."""

    id: Hex32
    name: str
    address: str
    latency_ms: float | None = None


class RefusalView(Model):
    """A connection or peer that was refused; equal ones in a row are one entry. `by_peer`: the peer refused this node,
    and `expected` is what the peer demands; else this node refused the peer."""

    code: str
    expected: str
    found: str
    fix: str
    by_peer: bool
    outbound: bool
    address: str
    name: str
    node_id: Hex
    first_ms: int
    last_ms: int
    count: int


class MarketClockView(Model):
    """How market time runs: market ms = origin_ms + speed * (block ms - genesis_ms)."""

    genesis_ms: int
    origin_ms: int
    speed: int


class RegionEpochView(Model):
    """Which of a region's chains this is: 1 is that of genesis. `reason`: why the global chain opened it ("takeover",
    "members", "corrected ..."), empty for the first. `began`: height of its first block; what clients were told of that
    height and above on the chain before is void. `standing`: `runs`; `left`, if a later one has begun and this node has
    yet to get there; `over`, if it is kept only to be looked at."""

    number: int
    reason: str
    began: int
    standing: Literal["runs", "left", "over"]


class ChainView(Model):
    """A chain that a node hosts. `votes`: the node has a key for it, else it follows. `region_epoch`: None where it is
    no region's."""

    name: str
    chain_id: str
    engine: str
    height: int
    head_hash: Hex32
    head_time_ms: int
    votes: bool
    stopped_reason: str
    region_epoch: RegionEpochView | None = None


class StatusView(Model):
    """Where a node stands. `language`, `gas_version`: what its release runs contracts by. `chain_id`: what transactions
    are signed for, also after a region has begun anew. `network_id`: the full name of the network, which is not that of
    a chain of a sharded network. `chain`: the name of this chain, `chains`: all
    that the node hosts, its home chain first. `refusals`: the last 64."""

    name: str
    version: str
    language: str
    gas_version: int
    chain_id: str
    network_id: str
    chain: str
    genesis_hash: Hex32
    engine: str
    height: int
    head_hash: Hex32
    head_time_ms: int
    state_root: Hex32
    epoch: int
    view: int
    leader: str
    peers: list[PeerView]
    mempool: int
    held: bool
    stopped_reason: str
    ready: bool
    clock_ms: int
    market_clock: MarketClockView
    chains: list[ChainView]
    refusals: list[RefusalView] = []
    region_epoch: RegionEpochView | None = None


class Health(Model):
    """Whether the process lives, or is ready to serve."""

    status: Literal["ok", "starting"]


class SettlementProofView(Model):
    """A proof file for one settlement; `file` is what `gridchain proof verify` reads."""

    slot: int
    meter: Hex32
    height: int
    file: Hex
