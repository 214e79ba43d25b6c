"""Personal data of an application: salts, commitments, and what is encrypted for the registrar and for the owner.

An application carries SHA-256(salt || field) for each field; here is what opens these commitments, and never leaves a
machine in clear. Formats and threats: ADR 0170.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from contracts.applications import application_digest
from contracts.values import Value, decode_value, encode_value
from ledger.codec import Bytes32, ShortText, Uint, Wire, decode, encode
from ledger.crypto import DOMAIN_ENVELOPE, SigningKey, address_of, new_secret, seal
from ledger.errors import BadSignature, ConfigError, DecodeError, GridchainError

FIELDS: Final = ("name", "email", "postcode", "address", "bank_account")
"""As the contract `registry` names them."""
MAX_FIELD_BYTES: Final = 256
FRAME_BYTES: Final = 4096
"""What is encrypted has this length, whatever it says."""
MAX_FILE_BYTES: Final = 2 * FRAME_BYTES
VERSION: Final = 1

_LENGTH_BYTES: Final = 4


class PersonalDataRefused(ConfigError):
    """Personal data, or a file that should hold some, that cannot be used. Names fields, never what is in them."""

    code = "PERSONAL_DATA"


class Opening(Wire, frozen=True):
    """What opens one commitment."""

    field: ShortText
    salt: Bytes32
    text: str

    def __repr__(self) -> str:
        return f"Opening({self.field})"

    @property
    def commitment(self) -> bytes:
        """SHA-256(salt || text as UTF-8), 32 bytes. Salts have one length, so no two pairs join to the same bytes."""
        return hashlib.sha256(self.salt + self.text.encode("utf-8")).digest()


class Application(Wire, frozen=True):
    """An application with all that opens it. `arguments`: those of `registry.apply`, as a transaction carries them."""

    version: Uint
    chain_id: ShortText
    account: Bytes32
    arguments: bytes
    openings: tuple[Opening, ...]

    def __repr__(self) -> str:
        return f"Application({self.account.hex()[:16]}..)"

    @property
    def values(self) -> list[Value]:
        """The arguments of `registry.apply`."""
        values = decode_value(self.arguments)
        return values if isinstance(values, list) else []

    @property
    def digest(self) -> bytes:
        """What the registry names this application by. Raise `GridchainError` if the arguments are none of `apply`."""
        return application_digest(self.account, self.values)

    def check(self) -> None:
        """See that each text is one and opens its commitment, and none is missing. Raise `PersonalDataRefused`."""
        fields, commitments = self._committed()
        if [opening.field for opening in self.openings] != fields or len(fields) != len(commitments):
            raise _no_application("a text for each commitment", "more, fewer or others")
        for opening, commitment in zip(self.openings, commitments, strict=True):
            check_text(opening.field, opening.text)
            if opening.commitment != commitment:
                raise PersonalDataRefused(
                    f"the text of {opening.field} is not what the application commits to",
                    code="COMMITMENT_MISMATCH",
                    expected=f"SHA-256(salt || {opening.field}) = 0x{commitment.hex()}",
                    found=f"0x{opening.commitment.hex()}",
                    fix="ask the applicant for the envelope of this application",
                )

    def _committed(self) -> tuple[list[str], list[bytes]]:
        """Fields and commitments of arguments that are those of `apply`."""
        try:
            size = len(self.digest)
            match self.values:
                case [bytes(meter), bytes(owner), *_, list(fields), list(commitments)] if all(
                    isinstance(part, bytes) and len(part) == size for part in (meter, owner, *commitments)
                ):
                    return fields, commitments
        except (GridchainError, OverflowError):
            pass
        raise _no_application("arguments of registry.apply", "others")


def check_text(field: str, text: str) -> None:
    """See that a field is known and its text printable, 1 to 256 bytes of UTF-8. Raise `PersonalDataRefused`."""
    if field not in FIELDS:
        found = field[:40] if field.isprintable() else "unprintable text"
        raise PersonalDataRefused(
            "this is no field of personal data",
            code="BAD_FIELD",
            expected=" ".join(FIELDS),
            found=found,
            fix="leave it out",
        )
    printable = text.isprintable() and text.strip() == text
    size = len(text.encode("utf-8", "replace"))
    if not printable or not 0 < size <= MAX_FIELD_BYTES:
        raise PersonalDataRefused(
            f"the text of {field} cannot be taken",
            code="BAD_FIELD",
            expected=f"1 to {MAX_FIELD_BYTES} bytes of printable text, without spaces around it",
            found=f"{size} bytes" if printable else "unprintable characters, or spaces around it",
            fix="write it in one plain line",
        )


def open_commitments(texts: Mapping[str, str]) -> tuple[Opening, ...]:
    """Openings with fresh salts, in the order of `FIELDS`. Raise `PersonalDataRefused`."""
    for field, text in texts.items():
        check_text(field, text)
    if not texts:
        raise PersonalDataRefused(
            "an application names at least one field of personal data",
            code="BAD_FIELD",
            expected=" or ".join(FIELDS),
            found="none",
            fix="give --name, or a file with --personal",
        )
    return tuple(Opening(field, new_secret(), texts[field]) for field in FIELDS if field in texts)


def make_application(
    chain_id: str, account: bytes, public: Sequence[Value], openings: tuple[Opening, ...]
) -> Application:
    """An application. `public`: the first seven arguments of `registry.apply`, meter to region. Raise
    `GridchainError`."""
    fields: list[Value] = [opening.field for opening in openings]
    commitments: list[Value] = [opening.commitment for opening in openings]
    application = Application(VERSION, chain_id, account, encode_value([*public, fields, commitments]), openings)
    application.check()
    frame_of(application)
    return application


def new_pseudonym() -> bytes:
    """A name for a legal owner that tells nothing about it: 32 random bytes."""
    return new_secret()


# --- what is encrypted ------------------------------------------------------------------------------------------------


def frame_of(application: Application) -> bytes:
    """Its encoding, padded to `FRAME_BYTES`. Raise `PersonalDataRefused` if it is longer."""
    raw = encode(application)
    room = FRAME_BYTES - _LENGTH_BYTES
    if len(raw) > room:
        raise PersonalDataRefused(
            "the application is too long",
            code="TOO_LARGE",
            expected=f"at most {room} bytes with its personal data",
            found=len(raw),
            fix="shorten its texts",
        )
    return len(raw).to_bytes(_LENGTH_BYTES, "big") + raw.ljust(room, b"\0")


def application_in(frame: bytes) -> Application:
    """The application in a frame, checked. Raise `PersonalDataRefused`."""
    size = int.from_bytes(frame[:_LENGTH_BYTES], "big")
    try:
        if len(frame) != FRAME_BYTES or frame[_LENGTH_BYTES + size :].strip(b"\0"):
            raise DecodeError("no frame")
        application = decode(Application, frame[_LENGTH_BYTES : _LENGTH_BYTES + size])
        if application.version != VERSION:
            raise DecodeError("another version")
    except DecodeError:
        raise _no_application("an application as member apply writes it", "other bytes") from None
    application.check()
    return application


class Envelope(Wire, frozen=True, tag="gridchain-envelope"):
    """A file on its way to the registrar, whose account it names."""

    version: Uint
    registrar: Bytes32
    sealed: bytes


def make_envelope(application: Application, registrar: bytes) -> bytes:
    """The file that only the holder of `registrar`, an Ed25519 public key, can open. Raise `GridchainError`."""
    try:
        sealed = seal(registrar, DOMAIN_ENVELOPE, frame_of(application))
    except BadSignature:
        raise PersonalDataRefused(
            "nothing can be sealed for this key",
            code="NOT_A_KEY",
            expected="the registrar's public key, 32 bytes as gridchain keys show prints them",
            found="0x" + registrar.hex(),
            fix="ask the registrar for it",
        ) from None
    return encode(Envelope(VERSION, address_of(registrar), sealed))


def open_envelope(raw: bytes, key: SigningKey) -> Application:
    """What an applicant says, checked against its own commitments. Raise `PersonalDataRefused`: NOT_AN_ENVELOPE,
    OTHER_REGISTRAR, ENVELOPE_DAMAGED, COMMITMENT_MISMATCH, BAD_FIELD, NOT_AN_APPLICATION."""
    try:
        envelope = decode(Envelope, raw, limit=MAX_FILE_BYTES)
        if envelope.version != VERSION:
            raise DecodeError("another version")
    except DecodeError:
        raise PersonalDataRefused(
            "this is no envelope",
            code="NOT_AN_ENVELOPE",
            expected="a file that gridchain member apply wrote, whole",
            found=f"{len(raw)} other bytes",
            fix="ask the applicant to hand it over again",
        ) from None
    if envelope.registrar != key.address:
        raise PersonalDataRefused(
            "the envelope is for another registrar",
            code="OTHER_REGISTRAR",
            expected="0x" + key.address.hex(),
            found="0x" + envelope.registrar.hex(),
            fix="use the key that it was sealed for, or ask the applicant to seal it for yours",
        )
    frame = key.open_sealed(DOMAIN_ENVELOPE, envelope.sealed)
    if frame is None:
        raise PersonalDataRefused(
            "the envelope cannot be opened",
            code="ENVELOPE_DAMAGED",
            expected="the bytes that were sealed for this key",
            found="others: it was changed on its way",
            fix="ask the applicant to hand it over again",
        )
    return application_in(frame)


def _no_application(expected: str, found: str) -> PersonalDataRefused:
    return PersonalDataRefused(
        "what was encrypted is no application",
        code="NOT_AN_APPLICATION",
        expected=expected,
        found=found,
        fix="make it again: gridchain member apply",
    )
