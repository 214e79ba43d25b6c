"""What a commitment hides, kept beside the key that made it until it is revealed.

A file is on disk, synced, before the commitment leaves, and stays when it was revealed: whatever stops in between, the
order can still be opened. It is `sealed/` beside the key file, one file a commitment, mode 600; who reads it knows the
order. Files are written once and then renamed to their next state, so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from contracts.sealed_orders import NONCE_SIZE, commitment
from ledger.errors import ConfigError

FOLDER: Final = "sealed"
WAITING: Final = "waiting"
REVEALED: Final = "revealed"
VOID: Final = "void"
"""States: it may still be revealed; it was; it cannot be any more."""


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """One commitment of one sender on one chain: what is committed to, as the arguments that reveal it.

    `arguments`: those of `entry` before the nonce. `nonce`, `sender`, `mark`: hex; `mark` is the commitment itself.
    """

    chain_id: str
    contract: str
    entry: str
    arguments: list[int | str | list[int]]
    period: int
    side: str
    sender: str
    nonce: str
    mark: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the store and what is in it."""

    file: Path
    state: str
    hidden: Hidden


class SealedStore:
    """The commitments of the keys in one folder."""

    def __init__(self, key_file: Path) -> None:
        self.folder = key_file.parent / FOLDER

    def keep(self, hidden: Hidden) -> Kept:
        """Write a new commitment to disk; when this returns, no crash loses it. Raise `ConfigError` (SEALED_FILE)."""
        file = self.folder / f"{hidden.contract}-{hidden.period}-{hidden.mark[:16]}.{WAITING}.json"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(hidden)) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            self._sync_folder()
        except OSError as error:
            raise _unusable(file, error) from None
        return Kept(file, WAITING, hidden)

    def mark(self, kept: Kept, state: str) -> None:
        """Note what became of it. Raise `ConfigError` (SEALED_FILE)."""
        target = kept.file.with_name(kept.file.name.replace(f".{kept.state}.", f".{state}."))
        try:
            kept.file.rename(target)
            self._sync_folder()
        except OSError as error:
            raise _unusable(kept.file, error) from None

    def waiting(self, chain_id: str, sender: bytes) -> Iterator[Kept]:
        """What this sender may still reveal on this chain, by contract and period. Raise `ConfigError` for a file
        that cannot be read: what is in it would be lost silently."""
        for file in sorted(self.folder.glob(f"*.{WAITING}.json")):
            try:
                hidden = msgspec.json.decode(file.read_bytes(), type=Hidden)
            except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _unusable(file, error) from None
            if (hidden.chain_id, hidden.sender) == (chain_id, sender.hex()):
                yield Kept(file, WAITING, hidden)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def seal(text: bytes, sender: bytes, period: int) -> tuple[bytes, bytes]:
    """A new nonce and the commitment to an order's text under it."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce, commitment(text, nonce, sender, period)


def _unusable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(
        "the file of a sealed order cannot be used",
        code="SEALED_FILE",
        expected=f"a file that this user may write, as this command wrote it: {file}",
        found=error.strerror if isinstance(error, OSError) else str(error)[:120],
        fix="mend or remove the file; without it the order cannot be revealed and its deposit is lost",
    )
