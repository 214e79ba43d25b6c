"""Formats are what the golden vectors say. On a purposeful change run tests/conformance/regenerate.py and review it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from golden_formats import FILES
from regenerate import VECTORS, text_of
from wire_samples import wire_types

from ledger.codec import decode, encode
from ledger.errors import DecodeError
from ledger.proofs import TrustRoot, verify_settlement


@pytest.mark.parametrize("name", FILES)
def test_formats_are_those_of_the_vectors(name: str) -> None:
    assert text_of(FILES[name]()) == (VECTORS / f"{name}.json").read_text(encoding="ascii")


def test_no_vectors_without_a_source() -> None:
    assert sorted(path.stem for path in VECTORS.glob("*.json")) == sorted(FILES)


def stored(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="ascii"))
    return found


@pytest.mark.parametrize(("name", "entry"), stored("wire").items())
def test_every_wire_type_reads_its_vector_and_nothing_near_it(name: str, entry: dict[str, Any]) -> None:
    kind, raw = wire_types()[name], bytes.fromhex(entry["encoding"])
    assert encode(decode(kind, raw)) == raw
    for changed in (raw[:-1], raw + b"\x00", raw + b"\xc0", b"", b"\xc1", bytes((raw[0] + 1,)) + raw[1:] + b"\xc0"):
        with pytest.raises(DecodeError):
            decode(kind, changed)


def test_stored_proof_files_verify() -> None:
    chain = stored("chain")
    for name, trust in zip(("settlement_from_genesis", "settlement_from_block_1"), chain["trust_roots"], strict=True):
        found = verify_settlement(bytes.fromhex(chain[name]), TrustRoot.parse(trust))
        assert (found.key, found.value) == (b"bill2", b"settled 2")
    later = stored("successor")
    found = verify_settlement(bytes.fromhex(later["file"]), TrustRoot.parse(later["trust"]))
    assert (found.chain_id, found.key, found.receipt_height) == (later["chain_id"], b"bill6", 6)
