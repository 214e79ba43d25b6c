"""The handshake on one connection: hellos in clear, TLS 1.3 with both certificates, hellos again inside (design 7).

    dialer                               listener
      Hello  ------------------------------>
        <------------------------------  Hello          both sent at once, both judged
      Proceed ----------------------------->            or Refuse, and close
        <------------------------------  Proceed        the dialer starts TLS only now: no TLS byte meets a clear reader
      ============ TLS 1.3, start_tls on the same stream ============
      Session <---------------------------> Session     hello repeated to the bit; certificate = the announced one
      Proceed <---------------------------> Proceed     or Refuse: unknown member, key in use, banned

Whoever refuses records its own values; whoever is refused records those of the `Refuse` frame: both sides know the
code, both values and what to do. The whole takes at most `timeout_s`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger.codec import decode, encode
from ledger.errors import ConfigError, DecodeError, PeerFault
from p2p.certificates import CertificateInfo, NodeIdentity, inspect_certificate
from p2p.hello import (
    MAX_HELLO_BYTES,
    PROTOCOL,
    Control,
    Hello,
    HelloRules,
    Proceed,
    Refuse,
    Session,
    as_refuse,
    decode_control,
    fix_for,
    received_refusal,
    refusal,
)
from p2p.link import Link

C = TypeVar("C", bound=Control)


class HandshakeFailed(PeerFault):
    """A handshake that ended before both agreed. `by_peer`: the peer refused us; else we refused it."""

    def __init__(self, fault: PeerFault, *, by_peer: bool) -> None:
        super().__init__(fault.message, code=fault.code, expected=fault.expected, found=fault.found, fix=fault.fix)
        self.by_peer = by_peer


@dataclass(frozen=True, slots=True)
class Introduced:
    """A peer that both sides accept."""

    certificate: CertificateInfo
    session: Session


@dataclass(frozen=True, slots=True)
class HandshakeTerms:
    """What a node brings into every handshake. `accept` judges a peer whose certificate TLS has verified; its second
    argument tells whether we dialed."""

    identity: NodeIdentity
    rules: HelloRules
    started_ms: int
    instance: bytes
    clock_ms: Callable[[], int]
    accept: Callable[[Introduced, bool], PeerFault | None]
    server_context: ssl.SSLContext
    client_context: ssl.SSLContext
    timeout_s: float

    def hello(self) -> Hello:
        """This node's hello, now."""
        return Hello(
            PROTOCOL,
            self.rules.chain_id,
            self.rules.genesis_hash,
            self.identity.ca_fingerprints,
            self.identity.certificate.fingerprint,
            self.identity.certificate.not_after_ms,
            self.clock_ms(),
        )


async def shake_hands(link: Link, terms: HandshakeTerms, *, dialed: bool) -> Introduced:
    """Run the handshake on a fresh connection. Raise `HandshakeFailed`, after which the connection is closed."""
    try:
        async with asyncio.timeout(terms.timeout_s):
            return await _shake(link, terms, dialed)
    except HandshakeFailed:
        await link.farewell(None)
        raise
    except PeerFault as fault:
        await link.farewell(as_refuse(fault))
        raise HandshakeFailed(fault, by_peer=False) from None
    except TimeoutError:
        late = refusal("HANDSHAKE_TIMEOUT", f"done within {terms.timeout_s:g} s", f"{link.bytes_in} bytes received")
        await link.farewell(as_refuse(late))
        raise HandshakeFailed(late, by_peer=False) from None
    except OSError as error:
        raise _broken_off(link, error) from None
    except BaseException:
        link.abort()
        raise


async def _shake(link: Link, terms: HandshakeTerms, dialed: bool) -> Introduced:
    own = terms.hello()
    link.say(own)
    theirs = await _expect(link, Hello)
    _demand(terms.rules.judge(theirs, terms.clock_ms()))
    if dialed:
        link.say(Proceed())
        await _expect(link, Proceed)
    else:
        await _expect(link, Proceed)
        link.say(Proceed())
    context = terms.client_context if dialed else terms.server_context
    await link.upgrade(context, server_side=not dialed, timeout_s=terms.timeout_s)
    certificate = _announced(link, theirs)
    link.say(Session(encode(own), terms.started_ms, terms.instance))
    session = await _expect(link, Session)
    _same_hello(theirs, session.hello)
    introduced = Introduced(certificate, session)
    _demand(terms.accept(introduced, dialed))
    link.trust()
    link.say(Proceed())
    await _expect(link, Proceed)
    return introduced


def _demand(fault: PeerFault | None) -> None:
    if fault is not None:
        raise fault


async def _expect(link: Link, kind: type[C]) -> C:
    message = decode_control(await link.next_control())
    if isinstance(message, kind):
        return message
    if isinstance(message, Refuse):
        raise HandshakeFailed(received_refusal(message), by_peer=True)
    raise refusal("MALFORMED_HELLO", kind.__name__, type(message).__name__)


def _announced(link: Link, hello: Hello) -> CertificateInfo:
    """The certificate of the TLS session, which must be the one announced in clear."""
    try:
        certificate = inspect_certificate(link.peer_certificate())
    except ConfigError as error:
        raise PeerFault(
            error.message, code=error.code, expected=error.expected, found=error.found, fix=error.fix
        ) from None
    if certificate.fingerprint != hello.certificate_fingerprint:
        raise refusal(
            "CERTIFICATE_DIFFERS", hello.certificate_fingerprint.hex()[:32], certificate.fingerprint.hex()[:32]
        )
    return certificate


def _same_hello(clear: Hello, inside: bytes) -> None:
    """Compare the hello inside TLS with the one in clear, to the bit; name the first field that differs."""
    if encode(clear) == inside:
        return
    try:
        other = decode(Hello, inside, limit=MAX_HELLO_BYTES)
    except DecodeError:
        raise refusal("HELLO_DIFFERS", "the hello sent in clear", f"{len(inside)} other bytes") from None
    for name in Hello.__struct_fields__:
        first, second = getattr(clear, name), getattr(other, name)
        if first != second:
            raise refusal("HELLO_DIFFERS", f"{name} as in clear: {_shown(first)}", _shown(second))


def _shown(value: object) -> str:
    return value.hex()[:32] if isinstance(value, bytes) else str(value)[:64]


def _broken_off(link: Link, error: OSError) -> HandshakeFailed:
    """The connection ended without a refusal: TLS failed, or the peer closed without a word."""
    link.abort()
    if isinstance(error, ssl.SSLError) or link.in_tls:
        code, expected = "TLS_FAILED", "a TLS 1.3 session with both certificates"
    else:
        code, expected = "HANDSHAKE_CLOSED", "a hello and a verdict"
    # An alert inside TLS, or an end without one, is the peer's doing; a failed verification here is ours.
    by_peer = not isinstance(error, ssl.SSLCertVerificationError)
    fault = PeerFault(
        f"the handshake broke off: {code}",
        code=code,
        expected=expected,
        found=str(error) or type(error).__name__,
        fix=fix_for(code, by_peer=by_peer),
    )
    return HandshakeFailed(fault, by_peer=by_peer)
