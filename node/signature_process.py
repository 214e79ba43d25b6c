"""The child of `node.signatures`: reads chunks of signed bytes, answers which signatures hold, until its input ends.

Request: 4 bytes length, then MessagePack [[public key, signed bytes, signature], ..]. Answer: 8 bytes, the CPU time in
nanoseconds, then one byte a signature, 1 if it holds. Both ends are the same release on the same host.
"""

from __future__ import annotations

import signal
import struct
import sys
import time
from typing import BinaryIO, Final

import msgspec

from ledger.crypto import DOMAIN_TRANSACTION, verify

LENGTH: Final = struct.Struct(">I")
ANSWER: Final = struct.Struct(">Q")

_decoder = msgspec.msgpack.Decoder(list[tuple[bytes, bytes, bytes]])


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until `source` ends."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        request = source.read(LENGTH.unpack(head)[0])
        begun = time.process_time_ns()
        holds = bytes([verify(key, DOMAIN_TRANSACTION, body, mark) for key, body, mark in _decoder.decode(request)])
        sink.write(ANSWER.pack(time.process_time_ns() - begun) + holds)
        sink.flush()


def main() -> None:
    """Serve the parent; its end, however it comes, is the end of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, msgspec.DecodeError):
        sys.exit(1)  # the parent died while it wrote, or before it read


if __name__ == "__main__":
    main()
