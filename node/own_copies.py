"""The applicant's own copies of applications, encrypted, in `personal/` beside the key file that opens them.

A copy is on disk, synced, before the application leaves: without it only the registrar could open the commitments.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import DOMAIN_OWN_COPY, SigningKey, decrypt, encrypt, new_secret
from ledger.errors import DecodeError
from node.disk import destroy, sync_directory, write_durably
from node.personal import MAX_FILE_BYTES, VERSION, Application, PersonalDataRefused, application_in, frame_of

FOLDER: Final = "personal"
_SUFFIX: Final = ".copy"


class OwnCopy(Wire, frozen=True, tag="gridchain-own-copy"):
    """An application by its digest; `box` is under a key derived from the account's key and `salt`."""

    version: Uint
    chain_id: ShortText
    account: Bytes32
    digest: Bytes32
    salt: Bytes32
    box: bytes


class OwnCopies:
    """The copies of one account, in the folder of its key file."""

    def __init__(self, key_file: Path, key: SigningKey) -> None:
        self.folder = key_file.parent / FOLDER
        self._key = key

    def keep(self, application: Application) -> Path:
        """Write a copy, mode 600; when this returns, no crash loses it. Raise `GridchainError`, `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(self.folder.parent)
        fields = (VERSION, application.chain_id, application.account, application.digest, new_secret())
        file = self._file(application.digest)
        write_durably(file, encode(OwnCopy(*fields, self._box(OwnCopy(*fields, b""), application))))
        return file

    def get(self, digest: bytes) -> Application | None:
        """The copy of an application, None if there is none. Raise `PersonalDataRefused` (COPY_DAMAGED)."""
        file = self._file(digest)
        try:
            with file.open("rb") as stream:
                raw = stream.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        try:
            copy = decode(OwnCopy, raw)
        except DecodeError:
            raise _damaged(file) from None
        context = encode(OwnCopy(copy.version, copy.chain_id, copy.account, copy.digest, copy.salt, b""))
        frame = decrypt(self._key.derive(DOMAIN_OWN_COPY, copy.salt), context, copy.box)
        if frame is None or (copy.version, copy.account, copy.digest) != (VERSION, self._key.address, digest):
            raise _damaged(file)
        return application_in(frame)

    def erase(self, digest: bytes | None = None) -> int:
        """Destroy the copy of one application, or all of this account; return how many there were."""
        files = list(self._files()) if digest is None else [self._file(digest)]
        found = [file for file in files if file.exists()]
        for file in found:
            destroy(file)
        return len(found)

    def _box(self, named: OwnCopy, application: Application) -> bytes:
        return encrypt(self._key.derive(DOMAIN_OWN_COPY, named.salt), encode(named), frame_of(application))

    def _file(self, digest: bytes) -> Path:
        return self.folder / f"{self._key.address.hex()[:16]}-{digest.hex()[:16]}{_SUFFIX}"

    def _files(self) -> Iterator[Path]:
        """All copies, and what a crash left of one."""
        yield from sorted(self.folder.glob(f"{self._key.address.hex()[:16]}-*{_SUFFIX}*"))


def _damaged(file: Path) -> PersonalDataRefused:
    return PersonalDataRefused(
        "the owner's copy is damaged",
        code="COPY_DAMAGED",
        expected=f"{file} as it was written, and the key that it was written with",
        found="torn, changed, or another key",
        fix="restore the file; the registrar can export the data too",
    )
