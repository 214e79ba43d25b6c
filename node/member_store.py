"""The registrar's store of personal data: a record an applicant, each under a data key of its own.

    store              the store's key, wrapped by the registrar's
    keys/ACCOUNT-ID    a data key, wrapped by the store's key
    records/ACCOUNT    an application with its openings, under that data key; or the note that it was erased

A record names its data key, so replacing the record is the one step that counts: before it the old state holds, after
it the new one. Data keys that no record names are what a crash left; whoever opens the store next destroys them.
Threats, formats and what erasing means: ADR 0170.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import DOMAIN_MEMBER_STORE, SigningKey, decrypt, encrypt, new_secret
from ledger.errors import DecodeError
from node.disk import destroy, sync_directory, write_durably
from node.personal import MAX_FILE_BYTES, VERSION, Application, PersonalDataRefused, application_in, frame_of

HEAD: Final = "store"
KEYS: Final = "keys"
RECORDS: Final = "records"
LOCK: Final = "lock"


class StoreHead(Wire, frozen=True, tag="gridchain-member-store"):
    """Whose store this is, for which chain; `box` holds the store's key."""

    version: Uint
    chain_id: ShortText
    registrar: Bytes32
    salt: Bytes32
    box: bytes


class DataKey(Wire, frozen=True, tag="gridchain-member-key"):
    """The data key of one record; `box` is under the store's key."""

    version: Uint
    account: Bytes32
    key_id: Bytes32
    box: bytes


class Record(Wire, frozen=True, tag="gridchain-member-record"):
    """An application by its digest, since `noted_ms`; `box` is under the data key `key_id`."""

    version: Uint
    chain_id: ShortText
    account: Bytes32
    digest: Bytes32
    noted_ms: Uint
    key_id: Bytes32
    box: bytes


class Erased(Wire, frozen=True, tag="gridchain-member-erased"):
    """That an application was erased at `noted_ms`; `box` is empty and under the store's key, so only the registrar
    can have written this."""

    version: Uint
    chain_id: ShortText
    account: Bytes32
    digest: Bytes32
    noted_ms: Uint
    box: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds of an account, since `noted_ms`."""

    application: Application
    noted_ms: int


class MemberStore:
    """An open store, locked against other processes. Made by `open_store`."""

    def __init__(self, folder: Path, head: StoreHead, secret: bytes) -> None:
        self._folder = folder
        self._head = head
        self._secret = secret

    def put(self, application: Application, now_ms: int) -> bool:
        """Hold an application, in place of an older or damaged one of the account; False if it is held already. Raise
        `PersonalDataRefused`: OTHER_CHAIN, ERASED (this very application)."""
        if application.chain_id != self._head.chain_id:
            raise _other_chain(self._head.chain_id, application.chain_id)
        account, digest = application.account, application.digest
        known = self._intact(account)
        if known is not None and known.digest == digest:
            if isinstance(known, Erased):
                raise PersonalDataRefused(
                    "this application was erased",
                    code="ERASED",
                    expected="one that nobody had erased",
                    found=f"erased at {known.noted_ms} ms",
                    fix="the person applies anew; destroy this envelope",
                )
            return False
        data_key, key_id = new_secret(), new_secret()
        kept = DataKey(VERSION, account, key_id, b"")
        boxed = DataKey(VERSION, account, key_id, encrypt(self._secret, encode(kept), data_key))
        write_durably(self._key_file(account, key_id), encode(boxed))
        fields = (VERSION, self._head.chain_id, account, digest, now_ms, key_id)
        box = encrypt(data_key, encode(Record(*fields, b"")), frame_of(application))
        write_durably(self._record_file(account), encode(Record(*fields, box)))
        self._sweep(account)
        return True

    def get(self, account: bytes) -> Held | Erased | None:
        """What is held of an account. Raise `PersonalDataRefused` (STORE_DAMAGED)."""
        match self._record(account):
            case Record() as record:
                return Held(self._open(record), record.noted_ms)
            case other:
                return other

    def erase(self, account: bytes, now_ms: int) -> Erased:
        """Destroy what is held, readable or damaged, and note that; when this returns, nobody can read it. Raise
        `PersonalDataRefused` (NOT_HELD)."""
        try:
            known = self._record(account)
            digest = bytes(32) if known is None else known.digest
        except PersonalDataRefused:
            known, digest = None, bytes(32)
        if isinstance(known, Erased):
            self._sweep(account)
            return known
        if known is None and not self._record_file(account).exists():
            raise PersonalDataRefused(
                "nothing is held of this account",
                code="NOT_HELD",
                expected="an account that was imported",
                found="0x" + account.hex(),
                fix="gridchain member list --key FILE shows what is held",
            )
        note = Erased(VERSION, self._head.chain_id, account, digest, now_ms, b"")
        note = Erased(VERSION, self._head.chain_id, account, digest, now_ms, encrypt(self._secret, encode(note), b""))
        write_durably(self._record_file(account), encode(note))
        self._sweep(account)
        return note

    def accounts(self) -> list[bytes]:
        """Accounts with a record, held or erased, in order."""
        names = sorted(file.name for file in (self._folder / RECORDS).iterdir() if not file.suffix)
        return [bytes.fromhex(name) for name in names if _is_id(name)]

    def is_held(self, account: bytes) -> bool:
        """Whether there is a record that was not erased. Raise `PersonalDataRefused` (STORE_DAMAGED)."""
        return isinstance(self._record(account), Record)

    def rekey(self, key: SigningKey) -> None:
        """Give the store to another registrar's key; the old one opens it no more."""
        write_durably(self._folder / HEAD, encode(_sealed_head(self._head.chain_id, key, self._secret)))

    # --- files --------------------------------------------------------------------------------------------------------

    def _record_file(self, account: bytes) -> Path:
        return self._folder / RECORDS / account.hex()

    def _key_file(self, account: bytes, key_id: bytes) -> Path:
        return self._folder / KEYS / f"{account.hex()}-{key_id.hex()}"

    def _record(self, account: bytes) -> Record | Erased | None:
        """The record, authentic if it is a note of erasure; what a held one says is authentic once it was opened."""
        file = self._record_file(account)
        raw = _read(file)
        if raw is None:
            return None
        try:
            record: Record | Erased = decode(Record | Erased, raw)  # type: ignore[arg-type]  # a union is no type to mypy
        except DecodeError:
            raise _damaged(file) from None
        if (record.version, record.chain_id, record.account) != (VERSION, self._head.chain_id, account):
            raise _damaged(file)
        if isinstance(record, Erased):
            note = Erased(VERSION, record.chain_id, account, record.digest, record.noted_ms, b"")
            if decrypt(self._secret, encode(note), record.box) is None:
                raise _damaged(file)
        return record

    def _intact(self, account: bytes) -> Record | Erased | None:
        """The record, None if there is none or it cannot be opened."""
        try:
            record = self._record(account)
            if isinstance(record, Record):
                self._open(record)
        except PersonalDataRefused:
            return None
        return record

    def _open(self, record: Record) -> Application:
        frame = self._frame(record)
        if frame is None:
            raise _damaged(self._record_file(record.account))
        application = application_in(frame)
        if (application.account, application.digest) != (record.account, record.digest):
            raise _damaged(self._record_file(record.account))
        return application

    def _frame(self, record: Record) -> bytes | None:
        file = self._key_file(record.account, record.key_id)
        try:
            kept = decode(DataKey, _read(file) or b"")
        except DecodeError:
            raise _damaged(file) from None
        named = DataKey(VERSION, record.account, record.key_id, b"")
        data_key = decrypt(self._secret, encode(named), kept.box)
        if data_key is None or kept != DataKey(VERSION, record.account, record.key_id, kept.box):
            raise _damaged(file)
        fields = (VERSION, record.chain_id, record.account, record.digest, record.noted_ms, record.key_id)
        return decrypt(data_key, encode(Record(*fields, b"")), record.box)

    def _sweep(self, account: bytes | None = None) -> None:
        """Destroy the data keys that no record names, of one account or of all."""
        pattern = "*" if account is None else f"{account.hex()}-*"
        files: dict[str, list[Path]] = {}
        for file in sorted((self._folder / KEYS).glob(pattern)):
            files.setdefault(file.name.partition("-")[0], []).append(file)
        for owner, kept in files.items():
            if not _is_id(owner) or (len(kept) == 1 and self._may_be_named(bytes.fromhex(owner), kept[0])):
                continue
            named = self._named_key(bytes.fromhex(owner))
            for file in kept:
                if named not in (_UNKNOWN, file.name):
                    destroy(file)

    def _may_be_named(self, account: bytes, file: Path) -> bool:
        try:
            record = self._record(account)
        except PersonalDataRefused:
            return True
        return isinstance(record, Record) and file == self._key_file(account, record.key_id)

    def _named_key(self, account: bytes) -> str:
        """The file of the data key that an authentic record names."""
        try:
            record = self._record(account)
            if not isinstance(record, Record):
                return ""
            self._open(record)
        except PersonalDataRefused:
            return _UNKNOWN
        return self._key_file(account, record.key_id).name


_UNKNOWN: Final = "?"
"""A damaged record may have named any key: none is destroyed until it is mended or erased."""


@contextmanager
def open_store(folder: Path, key: SigningKey, chain_id: str | None, *, create: bool = False) -> Iterator[MemberStore]:
    """Open the store of a registrar's key; `chain_id` None: of whatever chain. Raise `PersonalDataRefused`: NO_STORE,
    STORE_BUSY, OTHER_REGISTRAR, OTHER_CHAIN, STORE_DAMAGED."""
    head_file = folder / HEAD
    if not head_file.exists():
        if not create or chain_id is None:
            raise PersonalDataRefused(
                "there is no store of personal data",
                code="NO_STORE",
                expected=f"a folder {folder} that member import made",
                found="none",
                fix="name it with --store; gridchain member import makes one",
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(folder.parent)
    with _locked(folder):
        if create and chain_id is not None and not head_file.exists():
            write_durably(head_file, encode(_sealed_head(chain_id, key, new_secret())))
        missing = [name for name in (KEYS, RECORDS) if not (folder / name).is_dir()]
        for name in missing:
            (folder / name).mkdir(mode=0o700)
        if missing:
            sync_directory(folder)
        store = _unlock(folder, key, chain_id)
        store._sweep()
        yield store


def _unlock(folder: Path, key: SigningKey, chain_id: str | None) -> MemberStore:
    file = folder / HEAD
    try:
        head = decode(StoreHead, _read(file) or b"")
    except DecodeError:
        raise _damaged(file) from None
    if head.registrar != key.address:
        raise PersonalDataRefused(
            "the store belongs to another key",
            code="OTHER_REGISTRAR",
            expected="0x" + head.registrar.hex(),
            found="0x" + key.address.hex(),
            fix="use the registrar's key, or name another store with --store",
        )
    if chain_id is not None and head.chain_id != chain_id:
        raise _other_chain(head.chain_id, chain_id)
    secret = decrypt(key.derive(DOMAIN_MEMBER_STORE, head.salt), _head_context(head), head.box)
    if secret is None or head.version != VERSION:
        raise _damaged(file)
    return MemberStore(folder, head, secret)


def _sealed_head(chain_id: str, key: SigningKey, secret: bytes) -> StoreHead:
    head = StoreHead(VERSION, chain_id, key.address, new_secret(), b"")
    box = encrypt(key.derive(DOMAIN_MEMBER_STORE, head.salt), _head_context(head), secret)
    return StoreHead(head.version, head.chain_id, head.registrar, head.salt, box)


def _head_context(head: StoreHead) -> bytes:
    return encode(StoreHead(head.version, head.chain_id, head.registrar, head.salt, b""))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PersonalDataRefused(
                "another command uses the store",
                code="STORE_BUSY",
                expected=f"{folder / LOCK} unlocked",
                found="locked",
                fix="try again when the other command has ended",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _read(file: Path) -> bytes | None:
    """A small file, None if there is none; of a large one the first bytes only, which decode as nothing."""
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES)
    except FileNotFoundError:
        return None


def _is_id(name: str) -> bool:
    return len(name) == 64 and all(letter in "0123456789abcdef" for letter in name)


def _damaged(file: Path) -> PersonalDataRefused:
    return PersonalDataRefused(
        "a file of the store is damaged",
        code="STORE_DAMAGED",
        expected=f"{file} as it was written",
        found="missing, torn or changed",
        fix="restore it from a copy; or import the envelope again: gridchain member envelope makes it for the owner",
    )


def _other_chain(expected: str, found: str) -> PersonalDataRefused:
    return PersonalDataRefused(
        "the store is for another chain",
        code="OTHER_CHAIN",
        expected=expected,
        found=found,
        fix="name the chain's node with --url, or another store with --store",
    )
