"""Commitments, envelopes and owner's copies of personal data: who can open what, and what is refused."""

from __future__ import annotations

import hashlib
import os
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from personal_world import APPLICANT, CHAIN, METER, PUBLIC, REGISTRAR, TEXTS, application, shows_text

from contracts.applications import application_digest
from contracts.values import Value, encode_value
from ledger.codec import encode
from ledger.crypto import DOMAIN_ENVELOPE, SigningKey, decrypt, encrypt, new_secret, seal
from ledger.errors import BadSignature, ConfigError
from node.own_copies import OwnCopies
from node.personal import (
    FIELDS,
    FRAME_BYTES,
    VERSION,
    Application,
    Envelope,
    Opening,
    application_in,
    frame_of,
    make_application,
    make_envelope,
    open_commitments,
    open_envelope,
)

ROOT = Path(__file__).resolve().parents[3]
SEED = 20_170


def refused(raw: bytes, key: SigningKey = REGISTRAR) -> str:
    with pytest.raises(ConfigError) as caught:
        open_envelope(raw, key)
    error = caught.value
    assert error.expected is not None
    assert error.found is not None
    assert error.fix
    assert not shows_text(str(error).encode()), "an error names fields, not what is in them"
    return error.code


def sealed(forged: Application) -> bytes:
    """An envelope around what `make_application` would not make."""
    raw = encode(forged)
    frame = (len(raw).to_bytes(4, "big") + raw).ljust(FRAME_BYTES, b"\0")
    return encode(Envelope(VERSION, REGISTRAR.address, seal(REGISTRAR.public, DOMAIN_ENVELOPE, frame)))


def test_fields_are_those_of_the_contract() -> None:
    source = (ROOT / "contracts" / "library" / "registry.py").read_text(encoding="utf-8")
    found = re.search(r"^FIELDS = \((.+)\)$", source, re.MULTILINE)
    assert found is not None
    assert tuple(re.findall(r'"(\w+)"', found[1])) == FIELDS


def test_a_commitment_is_the_hash_of_salt_and_text() -> None:
    made = application()
    assert [opening.field for opening in made.openings] == list(FIELDS)
    commitments: Any = made.values[8]
    for opening, commitment in zip(made.openings, commitments, strict=True):
        assert commitment == hashlib.sha256(opening.salt + TEXTS[opening.field].encode()).digest()
    assert made.digest == application_digest(APPLICANT.address, made.values)
    salts = {opening.salt for opening in (*made.openings, *application().openings)}
    assert len(salts) == 10, "every field of every application has a salt of its own"


def test_an_envelope_is_opened_by_the_registrar_alone() -> None:
    made = application()
    raw = make_envelope(made, REGISTRAR.public)
    assert open_envelope(raw, REGISTRAR) == made
    assert not shows_text(raw)
    assert refused(raw, APPLICANT) == "OTHER_REGISTRAR"
    readdressed = encode(Envelope(VERSION, APPLICANT.address, msgspec.msgpack.decode(raw)[3]))
    assert refused(readdressed, APPLICANT) == "ENVELOPE_DAMAGED"
    short = make_envelope(application({"name": "A"}), REGISTRAR.public)
    assert len(short) == len(raw), "its length tells nothing"


def test_a_changed_byte_of_an_envelope_is_seen() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    raw = make_envelope(application(), REGISTRAR.public)
    places = [*range(70), len(raw) - 1, *rng.sample(range(70, len(raw)), 80)]
    for place in places:
        changed = bytearray(raw)
        changed[place] ^= 1 << rng.randrange(8)
        assert refused(bytes(changed)) in ("NOT_AN_ENVELOPE", "OTHER_REGISTRAR", "ENVELOPE_DAMAGED"), place
    for size in (0, 1, 40, len(raw) - 1):
        assert refused(raw[:size]) == "NOT_AN_ENVELOPE"
    assert refused(raw + b"\0") == "NOT_AN_ENVELOPE"
    assert refused(bytes(100_000)) == "NOT_AN_ENVELOPE"


def test_what_does_not_open_its_commitment_is_refused() -> None:
    made = application()
    name, *rest = made.openings
    other = Opening("name", name.salt, "Somebody Else")
    salted = Opening("name", new_secret(), name.text)
    for openings in ((other, *rest), (salted, *rest)):
        assert refused(sealed(msgspec.structs.replace(made, openings=openings))) == "COMMITMENT_MISMATCH"
    for wrong in ((), made.openings[1:], (*made.openings, name), tuple(reversed(made.openings))):
        assert refused(sealed(msgspec.structs.replace(made, openings=wrong))) == "NOT_AN_APPLICATION"


@pytest.mark.parametrize(
    "arguments",
    [
        encode_value([]),
        encode_value(7),
        b"\xc1",
        encode_value([*PUBLIC, ["name"], [1 << 60]]),
        encode_value([*PUBLIC, ["name"], [bytes(31)]]),
        encode_value([METER.address + b"x", bytes(31), *PUBLIC[2:], ["name"], [bytes(32)]]),
        encode_value([*PUBLIC[:4], [-1, 1], *PUBLIC[5:], ["name"], [bytes(32)]]),
    ],
)
def test_hostile_arguments_in_an_envelope_are_refused(arguments: bytes) -> None:
    forged = Application(VERSION, CHAIN, APPLICANT.address, arguments, (Opening("name", bytes(32), "A"),))
    assert refused(sealed(forged)) == "NOT_AN_APPLICATION"


@pytest.mark.parametrize("text", ["", " A", "A\n", "\x1b[31mred", "x" * 257, "ä" * 129, "\u202egnihton", "\udc80"])
def test_texts_that_a_terminal_or_a_form_cannot_take_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_commitments({"name": text})
    assert caught.value.code == "BAD_FIELD"
    if "\udc80" not in text:
        opening = Opening("name", new_secret(), text)
        public: list[Value] = [*PUBLIC, ["name"], [opening.commitment]]
        forged = Application(VERSION, CHAIN, APPLICANT.address, encode_value(public), (opening,))
        assert refused(sealed(forged)) == "BAD_FIELD", "the registrar does not trust the applicant's command"


def test_unknown_fields_and_none_are_refused() -> None:
    for texts in ({}, {"shoe_size": "46"}):
        with pytest.raises(ConfigError) as caught:
            open_commitments(texts)
        assert caught.value.code == "BAD_FIELD"


def test_an_application_beyond_a_frame_is_refused() -> None:
    wide: list[Value] = [*PUBLIC[:5], "\U0001f600" * 1000, "rural1"]
    with pytest.raises(ConfigError) as caught:
        make_application(CHAIN, APPLICANT.address, wide, open_commitments(TEXTS))
    assert caught.value.code == "TOO_LARGE"
    most: list[Value] = [METER.address, bytes(32), ["consumer", "producer", "prosumer"], ["storage"] * 16, [10**9] * 16]
    largest = make_application(
        CHAIN,
        APPLICANT.address,
        [*most, "\U0001f600" * 64, "\U0001f600" * 64],
        open_commitments(dict.fromkeys(FIELDS, "ä" * 128)),
    )
    assert application_in(frame_of(largest)) == largest, "whatever the registry takes has room"


def test_nothing_shows_personal_data_by_accident() -> None:
    made = application()
    assert not shows_text(repr(made).encode())
    assert not shows_text(repr(made.openings).encode())
    assert not shows_text(str([made]).encode())


def test_boxes_are_bound_to_key_and_context() -> None:
    secret = new_secret()
    box = encrypt(secret, b"context", b"clear")
    assert decrypt(secret, b"context", box) == b"clear"
    assert encrypt(secret, b"context", b"clear") != box, "nonces are fresh"
    assert decrypt(new_secret(), b"context", box) is None
    assert decrypt(secret, b"other", box) is None
    for raw in (b"", box[:24], box[:-1], box + b"\0"):
        assert decrypt(secret, b"context", raw) is None
    assert REGISTRAR.open_sealed(b"other", seal(REGISTRAR.public, b"one", b"clear")) is None
    assert REGISTRAR.derive(b"a", b"b") != APPLICANT.derive(b"a", b"b")
    small_order = bytes(32)
    with pytest.raises(BadSignature):
        seal(small_order, b"", b"clear")
    with pytest.raises(ConfigError) as caught:
        make_envelope(application(), small_order)
    assert caught.value.code == "NOT_A_KEY"


def test_the_owner_keeps_a_copy_that_nobody_else_reads(tmp_path: Path) -> None:
    copies = OwnCopies(tmp_path / "home.key", APPLICANT)
    made, later = application(), application({"name": "Zoë Maier"})
    file = copies.keep(made)
    copies.keep(later)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not shows_text(file.read_bytes())
    assert copies.get(made.digest) == made
    assert copies.get(later.digest) == later
    assert copies.get(bytes(32)) is None
    assert OwnCopies(tmp_path / "home.key", REGISTRAR).get(made.digest) is None, "files are named by their account"
    right = file.read_bytes()
    (other,) = [found for found in copies.folder.iterdir() if found != file]
    file.write_bytes(other.read_bytes())
    with pytest.raises(ConfigError) as caught:
        copies.get(made.digest)
    assert caught.value.code == "COPY_DAMAGED", "a copy of another application does not serve"
    file.write_bytes(right)
    assert copies.erase(made.digest) == 1
    assert copies.get(made.digest) is None
    assert (copies.erase(), copies.erase()) == (1, 0)
    assert not list(copies.folder.iterdir())


def test_a_changed_byte_of_a_copy_is_seen(tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    copies = OwnCopies(tmp_path / "home.key", APPLICANT)
    made = application()
    file = copies.keep(made)
    raw = file.read_bytes()
    for place in [*range(220), *rng.sample(range(220, len(raw)), 60)]:
        changed = bytearray(raw)
        changed[place] ^= 1 << rng.randrange(8)
        file.write_bytes(changed)
        with pytest.raises(ConfigError) as caught:
            copies.get(made.digest)
        assert caught.value.code == "COPY_DAMAGED", place
    for size in (0, 100, len(raw) - 1):
        file.write_bytes(raw[:size])
        with pytest.raises(ConfigError):
            copies.get(made.digest)


def test_a_copy_is_synced_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    file = OwnCopies(tmp_path / "home.key", APPLICANT).keep(application())
    assert synced == [tmp_path.name, file.name + ".new", "personal"]


def test_a_frame_holds_an_application_and_zeros() -> None:
    frame = frame_of(application())
    assert len(frame) == FRAME_BYTES
    for wrong in (frame[:-1], frame + b"\0", frame[:-1] + b"x", b"\xff" * FRAME_BYTES, b""):
        with pytest.raises(ConfigError) as caught:
            application_in(wrong)
        assert caught.value.code == "NOT_AN_APPLICATION"
