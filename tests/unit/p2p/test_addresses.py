"""Signed addresses and the book of them."""

import pytest
from p2p_world import CHAIN, Consortium

from ledger.codec import decode, encode
from ledger.errors import ConfigError, PeerFault
from p2p.addresses import (
    AddressBook,
    AddressList,
    AddressRecord,
    SignedAddress,
    encode_list,
    format_address,
    parse_address,
    sign_address,
)


@pytest.fixture
def nodes(tmp_path):
    consortium = Consortium(tmp_path)
    return {name: consortium.identity(name) for name in "abc"}


def book_of(identity, admits=lambda node: True):
    return AddressBook(sign_address(identity, CHAIN, ("127.0.0.1", 1), 1, "own"), CHAIN, admits)


def test_the_newest_record_of_a_node_wins(nodes):
    book = book_of(nodes["a"])
    first = sign_address(nodes["b"], CHAIN, ("10.0.0.1", 8700), 5, "b")
    later = sign_address(nodes["b"], CHAIN, ("10.0.0.2", 8700), 6, "b")
    assert book.learn(encode_list([first])[0]) == [first]
    assert book.learn(encode_list([first])[0]) == []
    assert book.learn(encode_list([later])[0]) == [later]
    assert book.learn(encode_list([first])[0]) == []
    assert book.get(nodes["b"].node_id).place == "10.0.0.2:8700"
    assert len(book) == 1


def test_a_forged_record_is_a_peers_fault(nodes):
    book = book_of(nodes["a"])
    record = sign_address(nodes["b"], CHAIN, ("10.0.0.1", 8700), 5, "b").record
    forged = SignedAddress(encode(record), nodes["c"].sign(b"gridchain/peer-address\x00", encode(record)))
    with pytest.raises(PeerFault) as refused:
        book.learn(encode(AddressList((encode(forged),))))
    assert refused.value.code == "BAD_SIGNATURE"
    assert len(book) == 0


def test_records_of_another_network_or_malformed_ones_are_faults(nodes):
    book = book_of(nodes["a"])
    foreign = sign_address(nodes["b"], "dev-other", ("10.0.0.1", 8700), 5, "b")
    with pytest.raises(PeerFault) as refused:
        book.add(foreign.raw)
    assert refused.value.code == "FOREIGN_ADDRESS"
    for payload in (b"", b"\x91", b"\x91\x91\xc4\x01x", encode(AddressList((b"junk",)))):
        with pytest.raises(PeerFault):
            book.learn(payload)
    for host, port in (("", 1), ("a b", 1), ("x" * 254, 1), ("h\n", 1), ("h", 0), ("h", 65536)):
        raw = encode(AddressRecord(CHAIN, nodes["b"].certificate.public_key, host, port, 1, "b"))
        with pytest.raises(PeerFault):
            book.add(encode(SignedAddress(raw, nodes["b"].sign(b"gridchain/peer-address\x00", raw))))


def test_own_records_and_strangers_are_not_kept(nodes):
    book = book_of(nodes["a"], admits=lambda node: node != nodes["c"].node_id)
    own = sign_address(nodes["a"], CHAIN, ("10.0.0.9", 1), 99, "own")
    stranger = sign_address(nodes["c"], CHAIN, ("10.0.0.3", 1), 9, "c")
    assert book.learn(encode_list([own, stranger])[0]) == []
    assert book.all() == [book.own]


def test_long_lists_are_cut(nodes):
    records = [sign_address(nodes["b"], CHAIN, ("10.0.0.1", 1), number, "b") for number in range(450)]
    payloads = encode_list(records)
    assert [len(decode(AddressList, payload).records) for payload in payloads] == [200, 200, 50]
    assert all(len(payload) < 128 * 1024 for payload in payloads)


@pytest.mark.parametrize(
    ("text", "place"),
    [("localhost:1", ("localhost", 1)), ("[::1]:8700", ("::1", 8700)), ("127.0.0.1:65535", ("127.0.0.1", 65535))],
)
def test_addresses_are_written_and_read(text, place):
    assert parse_address(text) == place
    assert format_address(*place) == text


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "host:-1", "host:²"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        parse_address(text)
    assert refused.value.code == "BAD_ADDRESS"
