"""Frames: limits by channel, cuts anywhere, faults for ever."""

import pytest

from ledger.errors import PeerFault, TooLarge
from p2p.frames import HEADER_BYTES, LIMITS, Channel, FrameDecoder, encode_frame


def test_a_frame_is_length_channel_payload():
    assert encode_frame(Channel.VOTES, b"abc") == b"\x00\x00\x00\x03\x01abc"
    assert HEADER_BYTES == 5


@pytest.mark.parametrize("channel", list(Channel))
def test_every_channel_has_its_own_limit(channel):
    limit = LIMITS[channel]
    assert FrameDecoder().feed(encode_frame(channel, bytes(limit))) == [(channel, bytes(limit))]
    with pytest.raises(TooLarge):
        encode_frame(channel, bytes(limit + 1))
    decoder = FrameDecoder()
    with pytest.raises(PeerFault) as refused:
        decoder.feed((limit + 1).to_bytes(4, "big") + bytes([channel]))
    assert refused.value.code == "FRAME_TOO_LARGE"
    assert str(limit) in refused.value.expected
    assert str(limit + 1) in refused.value.found


def test_a_closed_or_unknown_channel_is_refused_from_the_header_alone():
    for number, decoder in ((1, FrameDecoder((Channel.CONTROL,))), (200, FrameDecoder())):
        with pytest.raises(PeerFault) as refused:
            decoder.feed(b"\x00\x00\x00\x01" + bytes([number]))
        assert (refused.value.code, refused.value.found) == ("BAD_CHANNEL", number)


def test_after_a_fault_nothing_is_read():
    decoder = FrameDecoder()
    with pytest.raises(PeerFault) as first:
        decoder.feed(b"GET / HTTP/1.1\r\n")
    with pytest.raises(PeerFault) as second:
        decoder.feed(encode_frame(Channel.VOTES, b"fine"))
    assert first.value is second.value
    assert decoder.idle


def test_channels_open_later():
    decoder = FrameDecoder((Channel.CONTROL,))
    assert decoder.feed(encode_frame(Channel.CONTROL, b"hello")) == [(Channel.CONTROL, b"hello")]
    decoder.allow(tuple(Channel))
    assert decoder.feed(encode_frame(Channel.SYNC, b"")) == [(Channel.SYNC, b"")]
