"""A node that is honest but to those who catch up from it: heights that grow and shrink, headers and bodies that nobody
certified. It lies on the wire, so that its own node stays what it is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from consensus.simulator.generator import Generator
from ledger.codec import encode
from ledger.objects import decode_header, header_hash
from p2p.frames import Channel
from p2p.sync_messages import BodiesResponse, RangeResponse, SyncMessage, Tip, decode_sync, encode_sync

LIE_PPM = 500_000


def lying_sync(liar: int, chance: Generator) -> Callable[[int, Channel, bytes], bytes]:
    """What becomes of a payload on its way from `sender`: every second answer of the liar is a lie."""

    def tamper(sender: int, channel: Channel, payload: bytes) -> bytes:
        if sender != liar or channel is not Channel.SYNC or not chance.chance(LIE_PPM):
            return payload
        return encode_sync(_lie(decode_sync(payload), chance))

    return tamper


def _lie(message: SyncMessage, chance: Generator) -> SyncMessage:
    match message:
        case Tip(height):
            return Tip(height + chance.below(1_000) if chance.chance(700_000) else chance.below(height + 1))
        case RangeResponse() if message.headers:
            return _wrong_range(message, chance)
        case BodiesResponse() if message.bodies:
            bodies = list(message.bodies)
            bodies[chance.below(len(bodies))] = encode((1, (b"no transaction",), b""))
            return msgspec.structs.replace(message, bodies=tuple(bodies))
        case _:
            return message


def _wrong_range(message: RangeResponse, chance: Generator) -> RangeResponse:
    """The last header says another time, and the certificate names it although nobody signed that; or all headers but
    the first are missing; or the certificate is for another view."""
    kind = chance.below(3)
    if kind == 0 and message.finalization is not None and not message.closing:
        last = decode_header(message.headers[-1])
        forged = encode(msgspec.structs.replace(last, time_ms=last.time_ms + 1))
        named = msgspec.structs.replace(message.finalization, block_hash=header_hash(forged))
        return msgspec.structs.replace(message, headers=(*message.headers[:-1], forged), finalization=named)
    if kind == 1 or message.finalization is None:
        return msgspec.structs.replace(message, headers=message.headers[:1], height=message.height + 7)
    other = msgspec.structs.replace(message.finalization, view=message.finalization.view + 1)
    return msgspec.structs.replace(message, finalization=other)
