"""Every key, in one module: first the keys of authenticated state, then those of the database around it.

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


def state_nonce(address: bytes) -> bytes:
    """Nonce window of an account."""
    return b"n" + address


def state_storage(contract: str, slot: str) -> bytes:
    """Prefix of one storage slot of a contract instance; an encoded key follows for maps."""
    return b"c" + _text(contract) + _text(slot)


def state_contract(contract: str) -> bytes:
    """Record of a contract instance."""
    return b"m" + _text(contract)


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
