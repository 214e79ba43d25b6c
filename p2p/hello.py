"""What two nodes say before they trust each other, and how each side judges it. No socket here.

A connection opens in clear: each side sends one `Hello`, compares, and answers `Proceed` or `Refuse`. Then TLS 1.3
with both certificates; inside it each sends a `Session` that repeats its hello to the bit, and again `Proceed` or
`Refuse`. Nothing in clear is trusted except to refuse: it exists because a TLS 1.3 client sees only end of file when
its certificate is refused, and because people need the two values that differ.

A refusal travels as (code, expected, found), in the words of the side that refuses: `expected` is what that side has or
demands, `found` what the other presented. The fix is not sent: each side prints its own, from the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec

from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.errors import DecodeError, PeerFault

PROTOCOL: Final = 1
MAX_HELLO_BYTES: Final = 2048
MAX_CLOCK_SKEW_MS: Final = 5_000

Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Shown = Annotated[str, msgspec.Meta(max_length=200)]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[A-Z][A-Z0-9_]*\Z")]


class Hello(Wire, frozen=True):
    """Who calls, in clear. `ca_fingerprints[0]` issued the sender's certificate, all of them are trusted by the sender;
    `not_after` and `time_ms` are milliseconds since 1970."""

    protocol: Uint
    chain_id: ShortText
    genesis_hash: Bytes32
    ca_fingerprints: Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=16)]
    certificate_fingerprint: Bytes32
    not_after: Uint
    time_ms: Uint


class Proceed(Wire, frozen=True):
    """The sender has compared and accepts."""


class Refuse(Wire, frozen=True):
    """The sender will not go on and closes. Also ends an established connection."""

    code: Code
    expected: Shown
    found: Shown


class Session(Wire, frozen=True):
    """First words inside TLS: the hello again, and which life of the node this is (its start and a random number)."""

    hello: bytes
    started_ms: Uint
    instance: Bytes16


class Ping(Wire, frozen=True):
    """Asks for a `Pong` with the same number."""

    number: Uint


class Pong(Wire, frozen=True):
    """Answers a `Ping`."""

    number: Uint


Control: TypeAlias = Hello | Proceed | Refuse | Session | Ping | Pong

_TAGS: Final[dict[int, type[Control]]] = {1: Hello, 2: Proceed, 3: Refuse, 4: Session, 5: Ping, 6: Pong}
_TAG_OF: Final[dict[type[Control], bytes]] = {kind: bytes([tag]) for tag, kind in _TAGS.items()}


def encode_control(message: Control) -> bytes:
    """Tag and canonical encoding: the payload of a frame on CONTROL."""
    return _TAG_OF[type(message)] + encode(message)


def decode_control(payload: bytes) -> Control:
    """Decode strictly. Raise `PeerFault`; a hello of another protocol version is named as such, whatever its fields."""
    kind = _TAGS.get(payload[0]) if payload else None
    if kind is None:
        raise PeerFault(
            "not a control message",
            code="MALFORMED_HELLO",
            expected=f"a tag of {sorted(_TAGS)}",
            found=payload[:1].hex() or "nothing",
            fix=fix_for("MALFORMED_HELLO", by_peer=False),
        )
    if kind is Hello:
        other = _other_protocol(payload[1:])
        if other is not None:
            raise _refusal("PROTOCOL_MISMATCH", PROTOCOL, other)
    try:
        return decode(kind, payload[1:], limit=MAX_HELLO_BYTES + 64)
    except DecodeError as error:
        raise PeerFault(
            f"a malformed control message: {error.message}",
            code="MALFORMED_HELLO",
            expected=f"a {kind.__name__} of protocol {PROTOCOL}",
            found=f"{len(payload)} bytes, {payload[:8].hex()}..",
            fix=fix_for("MALFORMED_HELLO", by_peer=False),
        ) from None


def _other_protocol(raw: bytes) -> int | None:
    """The protocol number of a hello, if it is not ours: the first element of a list, in every version to come."""
    try:
        fields = msgspec.msgpack.decode(raw[:MAX_HELLO_BYTES])
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    if isinstance(fields, list) and fields and type(fields[0]) is int and fields[0] != PROTOCOL:
        return fields[0]
    return None


_FIXES: Final[dict[str, tuple[str, str]]] = {
    # code: (fix printed by the side that refuses, fix printed by the side that is refused)
    "PROTOCOL_MISMATCH": (
        "bring both nodes to the same gridchain version (`gridchain --version` on each)",
        "bring both nodes to the same gridchain version (`gridchain --version` on each)",
    ),
    "CHAIN_ID_MISMATCH": (
        "the peer belongs to another network: correct its address in seeds, or give it this network's genesis.json",
        "this node belongs to another network: correct its seeds, or take the peer's genesis.json",
    ),
    "GENESIS_MISMATCH": (
        "give both nodes the same genesis.json (`gridchain doctor` prints its hash)",
        "give both nodes the same genesis.json (`gridchain doctor` prints its hash)",
    ),
    "FOREIGN_CA": (
        "the peer needs a certificate of an authority that this node trusts, or this node its authority in ca.crt",
        "get a certificate from an authority that the peer trusts, or have this one added to the peer's ca.crt",
    ),
    "CERTIFICATE_EXPIRED": (
        "the peer must renew its certificate",
        "renew this node's certificate with the consortium's authority and restart the node",
    ),
    "CLOCK_SKEW": (
        "compare both machines with a time server; one clock is wrong",
        "compare both machines with a time server; one clock is wrong",
    ),
    "UNKNOWN_MEMBER": (
        "remove the peer's address, or have its node key named by the centres of a sharded network",
        "in a sharded network have the centres name this node's key (gridchain region members); elsewhere genesis does",
    ),
    "HELLO_DIFFERS": (
        "somebody between the nodes alters the clear hellos, or the peer is faulty: check the path between them",
        "somebody between the nodes alters the clear hellos, or this node is faulty: check the path between them",
    ),
    "CERTIFICATE_DIFFERS": (
        "the peer presented another certificate than it announced: restart the peer after its renewal",
        "this node presented another certificate than it announced: restart it after the renewal",
    ),
    "TLS_FAILED": (
        "check key, certificate and ca.crt of both nodes (`gridchain doctor`)",
        "check key, certificate and ca.crt of both nodes (`gridchain doctor`)",
    ),
    "HANDSHAKE_TIMEOUT": (
        "the peer answers too slowly or not at all: check its load and that a gridchain node listens there",
        "this node answers too slowly: check its load",
    ),
    "HANDSHAKE_CLOSED": (
        "read the peer's log: it closed without a word (another program on its port, or it was stopping)",
        "read the peer's log: it closed without a word",
    ),
    "MALFORMED_HELLO": (
        "no gridchain node speaks so: check the address",
        "the peer does not understand this node: compare the versions",
    ),
    "FRAME_TOO_LARGE": (
        "no gridchain node speaks so: check the address",
        "the peer does not understand this node: compare the versions",
    ),
    "BAD_CHANNEL": (
        "no gridchain node speaks so: check the address",
        "the peer does not understand this node: compare the versions",
    ),
    "KEY_IN_USE": (
        "two processes use one node key: stop the older one; the newest session wins",
        "another process uses this node's key and started later: stop one of the two",
    ),
    "TOO_MANY_LINKS": (
        "nothing to do: this node has all the links it keeps",
        "nothing to do: the peer has enough links",
    ),
    "BANNED": (
        "the peer broke the protocol a moment ago and may return after the ban; its earlier fault is in the log",
        "read this node's and the peer's log for the fault that led to the ban",
    ),
    "UNREACHABLE": (
        "start that node, or correct its address in [p2p] seeds",
        "start that node, or correct its address in [p2p] seeds",
    ),
    "TOO_MANY_HANDSHAKES": (
        "many connections arrive at once: see who sends them, they may come from outside the consortium",
        "try again later",
    ),
    "SELF": ("remove this node's own address from [p2p] seeds", "remove this node's own address from its seeds"),
    "SLOW_PEER": (
        "the peer reads too slowly: check its load and the link to it",
        "this node reads too slowly: check its load and the link to the peer",
    ),
    "SILENT_PEER": ("check the peer's load and the link to it", "check this node's load and the link to the peer"),
    "FLOOD": ("the peer sends more than the limits allow", "this node sends more than the peer's limits allow"),
}
_FALLBACK: Final = (
    "the peer broke the protocol: compare the versions of both nodes, then read both logs",
    "the peer says that this node broke the protocol: compare the versions of both nodes, then read both logs",
)


def fix_for(code: str, *, by_peer: bool) -> str:
    """The next step for a refusal. `by_peer`: the peer refused us, else we refused it."""
    return _FIXES.get(code, _FALLBACK)[1 if by_peer else 0]


def _refusal(code: str, expected: object, found: object) -> PeerFault:
    return PeerFault(f"refused: {code}", code=code, expected=expected, found=found, fix=fix_for(code, by_peer=False))


def refusal(code: str, expected: object, found: object) -> PeerFault:
    """Our own refusal of a peer, with the fix for our side."""
    return _refusal(code, expected, found)


def as_refuse(fault: PeerFault) -> Refuse:
    """A fault as it travels: bounded and printable."""
    return Refuse(fault.code[:40], _shown(fault.expected), _shown(fault.found))


def received_refusal(message: Refuse) -> PeerFault:
    """A peer's refusal of us, with the fix for our side. Text of a peer is made printable."""
    return PeerFault(
        f"the peer refused: {message.code}",
        code=message.code,
        expected=_shown(message.expected),
        found=_shown(message.found),
        fix=fix_for(message.code, by_peer=True),
    )


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]


@dataclass(frozen=True, slots=True)
class HelloRules:
    """What a node demands of a hello: its own values, and the tolerance for clocks."""

    chain_id: str
    genesis_hash: bytes
    ca_fingerprints: tuple[bytes, ...]
    max_clock_skew_ms: int = MAX_CLOCK_SKEW_MS

    def judge(self, hello: Hello, now_ms: int) -> PeerFault | None:
        """Return why `hello` is refused at `now_ms` by this node's clock, None if it is accepted."""
        checks: tuple[tuple[bool, str, object, object], ...] = (
            (hello.protocol == PROTOCOL, "PROTOCOL_MISMATCH", PROTOCOL, hello.protocol),
            (hello.chain_id == self.chain_id, "CHAIN_ID_MISMATCH", self.chain_id, hello.chain_id),
            (
                hello.genesis_hash == self.genesis_hash,
                "GENESIS_MISMATCH",
                self.genesis_hash.hex(),
                hello.genesis_hash.hex(),
            ),
            (
                hello.ca_fingerprints[0] in self.ca_fingerprints,
                "FOREIGN_CA",
                _prefixes(self.ca_fingerprints),
                hello.ca_fingerprints[0].hex()[:32],
            ),
            (
                self.ca_fingerprints[0] in hello.ca_fingerprints,
                "FOREIGN_CA",
                self.ca_fingerprints[0].hex()[:32],
                _prefixes(hello.ca_fingerprints),
            ),
            (hello.not_after > now_ms, "CERTIFICATE_EXPIRED", f"valid at {now_ms} ms", f"until {hello.not_after} ms"),
            (
                abs(hello.time_ms - now_ms) <= self.max_clock_skew_ms,
                "CLOCK_SKEW",
                f"{now_ms} ms, at most {self.max_clock_skew_ms} ms apart",
                f"{hello.time_ms} ms ({hello.time_ms - now_ms:+d} ms)",
            ),
        )
        for holds, code, expected, found in checks:
            if not holds:
                return _refusal(code, expected, found)
        return None


def _prefixes(fingerprints: tuple[bytes, ...]) -> str:
    return ", ".join(fingerprint.hex()[:32] for fingerprint in fingerprints[:5])
