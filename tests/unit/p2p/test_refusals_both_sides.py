"""Every refusal of the handshake is known on both sides: code, both values, and what to do."""

import asyncio
import dataclasses
import socket
from contextlib import suppress
from typing import ClassVar

import msgspec
import pytest
from p2p_world import CHAIN, GENESIS, Consortium, now_ms, running, until

from ledger.codec import encode
from ledger.errors import PeerFault
from p2p.addresses import parse_address
from p2p.dialer import Goal
from p2p.frames import Channel, encode_frame
from p2p.handshake import HandshakeTerms
from p2p.hello import Hello, decode_control, encode_control, refusal
from p2p.refusals import RefusalLog

pytestmark = pytest.mark.asyncio


def refusal_of(network, code):
    return next((entry for entry in network.refusals() if entry.code == code), None)


async def both_know(a, b, code):
    """Wait until both networks keep a refusal `code`; return them."""
    await until(lambda: refusal_of(a, code) and refusal_of(b, code), what=f"{code} on both sides")
    found = refusal_of(a, code), refusal_of(b, code)
    for entry in found:
        assert entry.expected
        assert entry.found
        assert entry.expected != entry.found
        assert len(entry.fix) > 10
    assert a.refusal_counts()[code] >= 1
    assert b.refusal_counts()[code] >= 1
    assert not a.peers()
    assert not b.peers()
    return found


OTHER_GENESIS = bytes(reversed(range(32)))


@pytest.mark.parametrize(
    ("code", "changes", "values"),
    [
        ("GENESIS_MISMATCH", {"genesis_hash": OTHER_GENESIS}, (GENESIS.hex(), OTHER_GENESIS.hex())),
        ("CHAIN_ID_MISMATCH", {"chain_id": "dev-other-00"}, (CHAIN, "dev-other-00")),
    ],
)
async def test_another_network(consortium, code, changes, values):
    async with (
        running(consortium, "a") as (a, _),
        running(consortium, "b", seeds=(a.address,), **changes) as (b, _),
    ):
        at_a, at_b = await both_know(a, b, code)
        assert {at_a.expected, at_a.found} == set(values)
        assert {at_b.expected, at_b.found} == set(values)
        assert b.peers() == []


@pytest.mark.parametrize("offset_ms", [6_000, -6_000])
async def test_a_skewed_clock(consortium, offset_ms):
    async with (
        running(consortium, "a") as (a, _),
        running(consortium, "b", clock=lambda: now_ms() + offset_ms, seeds=(a.address,)) as (b, _),
    ):
        at_a, at_b = await both_know(a, b, "CLOCK_SKEW")
        assert "5000 ms" in at_a.expected
        shown = [int(entry.found.split("(")[1].split()[0]) for entry in (at_a, at_b)]
        assert all(5_000 < abs(skew) <= 6_500 for skew in shown)
        assert "time server" in at_a.fix


async def test_a_clock_within_bounds_is_accepted(consortium):
    async with (
        running(consortium, "a") as (a, at_a),
        running(consortium, "b", clock=lambda: now_ms() + 4_000, seeds=(a.address,)),
    ):
        await until(lambda: at_a.linked)
        assert a.refusals() == []


async def test_a_foreign_authority(consortium, tmp_path):
    other = Consortium(tmp_path, "elsewhere")
    async with (
        running(consortium, "a") as (a, _),
        running(other, "b", seeds=(a.address,)) as (b, _),
    ):
        at_a, _ = await both_know(a, b, "FOREIGN_CA")
        assert at_a.expected == consortium.identity("x").ca_fingerprints[0].hex()[:32]
        assert at_a.found == other.identity("y").ca_fingerprints[0].hex()[:32]


async def test_an_expired_certificate(consortium):
    old = consortium.identity("b", days=-1)
    async with (
        running(consortium, "a") as (a, _),
        running(consortium, "b", identity=old, seeds=(a.address,)) as (b, _),
    ):
        at_a, at_b = await both_know(a, b, "CERTIFICATE_EXPIRED")
        assert str(old.certificate.not_after_ms) in at_a.found
        assert at_b.by_peer
        assert not at_a.by_peer
        assert "renew" in at_b.fix


async def test_an_unknown_member(consortium):
    stranger = consortium.identity("b")
    async with (
        running(consortium, "a", admit=lambda node: "not registered" if node == stranger.node_id else None) as (a, _),
        running(consortium, "b", identity=stranger, seeds=(a.address,)) as (b, _),
    ):
        at_a, at_b = await both_know(a, b, "UNKNOWN_MEMBER")
        assert stranger.node_id.hex()[:32] in at_a.found
        assert stranger.node_id.hex()[:32] in at_b.found
        assert "not registered" in at_b.expected
        assert (at_a.by_peer, at_b.by_peer) == (False, True)


class Announcing(HandshakeTerms):
    """Terms of a node that says something else in clear than it should."""

    __slots__ = ()
    change: ClassVar[dict] = {}

    def hello(self):
        return msgspec.structs.replace(super().hello(), **type(self).change)


def announcing(network, **change):
    """Make a network lie in its hellos."""
    kind = type("Lying", (Announcing,), {"__slots__": (), "change": change})
    terms = network._terms
    network._terms = kind(**{field.name: getattr(terms, field.name) for field in dataclasses.fields(terms)})


async def test_another_protocol_version(consortium):
    async with running(consortium, "a") as (a, _), running(consortium, "b") as (b, _):
        announcing(b, protocol=2)
        b._dialer._seeds.append(seed_goal(a))
        b._dialer.poke()
        await until(lambda: refusal_of(a, "PROTOCOL_MISMATCH") and refusal_of(b, "PROTOCOL_MISMATCH"))
        at_a, at_b = refusal_of(a, "PROTOCOL_MISMATCH"), refusal_of(b, "PROTOCOL_MISMATCH")
        assert (at_a.expected, at_a.found, at_a.by_peer) == ("1", "2", False)
        assert (at_b.expected, at_b.found, at_b.by_peer) == ("1", "2", True)
        assert "version" in at_b.fix


def seed_goal(network):
    return Goal(*parse_address(network.address), None, 0.0, 0.05)


async def test_the_protocol_is_named_whatever_a_later_version_puts_into_its_hello():
    later = b"\x01" + msgspec.msgpack.encode([7, "entirely", {"other": "fields"}])
    with pytest.raises(PeerFault) as refused:
        decode_control(later)
    assert (refused.value.code, refused.value.expected, refused.value.found) == ("PROTOCOL_MISMATCH", 1, 7)


async def test_another_certificate_inside_tls_than_announced(consortium):
    async with running(consortium, "a") as (a, _), running(consortium, "b") as (b, _):
        announcing(b, certificate_fingerprint=bytes(32))
        b._dialer._seeds.append(seed_goal(a))
        b._dialer.poke()
        at_a, at_b = await both_know(a, b, "CERTIFICATE_DIFFERS")
        assert at_a.expected == bytes(16).hex()
        assert at_a.found == b._terms.identity.certificate.fingerprint.hex()[:32]
        assert (at_a.by_peer, at_b.by_peer) == (False, True)


async def test_a_foreign_certificate_behind_a_lying_hello_fails_in_tls(consortium, tmp_path):
    other = Consortium(tmp_path, "elsewhere")
    async with running(consortium, "a") as (a, _), running(other, "b") as (b, _):
        announcing(b, ca_fingerprints=a._terms.identity.ca_fingerprints)
        rules = dataclasses.replace(b._terms.rules, ca_fingerprints=a._terms.identity.ca_fingerprints)
        object.__setattr__(b._terms, "rules", rules)
        b._dialer._seeds.append(seed_goal(a))
        b._dialer.poke()
        await until(lambda: refusal_of(a, "TLS_FAILED") and refusal_of(b, "TLS_FAILED"))
        assert all(refusal_of(node, "TLS_FAILED").found for node in (a, b))
        assert not a.peers()


async def test_a_hello_changed_on_the_way_is_refused_inside_tls(consortium):
    """A man in the middle moves the dialer's clock by 1 ms in clear; TLS passes through him untouched."""

    async def relay(reader, writer, change):
        try:
            while data := await reader.read(65536):
                writer.write(change(data))
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def alter(data):
        frame_end = 5 + int.from_bytes(data[:4], "big")
        if data[4] != 0 or data[5] != 1 or len(data) < frame_end:
            return data
        hello = decode_control(data[5:frame_end])
        changed = msgspec.structs.replace(hello, time_ms=hello.time_ms + 1)
        return encode_frame(Channel.CONTROL, encode_control(changed)) + data[frame_end:]

    async with running(consortium, "a") as (a, _):
        host, port = a.address.split(":")
        async with asyncio.TaskGroup() as group:

            async def between(reader, writer):
                to_reader, to_writer = await asyncio.open_connection(host, int(port))
                group.create_task(relay(reader, to_writer, alter))
                group.create_task(relay(to_reader, writer, lambda data: data))

            middle = await asyncio.start_server(between, "127.0.0.1", 0)
            async with middle:
                place = place_of(middle)
                async with running(consortium, "b", seeds=(place,)) as (b, _):
                    at_a, at_b = await both_know(a, b, "HELLO_DIFFERS")
                    before, after = int(at_a.expected.split(": ")[1]), int(at_a.found)
                    assert before == after + 1
                    assert (at_a.by_peer, at_b.by_peer) == (False, True)


# --- callers that are no nodes ----------------------------------------------------------------------------------------


def place_of(server):
    host, port = server.sockets[0].getsockname()[:2]
    return f"{host}:{port}"


async def call(network, *chunks):
    """Send raw bytes; return what the network says until it closes, as control messages."""
    host, port = network.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for chunk in chunks:
            writer.write(chunk)
        data = await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    messages = []
    while data:
        length = int.from_bytes(data[:4], "big")
        messages.append(decode_control(data[5 : 5 + length]))
        data = data[5 + length :]
    return messages


def a_hello(**change):
    values = {
        "protocol": 1,
        "chain_id": CHAIN,
        "genesis_hash": GENESIS,
        "ca_fingerprints": (bytes(32),),
        "certificate_fingerprint": bytes(32),
        "not_after": now_ms() + 10_000,
        "time_ms": now_ms(),
    }
    return Hello(**(values | change))


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("BAD_CHANNEL", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("FRAME_TOO_LARGE", (5000).to_bytes(4, "big") + b"\x00" + bytes(5000)),
        ("BAD_CHANNEL", encode_frame(Channel.VOTES, b"vote")),
        ("MALFORMED_HELLO", encode_frame(Channel.CONTROL, b"")),
        ("MALFORMED_HELLO", encode_frame(Channel.CONTROL, b"\x01" + bytes(100))),
        ("MALFORMED_HELLO", encode_frame(Channel.CONTROL, b"\x01" + encode(tuple([1] * 3000)))),
        ("MALFORMED_HELLO", encode_frame(Channel.CONTROL, b"\x02\x90")),
        ("MALFORMED_HELLO", encode_frame(Channel.CONTROL, b"\x05\x91\x01") * 9),
        ("MALFORMED_HELLO", encode_frame(Channel.CONTROL, b"\x05\x91\x01")),
    ],
)
async def test_garbage_is_answered_by_a_refusal_and_kept(consortium, code, sent):
    async with running(consortium, "a") as (a, _):
        said = await call(a, sent)
        assert type(said[0]) is Hello
        assert said[-1].code == code
        await until(lambda: refusal_of(a, code))
        kept = refusal_of(a, code)
        assert kept.fix
        assert kept.address.startswith("127.0.0.1:")
        assert kept.found


async def test_a_foreign_caller_learns_both_values(consortium):
    async with running(consortium, "a") as (a, _):
        said = await call(a, encode_frame(Channel.CONTROL, encode_control(a_hello())))
        assert said[-1].code == "FOREIGN_CA"
        assert said[-1].found == bytes(16).hex()
        assert said[-1].expected == a._terms.identity.ca_fingerprints[0].hex()[:32]


async def test_a_slow_caller_is_cut_off(consortium):
    async with running(consortium, "a", handshake_timeout_s=0.2) as (a, _):
        said = await call(a, b"\x00")
        assert said[-1].code == "HANDSHAKE_TIMEOUT"
        await until(lambda: refusal_of(a, "HANDSHAKE_TIMEOUT"))
        assert refusal_of(a, "HANDSHAKE_TIMEOUT").found == "1 bytes received"


async def test_a_caller_that_says_nothing_after_the_hellos_is_cut_off(consortium):
    async with running(consortium, "a", handshake_timeout_s=0.2) as (a, _):
        hello = a_hello(ca_fingerprints=a._terms.identity.ca_fingerprints)
        said = await call(a, encode_frame(Channel.CONTROL, encode_control(hello)))
        assert said[-1].code == "HANDSHAKE_TIMEOUT"


async def test_garbage_instead_of_tls_is_refused(consortium):
    async with running(consortium, "a") as (a, _):
        hello = a_hello(ca_fingerprints=a._terms.identity.ca_fingerprints)
        host, port = a.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(encode_frame(Channel.CONTROL, encode_control(hello)))
        writer.write(encode_frame(Channel.CONTROL, b"\x02\x90"))
        await asyncio.sleep(0.1)
        writer.write(b"this is not TLS at all" * 10)
        await until(lambda: refusal_of(a, "TLS_FAILED"))
        writer.close()
        assert refusal_of(a, "TLS_FAILED").found


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"", "HANDSHAKE_CLOSED"), (b"SSH-2.0-x\r\n", "BAD_CHANNEL"), (None, "HANDSHAKE_TIMEOUT")],
)
async def test_dialing_something_that_is_no_node(consortium, answer, code):
    release = asyncio.Event()

    async def other(reader, writer):
        if answer is None:
            await release.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    place = place_of(server)
    async with running(consortium, "b", seeds=(place,), handshake_timeout_s=0.3) as (b, _):
        await until(lambda: refusal_of(b, code))
        assert refusal_of(b, code).address == place
        assert refusal_of(b, code).outbound
    release.set()
    server.close()


async def test_a_dead_seed_is_named(consortium):
    async with running(consortium, "b", seeds=("127.0.0.1:9",)) as (b, _):
        await until(lambda: refusal_of(b, "UNREACHABLE"))
        assert "127.0.0.1:9" in refusal_of(b, "UNREACHABLE").expected
        assert "[p2p] seeds" in refusal_of(b, "UNREACHABLE").fix


async def test_own_address_as_seed_is_dropped_without_noise(consortium):
    identity = consortium.identity("a")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with running(consortium, "a", identity=identity, listen_port=port, seeds=(f"127.0.0.1:{port}",)) as (
        a,
        recorder,
    ):
        await until(lambda: not a._dialer._seeds)
        assert not recorder.ups
        assert all(entry.code == "SELF" for entry in a.refusals())


async def test_one_key_in_two_processes_the_newest_session_wins(consortium):
    shared = consortium.identity("b")
    async with (
        running(consortium, "a") as (a, at_a),
        running(consortium, "b", identity=shared, seeds=(a.address,)) as (older, at_older),
    ):
        await until(lambda: at_a.linked)
        await asyncio.sleep(0.05)
        async with running(consortium, "b", identity=shared, seeds=(a.address,)) as (_, at_newer):
            await until(lambda: at_newer.linked and not at_older.linked)
            await until(lambda: refusal_of(a, "KEY_IN_USE") and refusal_of(older, "KEY_IN_USE"))
            await asyncio.sleep(0.5)
            assert at_newer.linked
            assert not at_newer.downs
            assert not at_older.linked
            assert older.refusal_counts()["KEY_IN_USE"] >= 2
            assert "newest" in refusal_of(a, "KEY_IN_USE").fix
            assert "started later" in refusal_of(older, "KEY_IN_USE").fix


async def test_too_many_unfinished_handshakes_cost_the_oldest(consortium):
    async with running(consortium, "a", max_handshakes=4) as (a, at_a):
        host, port = a.address.split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(8)]
        async with running(consortium, "b", seeds=(a.address,)):
            await until(lambda: at_a.linked)
        assert a.refusal_counts()["TOO_MANY_HANDSHAKES"] >= 4
        for _, writer in idle:
            writer.close()


async def test_equal_refusals_are_one_entry_with_a_count(consortium):
    async with running(consortium, "a", kept_refusals=3) as (a, _):
        for _ in range(5):
            await call(a, b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: a.refusals()[0].count == 5)
        assert len(a.refusals()) == 1
        assert a.refusal_counts() == {"BAD_CHANNEL": 5}


async def test_only_the_last_refusals_are_kept_and_all_are_counted(consortium):
    log = RefusalLog(keep=3)
    for number in range(10):
        fault = refusal("UNKNOWN_MEMBER", "a member", number)
        log.add(fault, number, by_peer=False, outbound=True, address=f"h:{number}", node_id=bytes([number]))
    assert [entry.found for entry in log.entries()] == ["7", "8", "9"]
    assert log.counts == {"UNKNOWN_MEMBER": 10}
