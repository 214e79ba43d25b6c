"""Hashes, Ed25519 signatures and encryption, each bound to what it is for.

Hash: SHA-256 over a domain prefix and the data, so that no value of one type can be passed off as another.
Signature: Ed25519 by libsodium everywhere (RFC 8032, section 5.1). Libraries differ on edge cases, so one library's
rule decides on every node: libsodium refuses small-order keys and non-canonical encodings.
Encryption: XChaCha20-Poly1305 under a secret key, libsodium's sealed box for the holder of a signing key (ADR 0170).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NewType

from nacl import bindings
from nacl.exceptions import BadSignatureError as _NaClBadSignature
from nacl.exceptions import CryptoError as _NaClCryptoError

from ledger.errors import BadSignature

Hash = NewType("Hash", bytes)
Address = NewType("Address", bytes)
PublicKey = NewType("PublicKey", bytes)
Signature = NewType("Signature", bytes)

ZERO_HASH = Hash(bytes(32))
HASH_SIZE = 32

_PREFIX = b"gridchain/"


def domain(name: str) -> bytes:
    """Return the prefix that separates hashes and signatures of one type from all others."""
    return _PREFIX + name.encode("ascii") + b"\x00"


DOMAIN_TRANSACTION = domain("transaction")
DOMAIN_HEADER = domain("header")
DOMAIN_BODY = domain("body")
DOMAIN_ACCOUNT = domain("account")
DOMAIN_CONTRACT = domain("contract")
DOMAIN_GENESIS = domain("genesis")
DOMAIN_VALIDATORS = domain("validators")
DOMAIN_VOTE = domain("vote")
DOMAIN_PEER_ADDRESS = domain("peer-address")
DOMAIN_STATE_KEY = domain("state-key")
DOMAIN_STATE_VALUE = domain("state-value")
DOMAIN_STATE_BUCKET = domain("state-bucket")
DOMAIN_STATE_NODE = domain("state-node")
DOMAIN_POSSESSION = domain("possession")
DOMAIN_ENVELOPE = domain("envelope")
DOMAIN_MEMBER_STORE = domain("member-store")
DOMAIN_OWN_COPY = domain("own-copy")

SECRET_SIZE = 32
_NONCE_SIZE = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES


def sha256(data: bytes) -> Hash:
    """Plain SHA-256; only for formats that the outside world fixes (RFC 6962, contract code)."""
    return Hash(hashlib.sha256(data).digest())


def hash_of(domain_prefix: bytes, data: bytes) -> Hash:
    """SHA-256 of `domain_prefix` followed by `data`."""
    return Hash(hashlib.sha256(domain_prefix + data).digest())


def address_of(public_key: bytes) -> Address:
    """The account of a key: the hash of its 32 bytes."""
    return Address(hash_of(DOMAIN_ACCOUNT, public_key))


def contract_address(name: str) -> Address:
    """The account that a contract instance acts as when it calls another."""
    return Address(hash_of(DOMAIN_CONTRACT, name.encode("utf-8")))


class SigningKey:
    """An Ed25519 private key. Its seed is 32 bytes; it never appears in `repr`."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != bindings.crypto_sign_SEEDBYTES:
            raise BadSignature("a signing key is made from 32 bytes", expected=32, found=len(seed))
        public, secret = bindings.crypto_sign_seed_keypair(seed)
        self.public = PublicKey(public)
        self._secret = secret

    def __repr__(self) -> str:
        return f"SigningKey({self.public.hex()[:16]}..)"

    @property
    def seed(self) -> bytes:
        """The 32 bytes that a key file stores."""
        return bytes(self._secret[:32])

    @property
    def address(self) -> Address:
        """The account of this key."""
        return address_of(self.public)

    def sign(self, domain_prefix: bytes, data: bytes) -> Signature:
        """Sign `domain_prefix` followed by `data`; 64 bytes."""
        return Signature(bindings.crypto_sign(domain_prefix + data, self._secret)[:64])

    def derive(self, domain_prefix: bytes, salt: bytes) -> bytes:
        """A secret key (32 bytes) that only this key gives: HMAC-SHA-256 under its seed (RFC 2104)."""
        return hmac.new(self.seed, domain_prefix + salt, hashlib.sha256).digest()

    def open_sealed(self, domain_prefix: bytes, sealed: bytes) -> bytes | None:
        """What `seal` hid for this key under the same prefix; None if it was for another or is damaged."""
        secret = bindings.crypto_sign_ed25519_sk_to_curve25519(self._secret)
        public = bindings.crypto_sign_ed25519_pk_to_curve25519(self.public)
        try:
            clear = bindings.crypto_box_seal_open(sealed, public, secret)
        except (_NaClCryptoError, ValueError, TypeError):
            return None
        return clear[len(domain_prefix) :] if clear.startswith(domain_prefix) else None


def verify(public_key: bytes, domain_prefix: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether `signature` over `domain_prefix` and `data` is by `public_key`. Releases the GIL. Never raises."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + domain_prefix + data, public_key)
    except (_NaClBadSignature, ValueError):
        return False
    return True


def valid_public_key(public_key: bytes) -> bool:
    """Tell whether a key may be registered: 32 bytes, canonical, of prime order (no small order, no torsion part)."""
    return len(public_key) == 32 and bool(bindings.crypto_core_ed25519_is_valid_point(public_key))


def seal(public_key: bytes, domain_prefix: bytes, clear: bytes) -> bytes:
    """Encrypt for the holder of an Ed25519 key: a sealed box for its X25519 form. Raise `BadSignature` for what
    is no key."""
    if not valid_public_key(public_key):
        raise BadSignature(
            "nothing can be sealed for this key", expected="an Ed25519 public key", found=public_key.hex()
        )
    return bindings.crypto_box_seal(domain_prefix + clear, bindings.crypto_sign_ed25519_pk_to_curve25519(public_key))


def new_secret() -> bytes:
    """32 random bytes of the system: a key, or a salt that nobody guesses."""
    return bindings.randombytes(SECRET_SIZE)


def encrypt(secret: bytes, context: bytes, clear: bytes) -> bytes:
    """XChaCha20-Poly1305 under a fresh random nonce, which stands in front: 40 bytes longer than `clear`. `context` is
    authenticated with it."""
    nonce = bindings.randombytes(_NONCE_SIZE)
    return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(clear, context, nonce, secret)


def decrypt(secret: bytes, context: bytes, box: bytes) -> bytes | None:
    """What `encrypt` hid; None under another secret or context, or if a bit of it was changed."""
    nonce, cipher = box[:_NONCE_SIZE], box[_NONCE_SIZE:]
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(cipher, context, nonce, secret)
    except (_NaClCryptoError, ValueError, TypeError):
        return None
