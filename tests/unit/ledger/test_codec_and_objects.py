"""Bytes from outside: strict, bounded, one encoding, and a named error for everything else."""

from __future__ import annotations

import msgpack
import pytest
from chain_world import ChainWorld, seeded_key
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.codec import decode, encode
from ledger.crypto import (
    DOMAIN_TRANSACTION,
    DOMAIN_VOTE,
    SigningKey,
    address_of,
    valid_public_key,
    verify,
)
from ledger.errors import BadSignature, DecodeError, GridchainError, NotCanonical, TooLarge
from ledger.objects import (
    MAX_ARGUMENT_BYTES,
    MAX_TRANSACTION_BYTES,
    Body,
    Header,
    Receipt,
    TransactionBody,
    TransactionEnvelope,
    decode_header,
    decode_transaction,
    header_hash,
    sign_transaction,
    transaction_id,
    verify_transaction,
)

KEY = seeded_key(9)
BODY = TransactionBody(1, "dev-test", KEY.public, 5, "token", "transfer", b"\x90", 1_000)
RAW = sign_transaction(BODY, KEY)


def test_a_signed_transaction_reads_back() -> None:
    transaction = decode_transaction(RAW)
    assert transaction.body == BODY
    assert transaction.sender == KEY.address == address_of(KEY.public)
    assert transaction.id == transaction_id(RAW)
    assert verify_transaction(transaction) is not None


def test_every_changed_byte_is_malformed_or_wrongly_signed() -> None:
    ids = {transaction_id(RAW)}
    for at in range(len(RAW)):
        changed = RAW[:at] + bytes((RAW[at] ^ 1 << at % 8,)) + RAW[at + 1 :]
        try:
            transaction = decode_transaction(changed)
        except DecodeError:
            continue
        assert verify_transaction(transaction) is None
        ids.add(transaction.id)
    assert len(ids) > 64


@pytest.mark.parametrize(
    "change",
    [
        replace(BODY, version=2),
        replace(BODY, contract="Token"),
        replace(BODY, contract="token\n"),
        replace(BODY, entry=""),
        replace(BODY, entry="a" * 65),
        replace(BODY, public_key=b"\x01" * 31),
        replace(BODY, nonce=-1),
        replace(BODY, gas_limit=-1),
        replace(BODY, chain_id="x" * 129),
        replace(BODY, arguments=bytes(MAX_ARGUMENT_BYTES + 1)),
    ],
)
def test_bodies_that_are_none(change: TransactionBody) -> None:
    with pytest.raises(DecodeError):
        decode_transaction(sign_transaction(change, KEY))


def test_sizes_are_bounded_before_parsing() -> None:
    with pytest.raises(TooLarge) as refused:
        decode_transaction(bytes(MAX_TRANSACTION_BYTES + 1))
    assert refused.value.code == "TOO_LARGE"
    assert refused.value.expected
    assert refused.value.found


def test_other_encodings_of_the_same_value_are_refused() -> None:
    """Padded integers, surplus elements, maps, long string headers: decoders take them, we do not."""
    body, signature = msgpack.unpackb(RAW)
    fields = msgpack.unpackb(body)
    padded = body.replace(b"\x05\xa5token", b"\xcc\x05\xa5token")
    assert padded != body
    long_text = body.replace(b"\xa5token", b"\xd9\x05token")
    surplus = msgpack.packb([*fields, 1])
    as_map = msgpack.packb(dict(zip(TransactionBody.__struct_fields__, fields, strict=True)))
    for other in (padded, long_text, surplus, as_map):
        with pytest.raises(DecodeError):
            decode_transaction(encode(TransactionEnvelope(other, signature)))
    with pytest.raises(NotCanonical):
        decode(TransactionBody, padded)
    with pytest.raises(NotCanonical):
        decode(TransactionBody, long_text)
    with pytest.raises(DecodeError):
        decode_transaction(RAW + b"\x00")


def test_an_independent_reader_and_writer_agree() -> None:
    """The `msgpack` package reads what msgspec wrote, and writes the same bytes."""
    body, signature = msgpack.unpackb(RAW)
    assert msgpack.packb([body, signature]) == RAW
    assert msgpack.packb(msgpack.unpackb(body)) == body


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_decode_error(raw: bytes) -> None:
    for kind in (TransactionEnvelope, TransactionBody, Header, Body, Receipt):
        try:
            value = decode(kind, raw)
        except DecodeError:
            continue
        assert encode(value) == raw


def test_deep_nesting_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        decode(Receipt, b"\x91" * 100_000)


def test_headers() -> None:
    world = ChainWorld()
    world.commit(1)
    raw = world.chain.header_bytes(1)
    assert raw is not None
    assert header_hash(raw) == world.chain.head_hash
    with pytest.raises(DecodeError):
        decode_header(encode(replace(decode_header(raw), version=2)))
    with pytest.raises(TooLarge):
        decode_header(raw + bytes(4096))


def test_signatures_are_bound_to_their_domain_and_never_raise() -> None:
    signature = KEY.sign(DOMAIN_VOTE, b"data")
    assert verify(KEY.public, DOMAIN_VOTE, b"data", signature)
    for public, domain, data, other in (
        (KEY.public, DOMAIN_TRANSACTION, b"data", signature),
        (KEY.public, DOMAIN_VOTE, b"Data", signature),
        (seeded_key(8).public, DOMAIN_VOTE, b"data", signature),
        (KEY.public, DOMAIN_VOTE, b"data", signature[:-1]),
        (KEY.public[:-1], DOMAIN_VOTE, b"data", signature),
        (bytes(32), DOMAIN_VOTE, b"data", signature),
        (b"\xff" * 32, DOMAIN_VOTE, b"data", b"\xff" * 64),
    ):
        assert not verify(public, domain, data, other)


SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


def test_registrable_keys() -> None:
    assert valid_public_key(KEY.public)
    for text in SMALL_ORDER:
        assert not valid_public_key(bytes.fromhex(text))
    assert not valid_public_key(KEY.public[:31])
    assert not valid_public_key(b"\xff" * 32)


def test_the_first_vector_of_rfc_8032() -> None:
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"", b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_a_key_needs_its_seed_and_hides_it() -> None:
    with pytest.raises(BadSignature):
        SigningKey(bytes(31))
    assert KEY.seed == (9).to_bytes(32, "big")
    assert KEY.seed.hex() not in repr(KEY)


def test_errors_say_code_both_values_and_the_fix() -> None:
    error = GridchainError("no", code="X", expected=1, found=2, fix="do this")
    assert str(error) == "X: no; expected 1, found 2; do this"
    assert error.as_dict() == {"code": "X", "message": "no", "expected": "1", "found": "2", "fix": "do this"}
    assert str(DecodeError("bad")) == "MALFORMED: bad"
