"""Every key, in one module: the keys of the database, and those of authenticated state, which lie inside it.

Database keys (`ledger.store`, written by `ledger.chain`; one byte of prefix, then fixed-width big-endian fields, 64-bit
counters, so that byte order is numeric order):

| prefix | key | value |
|---|---|---|
| M | text | format version, genesis document, head, oldest state where that is named (`ledger.chain`) |
| S | state key | value of authenticated state at the head |
| T | group 1 (0 to 15) | 16 digests of the state tree's nodes of two nibbles, 512 bytes |
| B | path (hex text) | bucket of the state tree: records of 64 bytes, place and value digest |
| U | height 8 | undo: (key, value before) of each state key the block changed; of 256 blocks, or from `undo` in M |
| H | height 8 | header bytes |
| D | height 8 | body bytes |
| N | block hash 32 | height 8 |
| R | height 8, chunk 4 | receipts, `RECEIPT_CHUNK` a row |
| X | transaction id 32 | height 8, index 4, index of its receipt 4 |
| A | address 32, height 8 | indexes of the account's transactions in that block, 4 bytes each, ascending |
| F | height 8 (the certified one) | finalization of that block, and the closing blocks it certifies instead, if any |
| G | height 8 | height 8 whose finalization proves this block (`final_by`), number of transactions 4, of receipts 4 |
| O | height 8 | state root here after a certified block, where its header names another (`ledger.chain`) |
| E | epoch 8 | height 8 of the boundary block that the epoch begins on |
| V | validators hash 32 | the validator set |
| I | state key | value in the first state of a chain that continues another (`ledger.succession`) |

State keys (what contracts and engines write; their places in the tree are hashes, their order here is for scans):

| prefix | key | value |
|---|---|---|
| n | address 32 | nonce window of an account (`ledger.accounts`) |
| c | name, slot, key | storage of a contract instance |
| m | name | record of a contract instance |
| s | source hash 32 | contract source |
| q | due 8, name, seq 8 | scheduled call, in execution order |
| e | text | what the consensus engine keeps (validator sets, scores, bars) |
"""

from __future__ import annotations


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    return len(raw).to_bytes(1, "big") + raw


STATE_NONCE = b"n"


def state_nonce(address: bytes) -> bytes:
    """Nonce window of an account."""
    return STATE_NONCE + address


def state_storage(contract: str, slot: str) -> bytes:
    """Prefix of one storage slot of a contract instance; an encoded key follows for maps."""
    return b"c" + _text(contract) + _text(slot)


def state_instance(contract: str) -> bytes:
    """Prefix of all storage of a contract instance."""
    return b"c" + _text(contract)


STATE_CONTRACT = b"m"


def state_contract(contract: str) -> bytes:
    """Record of a contract instance."""
    return STATE_CONTRACT + _text(contract)


def state_source(source_hash: bytes) -> bytes:
    """Contract source by its hash."""
    return b"s" + source_hash


STATE_SCHEDULE = b"q"


def state_scheduled(due_ms: int, contract: str, seq: int) -> bytes:
    """One scheduled call; ascending key order is execution order (due, contract, seq)."""
    return STATE_SCHEDULE + due_ms.to_bytes(8, "big") + _text(contract) + seq.to_bytes(8, "big")


def state_engine(name: str) -> bytes:
    """A value that the consensus engine keeps in state."""
    return b"e" + _text(name)


DB_META = b"M"
DB_STATE = b"S"
DB_TREE_TOP = b"T"
DB_BUCKET = b"B"
DB_UNDO = b"U"
DB_HEADER = b"H"
DB_BODY = b"D"
DB_HEIGHT_OF = b"N"
DB_RECEIPTS = b"R"
DB_TRANSACTION = b"X"
DB_ACCOUNT = b"A"
DB_FINALITY = b"F"
DB_FINAL_BY = b"G"
DB_EPOCH = b"E"
DB_OWN_ROOT = b"O"
DB_VALIDATORS = b"V"
DB_FIRST_STATE = b"I"


def u64(number: int) -> bytes:
    """A counter or height: 8 bytes, big-endian."""
    return number.to_bytes(8, "big")


def u32(number: int) -> bytes:
    """An index inside a block: 4 bytes, big-endian."""
    return number.to_bytes(4, "big")


def db_meta(name: str) -> bytes:
    """A value of the database as a whole."""
    return DB_META + name.encode("ascii")


def db_bucket(path: str) -> bytes:
    """A bucket of the state tree by its path, two or more hex digits."""
    return DB_BUCKET + path.encode("ascii")


def db_height(prefix: bytes, height: int) -> bytes:
    """A row of one height: `DB_UNDO`, `DB_HEADER`, `DB_BODY`, `DB_FINALITY` or `DB_FINAL_BY`."""
    return prefix + height.to_bytes(8, "big")


def db_receipts(height: int, chunk: int) -> bytes:
    """A chunk of a block's receipts."""
    return DB_RECEIPTS + height.to_bytes(8, "big") + chunk.to_bytes(4, "big")


def db_account(address: bytes, height: int) -> bytes:
    """The transactions of one account in one block."""
    return DB_ACCOUNT + address + height.to_bytes(8, "big")
