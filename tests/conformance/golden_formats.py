"""What the golden vectors hold: wire, key, signed and hash formats. Each function gives one file of `vectors/`.

Change a format on purpose only: run `python tests/conformance/regenerate.py` and review the difference line by line.
"""

from __future__ import annotations

from typing import Any

from chain_world import START_MS, ChainWorld, certify, committee, make_document, seeded_key
from msgspec.structs import replace
from shard_genesis_world import sharded_genesis, voters
from wire_samples import Sampler, wire_types

from consensus.sharded.global_chain import attestation_bytes
from consensus.sharded.global_state import Source, Withdrawal
from consensus.sharded.members import members_bytes
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE
from consensus.sharded.withdrawals import withdrawal_bytes
from contracts.values import encode_value
from ledger import accounts, crypto, schema
from ledger.certificates import VoteKind, vote_bytes
from ledger.codec import Wire, encode
from ledger.engine_settings import RegionSettings, ShardSettings
from ledger.genesis import GenesisSummary, genesis_block
from ledger.merkle import merkle_path, merkle_root
from ledger.objects import TransactionBody, decode_transaction, extra_root, header_hash, sign_transaction
from ledger.plain_json import to_plain
from ledger.possession import prove_possession
from ledger.proof_export import CentresView, build_finality, build_settlement, trust_root_at
from ledger.shard_genesis import chains_of, chains_of_voter, founders_of, hosted_genesis
from ledger.state import Overlay, StateBase
from ledger.state_tree import bucket_digest, node_digest, place, value_digest
from ledger.store import MemoryStore
from ledger.succession import Opening as ChainOpening
from ledger.succession import RegionEpoch, Succession, SuccessorGenesis, fields_of, next_chain_id, opening_key
from ledger.validators import quorum
from node.member_store import DataKey, Erased, Record, StoreHead
from node.own_copies import OwnCopy
from node.personal import Application, Envelope, Opening, frame_of

Plain = dict[str, Any]


def wire() -> Plain:
    """One sample of every wire type, with its encoding."""
    found: Plain = {}
    for name, kind in wire_types().items():
        sample: Wire = Sampler().struct(kind)
        found[name] = {
            "fields": list(kind.__struct_fields__),
            "value": to_plain(sample),
            "encoding": encode(sample).hex(),
        }
    return found


def hashes() -> Plain:
    """Domain prefixes, hashes and addresses."""
    domains = {name: getattr(crypto, name) for name in sorted(dir(crypto)) if name.startswith("DOMAIN_")}
    return {
        "domains": {name: prefix.hex() for name, prefix in domains.items()},
        "of_abc": {name: crypto.hash_of(prefix, b"abc").hex() for name, prefix in domains.items()},
        "address_of_key_1": crypto.address_of(seeded_key(1).public).hex(),
        "contract_address_token": crypto.contract_address("token").hex(),
        "extra_root": {"": extra_root(b"").hex(), "abc": extra_root(b"abc").hex()},
        "validators": {
            "keys 1 to 4": committee([1, 2, 3, 4]).hash.hex(),
            "keys 4 to 1": committee([4, 3, 2, 1]).hash.hex(),
        },
    }


def signed() -> Plain:
    """What is signed, and the signatures of known keys over it."""
    key = seeded_key(7)
    body = TransactionBody(1, "dev-test-00", key.public, 70_000, "token", "transfer", b"\x92\x01\x02", 1_000_000)
    raw = sign_transaction(body, key)
    transaction = decode_transaction(raw)
    voters = committee([1, 2, 3, 4])
    taken = Withdrawal(key.public, 300, Source.REWARD, "north", b"\x66" * 32, bytes(64))
    votes: Plain = {}
    for kind in VoteKind:
        block = crypto.ZERO_HASH if kind is VoteKind.NULLIFY else b"\x33" * 32
        message = vote_bytes("dev-test-00", voters.hash, kind, 2, 300, block)
        votes[kind.name] = {
            "message": (crypto.DOMAIN_VOTE + message).hex(),
            "signature_of_key_1": seeded_key(1).sign(crypto.DOMAIN_VOTE, message).hex(),
        }
    return {
        "key_7": {"seed": key.seed.hex(), "public": key.public.hex(), "address": key.address.hex()},
        "transaction": {"raw": raw.hex(), "id": transaction.id.hex(), "body": transaction.body_bytes.hex()},
        "votes": votes,
        "possession": {
            role: prove_possession(key, "dev-test", role).hex() for role in ("node", "validator", "account")
        },
        "for_the_global_chain": {
            name: {
                "message": (DOMAIN_RECORD_SIGNATURE + message).hex(),
                "signature_of_key_7": key.sign(DOMAIN_RECORD_SIGNATURE, message).hex(),
            }
            for name, message in {
                "attestation": attestation_bytes(b"\x44" * 32, b"\x55" * 32),
                "members": members_bytes("dev-test-north-00", "north", 3, voters.validators),
                "withdrawal": withdrawal_bytes("dev-test-global-00", taken),
            }.items()
        },
    }


def keys() -> Plain:
    """Keys of state and database."""
    return {
        "state_nonce": schema.state_nonce(b"\x01" * 32).hex(),
        "state_storage": schema.state_storage("token", "balance").hex(),
        "state_contract": schema.state_contract("token").hex(),
        "state_source": schema.state_source(b"\x02" * 32).hex(),
        "state_scheduled": schema.state_scheduled(START_MS, "double_auction", 5).hex(),
        "state_engine": schema.state_engine("validators").hex(),
        "db_meta": schema.db_meta("head").hex(),
        "db_bucket": schema.db_bucket("ab3").hex(),
        "db_receipts": schema.db_receipts(5, 6).hex(),
        "db_account": schema.db_account(b"\x03" * 32, 7).hex(),
        "prefixes": {name: getattr(schema, name).hex() for name in sorted(dir(schema)) if name.startswith("DB_")},
        "db_height": schema.db_height(schema.DB_HEADER, 256).hex(),
    }


def state() -> Plain:
    """Places, digests, roots of small sets, a proof of each kind, nonce records."""
    roots: Plain = {}
    for count in (0, 1, 2, 16, 300, 5_000):
        overlay = Overlay(StateBase(MemoryStore()))
        for number in range(count):
            overlay.put(b"key %d" % number, b"value %d" % number)
        roots[str(count)] = overlay.seal().hex()
    overlay = Overlay(StateBase(MemoryStore()))
    for number in range(300):
        overlay.put(b"key %d" % number, b"value %d" % number)
    overlay.seal()
    nonces = Overlay(StateBase(MemoryStore()))
    records: Plain = {}
    for nonce in (0, 1, 4, 2, 3, 100):
        accounts.use_nonce(nonces, b"\x01" * 32, nonce)
        records[f"after {nonce}"] = (nonces.get(schema.state_nonce(b"\x01" * 32)) or b"").hex()
    return {
        "place": place(b"key 0").hex(),
        "value_digest": value_digest(b"value 0").hex(),
        "bucket_digest": bucket_digest(place(b"key 0") + value_digest(b"value 0")).hex(),
        "node_digest": node_digest(bytes(range(256)) * 2).hex(),
        "roots_of_key_n_value_n": roots,
        "proof_of_key_7_among_300": encode(overlay.prove(b"key 7")).hex(),
        "proof_of_absence_among_300": encode(overlay.prove(b"no key")).hex(),
        "undo": overlay.delta().undo()[:120].hex(),
        "nonce_records": records,
    }


def merkle() -> Plain:
    """Roots and paths over leaves `leaf 0` to `leaf n - 1`."""
    leaves = [b"leaf %d" % number for number in range(9)]
    return {
        "roots": {str(size): merkle_root(leaves[:size]).hex() for size in range(10)},
        "path_4_of_9": [step.hex() for step in merkle_path(leaves, 4)],
        "path_8_of_9": [step.hex() for step in merkle_path(leaves, 8)],
    }


def quorums() -> Plain:
    """Total weight to quorum."""
    return {str(total): quorum(total) for total in (*range(1, 31), 50, 100, 150, 1_000_000_007)}


def genesis() -> Plain:
    """A document, its canonical form, its names, its first block."""
    document = make_document()
    block = genesis_block(document, b"\x44" * 32)
    return {
        "document": to_plain(document),
        "canonical": encode(document.summary).hex(),
        "hash": document.hash.hex(),
        "chain_id": document.chain_id,
        "first_block_on_state_root_44": {"header": block.header_bytes.hex(), "hash": block.hash.hex()},
    }


def shards() -> Plain:
    """The chains of a sharded network: what a few voters host, and the genesis that is derived for each chain."""
    document = sharded_genesis()
    voters = [founders_of(document, name)[0].public_key for name in chains_of(document)]
    hosted = {name: hosted_genesis(document, name) for name in chains_of(document)}
    return {
        "network": {"canonical": encode(document.summary).hex(), "chain_id": document.chain_id},
        "first_byte_of_frames": {name: number for number, name in enumerate(chains_of(document))},
        "hosts": {key.hex(): list(chains_of_voter(document, key)) for key in voters},
        "chains": {
            name: {"canonical": encode(one.summary).hex(), "hash": one.hash.hex(), "chain_id": one.chain_id}
            for name, one in hosted.items()
        },
    }


def chain() -> Plain:
    """A certificate, finality proofs and settlement proof files of a small chain of two epochs."""
    world = ChainWorld(transactions=2)
    world.commit(2)
    world.end_epoch([3, 4, 5, 6], closing=1)
    world.commit(1)
    numbers = [1, 2, 3, 4]
    header = world.chain.header(2)
    if header is None:
        raise LookupError("the world has a second block")
    summary: GenesisSummary = world.chain.genesis
    with world.chain.view() as view:
        from_genesis = build_settlement(view, summary, b"bill2", (2, 1))
        from_block = build_settlement(view, summary, b"bill2", (2, 1), 1)
    return {
        "header_2": {"encoding": encode(header).hex(), "hash": header_hash(encode(header)).hex()},
        "notarization_2": encode(
            certify(header.chain_id, committee(numbers), numbers, header, VoteKind.NOTARIZE)
        ).hex(),
        "finality_of_1": encode(build_finality(world.chain, 1)).hex(),
        "finality_of_3_through_closing": encode(build_finality(world.chain, 3)).hex(),
        "trust_roots": [world.document.hash.hex(), str(trust_root_at(world.chain, 1))],
        "settlement_from_genesis": from_genesis.hex(),
        "settlement_from_block_1": from_block.hex(),
    }


def successor() -> Plain:
    """The proof file of a settlement on a chain that continues another: version 2, from the centres' chain."""
    regions = ShardSettings((RegionSettings("north", voters(10, 4)),))
    network = replace(make_document(), engine="sharded", shards=regions)
    above, first = hosted_genesis(network, "global"), hosted_genesis(network, "north")
    opened = RegionEpoch("north", 2, 7, b"\x55" * 32, b"\x66" * 32, above.validator_set.validators, "takeover")
    name = next_chain_id(first.chain_id, opened)
    succession = Succession("north", name, first.chain_id, first.chain_id, 2, 7, b"\x55" * 32)
    members = {**fields_of(first), "validators": above.validators}
    opening = encode(ChainOpening(opened, first.chain_id, name, 2))
    centres = ChainWorld(founded=above, writes=lambda height: {opening_key("north", 2): opening} if height == 2 else {})
    centres.commit(2)
    centres.end_epoch([3, 4, 5, 6])
    centres.commit(1)
    region = ChainWorld(founded=SuccessorGenesis(**members, succession=succession))
    region.commit(2)
    with region.chain.view() as view, centres.chain.view() as there:
        root = CentresView(there, centres.chain.genesis)
        file = build_settlement(view, region.chain.genesis, b"bill6", (6, 1), centres=root)
    return {"chain_id": name, "genesis_hash": region.document.hash.hex(), "trust": above.hash.hex(), "file": file.hex()}


PERSONAL = (Opening, Application, Envelope, OwnCopy, StoreHead, DataKey, Record, Erased)
BOX = "ddbc30668837170c8a7f3006e33f25911e5c789fb82f4c4cedd901c6687135753364b6d4ba856a0413a39ae636"
SEALED = (
    "bb06668a0ddc380b3cb3da78782a49f18b6f03c6c00e62e750ea3bcbe94a5e665b332a2733086896ea550a66aa52a34f44896f8d319ad8a8ef6b"
    "da14f773357020d415dbf7e24ec4"
)
"""`clear`, encrypted under the bytes 0 to 31 with the context `context`, and sealed for key 1 as an envelope."""


def personal() -> Plain:
    """Files of personal data (ADR 0170). Nonces are random, so boxes are shown being opened."""
    key, salt = seeded_key(1), bytes(range(32))
    openings = (Opening("name", salt, "Z"), Opening("email", bytes(32), "z@example.org"))
    commitments: list[Any] = [opening.commitment for opening in openings]
    public: list[Any] = [bytes(32), salt, ["prosumer"], ["pv"], [5000], "bus 7", "rural1", ["name", "email"]]
    application = Application(1, "dev-a", key.address, encode_value([*public, commitments]), openings)
    return {
        "files": {
            kind.__name__: {"fields": list(kind.__struct_fields__), "encoding": encode(Sampler().struct(kind)).hex()}
            for kind in PERSONAL
        },
        "derived": {
            "store": key.derive(crypto.DOMAIN_MEMBER_STORE, salt).hex(),
            "own_copy": key.derive(crypto.DOMAIN_OWN_COPY, salt).hex(),
        },
        "box": {"of": BOX, "clear": (crypto.decrypt(salt, b"context", bytes.fromhex(BOX)) or b"").hex()},
        "sealed": {
            "of": SEALED,
            "clear": (key.open_sealed(crypto.DOMAIN_ENVELOPE, bytes.fromhex(SEALED)) or b"").hex(),
        },
        "application": {
            "digest": application.digest.hex(),
            "commitments": [commitment.hex() for commitment in commitments],
            "frame": frame_of(application).rstrip(b"\0").hex(),
            "frame_bytes": len(frame_of(application)),
        },
    }


FILES = {
    function.__name__: function
    for function in (wire, hashes, signed, keys, state, merkle, quorums, genesis, shards, chain, successor, personal)
}
