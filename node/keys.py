"""Key files: Ed25519 private keys as PKCS#8 PEM, encrypted when a passphrase is given. Nothing here shows a secret.

A passphrase comes from a file, a descriptor, the environment or a prompt, never from an argument. A key in clear is for
development and demo networks; its file must be readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.config import PASSPHRASE_VARIABLE

MAX_KEY_FILE_BYTES: Final = 16 * 1024
_ENCRYPTED: Final = b"BEGIN ENCRYPTED PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where to look for a passphrase, in this order: file, descriptor, environment, prompt."""

    file: Path | None = None
    fd: int | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    prompt: Callable[[str], str] | None = None

    def read(self, what: str) -> bytes | None:
        """Return the passphrase for `what`, None if no source has one. Raise `ConfigError` if a named one fails."""
        if self.file is not None:
            try:
                return _first_line(self.file.read_bytes())
            except OSError as error:
                raise ConfigError(
                    "the passphrase file cannot be read",
                    code="KEY_PASSPHRASE",
                    expected=self.file,
                    found=error.strerror,
                    fix="check the path of the passphrase file",
                ) from None
        if self.fd is not None:
            try:
                with os.fdopen(os.dup(self.fd), "rb") as stream:
                    return _first_line(stream.read(4096))
            except OSError as error:
                raise ConfigError(
                    "the passphrase descriptor cannot be read",
                    code="KEY_PASSPHRASE",
                    expected=f"an open descriptor {self.fd}",
                    found=error.strerror,
                    fix="hand it over open: --passphrase-fd 3 3<FILE",
                ) from None
        found = (os.environ if self.environment is None else self.environment).get(PASSPHRASE_VARIABLE)
        if found:
            return found.encode("utf-8")
        if self.prompt is not None:
            return self.prompt(f"Passphrase for {what}").encode("utf-8") or None
        return None


def _first_line(raw: bytes) -> bytes:
    line = raw.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise ConfigError(
            "the passphrase is empty",
            code="KEY_PASSPHRASE",
            expected="one line of text",
            found="nothing",
            fix="write the passphrase into the first line",
        )
    return line


def new_key() -> SigningKey:
    """Make a key from the system's randomness."""
    return SigningKey(secrets.token_bytes(32))


def encode_key(key: SigningKey, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM of a key, encrypted if a passphrase is given."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return Ed25519PrivateKey.from_private_bytes(key.seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def save_key(path: Path, key: SigningKey, passphrase: bytes | None = None) -> None:
    """Write a new key file with mode 0600. Raise `ConfigError` if the file exists: keys are never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            "the key file exists; keys are never overwritten",
            code="KEY_EXISTS",
            expected="a new file",
            found=path,
            fix="choose another name",
        ) from None
    except OSError as error:
        raise ConfigError(
            "the key file cannot be written",
            code="KEY_UNWRITABLE",
            expected=f"a new file {path}",
            found=error.strerror,
            fix="choose another path",
        ) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(encode_key(key, passphrase))
        stream.flush()
        os.fsync(stream.fileno())


def is_encrypted(path: Path) -> bool:
    """Tell whether a key file needs a passphrase. Raise `ConfigError` if it cannot be read."""
    return _ENCRYPTED in _read(path)


def load_key(path: str | os.PathLike[str], source: PassphraseSource | None = None) -> SigningKey:
    """Read a key file. Raise `ConfigError`: KEY_MISSING, KEY_PERMISSIONS, KEY_LOCKED, KEY_PASSPHRASE or KEY_FORMAT."""
    path = Path(path)
    raw = _read(path)
    passphrase = None
    if _ENCRYPTED in raw:
        passphrase = (source or PassphraseSource()).read(path.name)
        if passphrase is None:
            raise ConfigError(
                f"{path} is encrypted",
                code="KEY_LOCKED",
                expected="a passphrase",
                found="none",
                fix=f"set {PASSPHRASE_VARIABLE}, or name a passphrase file or descriptor",
            )
    key = _decode(path, raw, passphrase)
    if passphrase is None and path.stat().st_mode & 0o077:
        raise ConfigError(
            f"{path} holds a key in clear that others can read",
            code="KEY_PERMISSIONS",
            expected="mode 600",
            found=f"mode {path.stat().st_mode & 0o777:o}",
            fix=f"chmod 600 {path}",
        )
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_KEY_FILE_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            "no such key file", code="KEY_MISSING", expected=path, found="nothing", fix="gridchain keys new FILE"
        ) from None
    except OSError as error:
        raise ConfigError(
            "the key file cannot be read",
            code="KEY_MISSING",
            expected=path,
            found=error.strerror,
            fix="check its path and permissions",
        ) from None


def _decode(path: Path, raw: bytes, passphrase: bytes | None) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(raw, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if passphrase is not None:
            raise ConfigError(
                f"{path} cannot be opened with this passphrase",
                code="KEY_PASSPHRASE",
                expected="the passphrase that it was written with",
                found="another",
                fix="check the passphrase",
            ) from None
        raise ConfigError(
            f"{path} is no key file",
            code="KEY_FORMAT",
            expected="PKCS#8 PEM",
            found="other",
            fix="gridchain keys new FILE makes one",
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(
            f"{path} holds another kind of key",
            code="KEY_FORMAT",
            expected="Ed25519",
            found=type(private).__name__,
            fix="gridchain keys new FILE makes one",
        )
    return SigningKey(private.private_bytes_raw())
