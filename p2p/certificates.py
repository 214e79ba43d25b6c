"""The consortium's certificate authority and the certificates of its nodes.

X.509 with Ed25519 keys (RFC 8410). A node's certificate says who it is: organisation (O), node name (CN) and role (OU).
The certificate is what TLS checks; `node_id_of` its public key is the peer's identity, which survives a renewal of the
certificate, and which genesis and the member register bind to a validator key and an account.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.errors import ConfigError, GridchainError
from p2p.frames import PeerId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SERVER_AND_CLIENT = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: who holds the key admits nodes to TLS (the member register decides what they may do)."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """A node's key and the certificate for it, both PEM. The key is unencrypted PKCS8: store it with mode 0600."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What gridchain reads from a node's certificate. Times are milliseconds since 1970."""

    fingerprint: bytes
    public_key: bytes
    node_id: PeerId
    organisation: str
    name: str
    role: str
    not_before_ms: int
    not_after_ms: int


def node_id_of(public_key: bytes) -> PeerId:
    """The identity of a node: SHA-256 of the 32 bytes of its Ed25519 public key."""
    return PeerId(hashlib.sha256(public_key).digest())


def make_ca(name: str, *, now_ms: int, days: int = 3650) -> Authority:
    """Make a self-signed authority, valid from one hour before `now_ms` for `days`."""
    key = Ed25519PrivateKey.generate()
    subject = _name(name, "certificate authority", "ca")
    certificate = (
        _builder(subject, subject, key.public_key(), key.public_key(), now_ms, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, None)
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def issue(
    authority: Authority, *, organisation: str, name: str, role: str, now_ms: int, days: float = 365, seed: bytes = b""
) -> Issued:
    """Certify a node. `seed`: 32 bytes of an Ed25519 key that exists already (a renewal); empty makes a new key.

    `days` may be negative, which makes a certificate that has expired (for tests of refusals).
    """
    ca = x509.load_pem_x509_certificate(authority.certificate_pem)
    ca_key = serialization.load_pem_private_key(authority.key_pem, None)
    if not isinstance(ca_key, Ed25519PrivateKey):
        raise ConfigError(
            "the authority's key is of another kind",
            code="BAD_CERTIFICATE",
            expected="Ed25519",
            found=type(ca_key).__name__,
            fix="use the key that belongs to ca.crt",
        )
    key = Ed25519PrivateKey.from_private_bytes(seed) if seed else Ed25519PrivateKey.generate()
    certificate = (
        _builder(_name(organisation, name, role), ca.subject, key.public_key(), ca_key.public_key(), now_ms, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_SERVER_AND_CLIENT), critical=False)
        .sign(ca_key, None)
    )
    return Issued(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def inspect_certificate(certificate: bytes) -> CertificateInfo:
    """Read a certificate, PEM or DER. Raise `ConfigError` if it is none of ours (not X.509, not Ed25519)."""
    try:
        pem = certificate.lstrip().startswith(b"-----BEGIN")
        parsed = x509.load_pem_x509_certificate(certificate) if pem else x509.load_der_x509_certificate(certificate)
        public = parsed.public_key()
    except (ValueError, GridchainError) as error:
        raise ConfigError(
            "not a certificate",
            code="BAD_CERTIFICATE",
            expected="an X.509 certificate in PEM or DER",
            found=error,
            fix="take the file that the authority issued",
        ) from None
    if not isinstance(public, Ed25519PublicKey):
        raise ConfigError(
            "a node certificate needs an Ed25519 key",
            code="BAD_CERTIFICATE",
            expected="Ed25519",
            found=type(public).__name__,
            fix="have a certificate issued for the node's key",
        )
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return CertificateInfo(
        fingerprint=fingerprint_of(parsed),
        public_key=raw,
        node_id=node_id_of(raw),
        organisation=_attribute(parsed, NameOID.ORGANIZATION_NAME),
        name=_attribute(parsed, NameOID.COMMON_NAME),
        role=_attribute(parsed, NameOID.ORGANIZATIONAL_UNIT_NAME),
        not_before_ms=_millis(parsed.not_valid_before_utc),
        not_after_ms=_millis(parsed.not_valid_after_utc),
    )


def fingerprint_of(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the certificate's DER bytes."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A node's own certificate, its key, and the authorities it trusts.

    `ca_fingerprints[0]` is the authority that issued `certificate`. Key and certificate stay files, because the
    standard library's TLS reads them only from files.
    """

    certificate: CertificateInfo
    ca_fingerprints: tuple[bytes, ...]
    key_path: Path
    certificate_path: Path
    ca_pem: bytes = field(repr=False)
    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def load(cls, key_path: Path, certificate_path: Path, ca_paths: Sequence[Path]) -> NodeIdentity:
        """Read the three kinds of file. Raise `ConfigError` unless key, certificate and authority belong together."""
        try:
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            leaf = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            ca_pem = b"\n".join(path.read_bytes() for path in ca_paths)
            authorities = x509.load_pem_x509_certificates(ca_pem)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                "cannot read the node's key and certificates",
                code="BAD_CERTIFICATE",
                expected="PEM files of key, certificate and authority",
                found=error,
                fix=f"check {key_path}, {certificate_path} and the authority files; `gridchain init` makes them",
            ) from None
        info = inspect_certificate(leaf.public_bytes(serialization.Encoding.DER))
        if not isinstance(key, Ed25519PrivateKey) or _raw(key.public_key()) != info.public_key:
            raise ConfigError(
                "the node's key does not belong to its certificate",
                code="KEY_MISMATCH",
                expected=f"the key of certificate {info.fingerprint.hex()[:16]}",
                found=str(key_path),
                fix="put the key and the certificate of the same issue into the node's keys directory",
            )
        issuers = [ca for ca in authorities if _issued_by(leaf, ca)]
        if not issuers:
            raise ConfigError(
                "no trusted authority issued the node's certificate",
                code="FOREIGN_CA",
                expected=leaf.issuer.rfc4514_string(),
                found=", ".join(ca.subject.rfc4514_string() for ca in authorities) or "no authority",
                fix="add the authority that issued the certificate to the node's ca file",
            )
        first = fingerprint_of(issuers[0])
        others = tuple(fingerprint_of(ca) for ca in authorities if fingerprint_of(ca) != first)
        return cls(info, (first, *others), key_path, certificate_path, ca_pem, key)

    @property
    def node_id(self) -> PeerId:
        """Who this node is to its peers."""
        return self.certificate.node_id

    def sign(self, domain_prefix: bytes, data: bytes) -> bytes:
        """Sign `domain_prefix` followed by `data` with the node key; 64 bytes, as `ledger.crypto.verify` checks."""
        return self._key.sign(domain_prefix + data)

    def tls_context(self, *, server_side: bool) -> ssl.SSLContext:
        """TLS 1.3 only, the other side's certificate required and checked against the trusted authorities.

        Host names are not checked: peers are known by their key, not by where they are.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.ca_pem.decode("ascii"))
        context.load_cert_chain(self.certificate_path, self.key_path)
        if server_side:
            context.num_tickets = 0
        return context


def _issued_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _key_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(organisation: str, name: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: Ed25519PublicKey,
    issuer_public: Ed25519PublicKey,
    now_ms: int,
    days: float,
) -> x509.CertificateBuilder:
    now = _EPOCH + timedelta(milliseconds=now_ms)
    end = now + timedelta(days=days)
    start = min(now, end) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _millis(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
