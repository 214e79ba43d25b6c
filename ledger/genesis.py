"""The genesis document: what a network is, fixed once; its hash is the network's name.

A JSON file for people (`ledger.plain_json`), one canonical form for machines: hash = H(domain, summary), where the
summary is the document in the canonical codec with each contract's source replaced by its SHA-256, so that a proof file
can carry it. chain_id = name + "-" + first 32 hex digits of the hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ledger.codec import Bytes32, ShortText, Uint, Wire, encode
from ledger.crypto import (
    DOMAIN_GENESIS,
    ZERO_HASH,
    Hash,
    hash_of,
    sha256,
    valid_public_key,
)
from ledger.engine_settings import (
    GLOBAL,
    MAX_NETWORK_NAME,
    CouncilSettings,
    EngineSettings,
    GenesisValidator,
    Positive,
    ShardSettings,
    check_council,
    check_shards,
)
from ledger.errors import DecodeError, GenesisError
from ledger.merkle import EMPTY_ROOT, receipts_root
from ledger.objects import (
    BODY_VERSION,
    HEADER_VERSION,
    MAX_TRANSACTION_BYTES,
    Block,
    Body,
    Header,
    Name,
    make_block,
)
from ledger.plain_json import dump_json, load_json
from ledger.possession import KeyRole, verify_possession
from ledger.validators import MAX_VALIDATORS, Validator, ValidatorSet

GENESIS_VERSION = 1
ENGINES = ("solo", "bft", "dpos", "sharded")
SIMULATED_ENGINES = ("dpos-paper", "sharded-paper")
"""Engines to the letter of a publication. No node starts one, whatever its configuration says."""
ROLES = ("validator", "peer", "client", "submit", "deploy")
UNREAL_TIME_PREFIXES = ("dev-", "bench-", "demo-")
MAX_GENESIS_BYTES = 8 * 1024 * 1024
MIN_BLOCK_BYTES = MAX_TRANSACTION_BYTES + 128
"""The largest transaction, the frame of the body around it, and the room that leaders leave for that."""

NetworkName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_NETWORK_NAME, pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
]
OptionalKey = Annotated[bytes, msgspec.Meta(max_length=32)]
OptionalProof = Annotated[bytes, msgspec.Meta(max_length=64)]


class Member(Wire, frozen=True):
    """One node of the consortium and what it may do. A key that a member does not have is empty, and so is its proof.

    `node_key` is the Ed25519 key of its TLS certificate, `validator_key` votes, `account_key` sends transactions.
    """

    name: ShortText
    organisation: ShortText
    roles: tuple[str, ...]
    node_key: OptionalKey = b""
    node_possession: OptionalProof = b""
    validator_key: OptionalKey = b""
    validator_possession: OptionalProof = b""
    account_key: OptionalKey = b""
    account_possession: OptionalProof = b""

    @property
    def node_id(self) -> bytes:
        """The identity of the node in the peer network: SHA-256 of its node key."""
        return sha256(self.node_key)


class MarketClockSettings(Wire, frozen=True):
    """market time = origin_ms + speed * (block time - genesis time)."""

    origin_ms: Uint
    speed: Positive = 1


class GenesisLimits(Wire, frozen=True):
    """Bounds that every node enforces alike. Gas caps as in `contracts.limits`; `sender_block_txs`: one sender, one
    block; `block_gas`: a transaction enters a block only while those before it used less (the default is about 5 s of
    CPU); `deploy_gas`: a transaction that deploys a source, at least `transaction_gas`.
    """

    max_block_txs: Positive = 4_000
    max_block_bytes: Positive = 1024 * 1024
    transaction_gas: Positive = 50_000_000
    install_gas: Positive = 50_000_000
    scheduled_gas: Positive = 20_000_000
    scheduled_default_gas: Positive = 10_000_000
    scheduled_block_gas: Positive = 60_000_000
    sender_block_txs: Positive = 4_000
    block_gas: Positive = 500_000_000
    deploy_gas: Positive = 100_000_000


class GenesisContract(Wire, frozen=True):
    """A contract instance that genesis installs, in this order. `arguments`: encoded list for its `@init`.

    `chain`, in a sharded network only: "" for the chain of every region, else the one chain that has it: "global" or
    the name of a region.
    """

    name: Name
    source: str
    arguments: bytes
    calls: tuple[Name, ...] = ()
    chain: str = ""


class ContractCommitment(Wire, frozen=True):
    """What the hash covers of a contract: its source by SHA-256."""

    name: Name
    source_hash: Bytes32
    arguments: bytes
    calls: tuple[Name, ...]
    chain: str


class GenesisHead(Wire, frozen=True):
    """The fields that the document and its summary share. `council`: of engine `dpos` alone. `shards`: of engine
    `sharded` alone, whose `validators` are the main centres."""

    version: Uint
    name: NetworkName
    time_ms: Uint
    engine: str
    profile: str
    engine_parameters: EngineSettings
    validators: tuple[GenesisValidator, ...]
    members: tuple[Member, ...]
    ca_certificates: tuple[str, ...]
    market_clock: MarketClockSettings
    limits: GenesisLimits
    council: CouncilSettings | None
    shards: ShardSettings | None

    @property
    def validator_set(self) -> ValidatorSet:
        """The committee of the first epoch; of `dpos` the first of the validators, as many as there are seats."""
        chosen = self.validators if self.council is None else self.validators[: self.council.seats]
        return ValidatorSet(tuple(Validator(v.name, v.public_key, v.weight) for v in chosen))

    @property
    def all_validators(self) -> tuple[GenesisValidator, ...]:
        """Whoever may vote on any chain of the network."""
        regions = () if self.shards is None else self.shards.regions
        return (*self.validators, *(member for region in regions for member in region.validators))


class GenesisSummary(GenesisHead, frozen=True):
    """The canonical form whose hash names the network."""

    contracts: tuple[ContractCommitment, ...]

    @property
    def hash(self) -> Hash:
        """The genesis hash. Computed on each use."""
        return hash_of(DOMAIN_GENESIS, encode(self))

    @property
    def chain_id(self) -> str:
        """The network's full name."""
        return f"{self.name}-{self.hash.hex()[:32]}"

    @property
    def transaction_chain_id(self) -> str:
        """What transactions are signed for: the chain's name, but on a chain that continues another the name of the
        first (`ledger.succession`)."""
        return self.chain_id


class Genesis(GenesisHead, frozen=True):
    """The document. Make it with `make_genesis` or `load_genesis`, which check it."""

    contracts: tuple[GenesisContract, ...]

    @property
    def summary(self) -> GenesisSummary:
        """The canonical form, sources by their hash."""
        shared: dict[str, Any] = {name: getattr(self, name) for name in GenesisHead.__struct_fields__}
        contracts = tuple(
            ContractCommitment(c.name, sha256(c.source.encode("utf-8")), c.arguments, c.calls, c.chain)
            for c in self.contracts
        )
        return GenesisSummary(**shared, contracts=contracts)

    @property
    def hash(self) -> Hash:
        """The genesis hash. Computed on each use."""
        return self.summary.hash

    @property
    def chain_id(self) -> str:
        """The network's full name. Computed on each use."""
        return self.summary.chain_id

    @property
    def transaction_chain_id(self) -> str:
        """What transactions are signed for (`GenesisSummary.transaction_chain_id`). Computed on each use."""
        return self.summary.transaction_chain_id

    def to_json(self) -> str:
        """The document as people read it; `load_genesis` reads it back."""
        return dump_json(self)


def make_genesis(
    head: GenesisHead,
    contracts: Iterable[GenesisContract],
) -> Genesis:
    """Bind a head to its contracts and check the whole, as it will be read back: the bounds of single fields are
    those of the reader. Raise `GenesisError`."""
    shared: dict[str, Any] = {name: getattr(head, name) for name in GenesisHead.__struct_fields__}
    return parse_genesis(Genesis(**shared, contracts=tuple(contracts)).to_json())


def parse_genesis(text: str) -> Genesis:
    """Read and check a document. Raise `GenesisError`."""
    try:
        genesis = load_json(Genesis, text)
    except DecodeError as error:
        raise GenesisError(
            f"the genesis document is not one: {error.message}",
            code="GENESIS_FORMAT",
            expected=error.expected,
            found=error.found,
            fix="take the network's genesis.json unchanged",
        ) from None
    check_genesis(genesis)
    return genesis


def load_genesis(path: Path) -> Genesis:
    """Read and check a document from a file. Raise `GenesisError`."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_GENESIS_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise GenesisError(
            f"the genesis document {path} cannot be read", code="GENESIS_FILE", found=error, fix="check the path"
        ) from None
    if len(text) > MAX_GENESIS_BYTES:
        raise GenesisError("the genesis document is too large", expected=f"at most {MAX_GENESIS_BYTES} characters")
    return parse_genesis(text)


def genesis_block(genesis: Genesis, state_root: bytes, receipts: tuple[bytes, ...] = ()) -> Block:
    """The block of height 0, epoch 0, view 0. Its parent is the genesis hash; `receipts` are those of the
    installations.
    """
    body = Body(BODY_VERSION, ())
    validators = genesis.validator_set.hash
    header = Header(
        version=HEADER_VERSION,
        chain_id=genesis.chain_id,
        epoch=0,
        view=0,
        height=0,
        time_ms=genesis.time_ms,
        parent=genesis.hash,
        parent_view=0,
        closing=False,
        transactions_root=EMPTY_ROOT,
        body_size=len(encode(body)),
        state_root=state_root,
        receipts_root=receipts_root(receipts),
        validators=validators,
        next_validators=validators,
        extra_root=ZERO_HASH,
        proposer=ZERO_HASH,
    )
    return make_block(header, body)


def check_genesis(genesis: GenesisHead) -> None:
    """Raise `GenesisError` unless a network may start from this."""
    _expect(genesis.version == GENESIS_VERSION, "unknown genesis version", GENESIS_VERSION, genesis.version)
    _expect(
        genesis.engine not in SIMULATED_ENGINES,
        "this engine runs only in the simulator: it forks in a partition",
        " or ".join(ENGINES),
        genesis.engine,
        code="GENESIS_SIMULATED_ENGINE",
    )
    _expect(genesis.engine in ENGINES, "unknown engine", " or ".join(ENGINES), genesis.engine, code="GENESIS_ENGINE")
    _expect(
        genesis.profile == "safe",
        "the published versions of the engines run only in the simulator",
        "profile safe",
        genesis.profile,
        code="GENESIS_PROFILE",
    )
    real = genesis.market_clock.speed == 1 or genesis.name.startswith(UNREAL_TIME_PREFIXES)
    _expect(
        real,
        "market time may run faster only on a network that says so in its name",
        "a name that begins with " + ", ".join(UNREAL_TIME_PREFIXES),
        genesis.name,
        code="GENESIS_SPEED",
    )
    _expect(
        genesis.limits.max_block_bytes >= MIN_BLOCK_BYTES,
        "a transaction that everybody admits would fit into no block",
        f"limits.max_block_bytes of at least {MIN_BLOCK_BYTES}",
        genesis.limits.max_block_bytes,
        code="GENESIS_LIMITS",
    )
    _expect(
        genesis.limits.deploy_gas >= genesis.limits.transaction_gas,
        "a deployment has less gas than any other transaction",
        f"limits.deploy_gas of at least limits.transaction_gas, {genesis.limits.transaction_gas}",
        genesis.limits.deploy_gas,
        code="GENESIS_LIMITS",
    )
    _expect(
        genesis.limits.block_gas >= genesis.limits.deploy_gas,
        "a block has less gas than one transaction may use",
        f"limits.block_gas of at least limits.deploy_gas, {genesis.limits.deploy_gas}",
        genesis.limits.block_gas,
        code="GENESIS_LIMITS",
    )
    _check_validators(genesis)
    check_council(genesis.engine, genesis.council, genesis.validators)
    check_shards(genesis.engine, genesis.name, genesis.shards, genesis.validators)
    _unique("member names", [member.name for member in genesis.members])
    for kind in ("node_key", "validator_key", "account_key"):
        _unique(f"members' {kind}s", [key for member in genesis.members if (key := getattr(member, kind))])
    voters = {validator.public_key for validator in genesis.all_validators}
    for member in genesis.members:
        _check_member(genesis.name, member, voters)
    if isinstance(genesis, Genesis):
        _unique("contract names", [f"{contract.chain} {contract.name}".strip() for contract in genesis.contracts])
        _check_chains(genesis)
    pems = genesis.ca_certificates
    _unique("certificate authorities", list(pems))
    _expect(
        all(pem.startswith("-----BEGIN CERTIFICATE-----\n") for pem in pems),
        "an authority is no PEM certificate",
        "PEM",
        "",
    )


def _check_validators(genesis: GenesisHead) -> None:
    validators = genesis.validators
    _expect(bool(validators), "a network needs a validator", "one or more", 0)
    _expect(len(validators) <= MAX_VALIDATORS, "too many validators", f"at most {MAX_VALIDATORS}", len(validators))
    _expect(genesis.engine != "solo" or len(validators) == 1, "engine solo has one validator", 1, len(validators))
    _unique("validator names", [validator.name for validator in genesis.all_validators])
    _unique("validator keys", [validator.public_key for validator in genesis.all_validators])
    _expect(sum(v.weight for v in validators) < 1 << 63, "the weights are too large", "a sum below 2^63", "more")
    for validator in genesis.all_validators:
        _check_key(genesis.name, validator.name, "validator", validator.public_key, validator.possession)


def _check_chains(genesis: Genesis) -> None:
    chains = [""] if genesis.shards is None else ["", GLOBAL, *(region.name for region in genesis.shards.regions)]
    unknown = sorted({contract.chain for contract in genesis.contracts if contract.chain not in chains})
    _expect(not unknown, "a contract is for a chain that there is not", chains, unknown, code="GENESIS_CHAIN")


def _check_member(network: str, member: Member, voters: set[bytes]) -> None:
    who = f"member {member.name}"
    _unique(f"roles of {who}", list(member.roles))
    unknown = [role for role in member.roles if role not in ROLES]
    _expect(not unknown and bool(member.roles), f"{who} has unknown or no roles", ", ".join(ROLES), list(member.roles))
    votes = "validator" in member.roles
    has_key = bool(member.validator_key)
    _expect(votes == has_key, f"{who}: role validator and a validator key go together", votes, has_key)
    _expect(
        not votes or member.validator_key in voters, f"{who} is no validator of this genesis", "listed", "not listed"
    )
    if votes or "peer" in member.roles:
        _expect(bool(member.node_key), f"{who} connects and needs a node key", "32 bytes", 0)
    if set(member.roles) & {"submit", "deploy"}:
        _expect(bool(member.account_key), f"{who} submits and needs an account key", "32 bytes", 0)
    keys: tuple[tuple[KeyRole, bytes, bytes], ...] = (
        ("node", member.node_key, member.node_possession),
        ("validator", member.validator_key, member.validator_possession),
        ("account", member.account_key, member.account_possession),
    )
    for role, key, proof in keys:
        if key or proof:
            _check_key(network, who, role, key, proof)


def _check_key(network: str, who: str, role: KeyRole, key: bytes, proof: bytes) -> None:
    _expect(
        valid_public_key(key), f"the {role} key of {who} is not a valid Ed25519 key", "32 bytes, prime order", key.hex()
    )
    _expect(
        verify_possession(key, network, role, proof),
        f"the proof of possession of the {role} key of {who} is bad",
        f"a signature by {key.hex()}",
        proof.hex(),
        code="GENESIS_POSSESSION",
    )


def _unique(what: str, values: Sequence[str | bytes]) -> None:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    _expect(not twice, f"{what} must differ", "each once", twice)


def _expect(holds: bool, message: str, expected: object, found: object, *, code: str = "GENESIS") -> None:
    if not holds:
        raise GenesisError(message, code=code, expected=expected, found=found, fix="correct the genesis document")
