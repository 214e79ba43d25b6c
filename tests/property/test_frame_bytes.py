"""Frames against any bytes in any cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import PeerFault
from p2p.frames import HEADER_BYTES, LIMITS, Channel, FrameDecoder, encode_frame
from p2p.hello import Hello, decode_control, encode_control

frames = st.lists(st.tuples(st.sampled_from(Channel), st.binary(max_size=300)), max_size=12)


def fault_of(work):
    """The `PeerFault` that `work` raises, None if it raises nothing. Anything else fails the test."""
    try:
        work()
    except PeerFault as fault:
        return fault
    return None


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[first:last] for first, last in pairwise(edges)]


@given(frames, st.lists(st.integers(min_value=0, max_value=5000), max_size=20))
def test_what_was_framed_comes_out_however_the_stream_is_cut(sent, places):
    stream = b"".join(encode_frame(channel, payload) for channel, payload in sent)
    decoder = FrameDecoder()
    received = [frame for chunk in cut(stream, places) for frame in decoder.feed(chunk)]
    assert received == sent
    assert decoder.idle


@given(st.binary(max_size=600), st.lists(st.integers(min_value=0, max_value=600), max_size=10))
def test_any_bytes_give_frames_or_a_peer_fault(data, places):
    decoder = FrameDecoder()
    received = []
    fault = None
    for chunk in cut(data, places):
        fault = fault_of(lambda chunk=chunk: received.extend(decoder.feed(chunk)))
    assert fault is None or (fault.code in ("FRAME_TOO_LARGE", "BAD_CHANNEL") and fault.fix)
    for channel, payload in received:
        assert len(payload) <= LIMITS[channel]
    assert sum(HEADER_BYTES + len(payload) for _, payload in received) <= len(data)


@given(st.binary(max_size=400))
def test_any_control_payload_decodes_or_is_a_peer_fault(payload):
    decoded = []
    fault = fault_of(lambda: decoded.append(decode_control(payload)))
    assert fault is None or fault.code in ("MALFORMED_HELLO", "PROTOCOL_MISMATCH")
    assert [encode_control(message) for message in decoded] == ([payload] if fault is None else [])


@given(
    st.builds(
        Hello,
        st.just(1),
        st.text(max_size=60),
        st.binary(min_size=32, max_size=32),
        st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4).map(tuple),
        st.binary(min_size=32, max_size=32),
        st.integers(min_value=0, max_value=2**64 - 1),
        st.integers(min_value=0, max_value=2**64 - 1),
    ),
    st.integers(min_value=0),
    st.integers(min_value=0, max_value=255),
)
def test_a_hello_survives_the_wire_and_a_changed_byte_does_not_pass_unseen(hello, place, byte):
    raw = encode_control(hello)
    assert decode_control(raw) == hello
    changed = bytearray(raw)
    changed[place % len(raw)] = byte
    if bytes(changed) != raw:
        decoded = []
        fault = fault_of(lambda: decoded.append(decode_control(bytes(changed))))
        assert decoded != [hello]
        assert fault is None or fault.code in ("MALFORMED_HELLO", "PROTOCOL_MISMATCH")
