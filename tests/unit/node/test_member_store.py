"""The registrar's store of personal data: what it holds, who opens it, what an erasure leaves, what damage does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from personal_world import APPLICANT, CHAIN, METER, REGISTRAR, TEXTS, application, shows_text

from ledger.codec import decode, encode
from ledger.crypto import SigningKey, decrypt, encrypt
from ledger.errors import ConfigError
from node.member_store import DataKey, Erased, Held, Record, open_store
from node.personal import VERSION

SEED = 20_171
NOW = 1_700_000_000_000


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def refusal(folder: Path, key: SigningKey = REGISTRAR, chain: str | None = CHAIN) -> str:
    """The code with which the store, or its record of the applicant, is refused."""
    with pytest.raises(ConfigError) as caught, open_store(folder, key, chain) as store:
        store.get(APPLICANT.address)
    error = caught.value
    assert error.expected is not None
    assert error.found is not None
    assert error.fix
    assert not shows_text(str(error).encode())
    return error.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "members"


def test_what_was_put_is_found_again(folder: Path) -> None:
    made, other = application(), application({"name": "A"}, key=METER)
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        assert store.put(made, NOW)
        assert not store.put(made, NOW + 1), "the same application is held once"
        assert store.put(other, NOW + 2)
    with open_store(folder, REGISTRAR, CHAIN) as store:
        assert store.get(APPLICANT.address) == Held(made, NOW)
        assert store.get(METER.address) == Held(other, NOW + 2)
        assert store.get(bytes(32)) is None
        assert store.accounts() == sorted([APPLICANT.address, METER.address])
    assert not any(shows_text(name.encode() + raw) for name, raw in files_of(folder).items())
    for file in folder.rglob("*"):
        assert file.stat().st_mode & 0o777 == (0o700 if file.is_dir() else 0o600), file
    sizes = {len(raw) for name, raw in files_of(folder).items() if name.startswith("records/")}
    assert max(sizes) - min(sizes) < 8, "lengths tell nothing about who it is"


def test_a_new_application_takes_the_place_of_the_old(folder: Path) -> None:
    first, second = application(), application()
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(first, NOW)
        (old_key,) = (folder / "keys").iterdir()
        store.put(second, NOW + 1)
        assert store.get(APPLICANT.address) == Held(second, NOW + 1)
    (new_key,) = (folder / "keys").iterdir()
    assert new_key != old_key, "the old application cannot be read any more"


def test_only_the_registrars_key_opens_the_store(folder: Path) -> None:
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(application(), NOW)
    assert refusal(folder, APPLICANT) == "OTHER_REGISTRAR"
    assert refusal(folder, REGISTRAR, "dev-else") == "OTHER_CHAIN"
    assert refusal(folder.parent / "nothing") == "NO_STORE"
    assert not (folder.parent / "nothing").exists()
    with open_store(folder, REGISTRAR, None) as store:
        assert store.is_held(APPLICANT.address)
        with pytest.raises(ConfigError) as caught:
            store.put(application(chain="dev-else"), NOW)
        assert caught.value.code == "OTHER_CHAIN"
        assert refusal(folder) == "STORE_BUSY", "one command at a time"


def test_what_was_erased_is_gone_for_good(folder: Path) -> None:
    made = application()
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(made, NOW)
        before = files_of(folder)
        note = store.erase(APPLICANT.address, NOW + 5)
        assert (note.digest, note.noted_ms) == (made.digest, NOW + 5)
        assert store.get(APPLICANT.address) == note
        assert store.erase(APPLICANT.address, NOW + 9) == note, "erased is erased"
        with pytest.raises(ConfigError) as caught:
            store.put(made, NOW + 6)
        assert caught.value.code == "ERASED", "a copy of the envelope does not bring it back"
        later = application()
        assert store.put(later, NOW + 7), "the person may apply anew"
        assert store.get(APPLICANT.address) == Held(later, NOW + 7)
        store.erase(APPLICANT.address, NOW + 8)
        with pytest.raises(ConfigError) as caught:
            store.erase(METER.address, NOW)
        assert caught.value.code == "NOT_HELD"
    assert [name for name in files_of(folder) if name.startswith("keys/")] == []
    # An old copy of the record stays shut: its data key is nowhere.
    name = f"records/{APPLICANT.address.hex()}"
    (folder / name).write_bytes(before[name])
    assert refusal(folder) == "STORE_DAMAGED"


def test_a_key_is_overwritten_before_it_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    unlink = Path.unlink

    def note(self: Path, missing_ok: bool = False) -> None:
        seen.append(self.read_bytes())
        unlink(self, missing_ok)

    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(application(), NOW)
        (key_file,) = (folder / "keys").iterdir()
        raw = key_file.read_bytes()
        monkeypatch.setattr(Path, "unlink", note)
        store.erase(APPLICANT.address, NOW)
    (left,) = seen
    assert len(left) == len(raw)
    assert sum(one == other for one, other in zip(left, raw, strict=True)) < len(raw) // 4


def test_a_note_of_erasure_holds_no_personal_data_and_cannot_be_forged(folder: Path) -> None:
    made = application()
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(made, NOW)
        store.erase(APPLICANT.address, NOW)
    file = folder / "records" / APPLICANT.address.hex()
    note = decode(Erased, file.read_bytes())
    assert (note.chain_id, note.account, note.digest, note.noted_ms) == (CHAIN, APPLICANT.address, made.digest, NOW)
    assert len(note.box) == 40, "a nonce and a tag around nothing"
    forged = Erased(VERSION, CHAIN, APPLICANT.address, made.digest, NOW + 1, note.box)
    file.write_bytes(encode(forged))
    assert refusal(folder) == "STORE_DAMAGED"


@pytest.mark.parametrize("part", ["store", "keys", "records", "note"])
def test_a_changed_byte_of_each_file_is_seen(folder: Path, part: str) -> None:
    print("seed", SEED)
    rng = random.Random(f"{SEED} {part}")
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(application(), NOW)
        if part == "note":
            store.erase(APPLICANT.address, NOW)
    (file,) = [
        file for file in folder.rglob("*") if file.is_file() and str(file.relative_to(folder)).startswith(part)
    ] or [folder / "records" / APPLICANT.address.hex()]
    raw = file.read_bytes()
    head = min(len(raw), 210)
    for place in [*range(head), *rng.sample(range(head, len(raw)), min(40, len(raw) - head))]:
        changed = bytearray(raw)
        changed[place] ^= 1 << rng.randrange(8)
        file.write_bytes(changed)
        assert refusal(folder) in ("STORE_DAMAGED", "OTHER_CHAIN", "OTHER_REGISTRAR"), place
    for torn in (b"", raw[:1], raw[: len(raw) // 2], raw[:-1], raw + b"\0", bytes(100_000)):
        file.write_bytes(torn)
        assert refusal(folder) == "STORE_DAMAGED", len(torn)
    file.write_bytes(raw)
    with open_store(folder, REGISTRAR, CHAIN) as store:
        assert store.get(APPLICANT.address) is not None, "reading a damaged store destroys nothing"


def test_parts_of_one_record_do_not_serve_another(folder: Path) -> None:
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(application(), NOW)
        store.put(application({"name": "A"}, key=METER), NOW)
    mine, other = (folder / "records" / key.address.hex() for key in (APPLICANT, METER))
    mine.write_bytes(other.read_bytes())
    assert refusal(folder) == "STORE_DAMAGED"
    record = decode(Record, other.read_bytes())
    mine.write_bytes(
        encode(Record(*(*encode_fields(record), APPLICANT.address, record.digest, NOW, record.key_id, record.box)))
    )
    assert refusal(folder) == "STORE_DAMAGED"


def encode_fields(record: Record) -> tuple[int, str]:
    return record.version, record.chain_id


def test_a_damaged_record_can_be_erased(folder: Path) -> None:
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(application(), NOW)
    (folder / "records" / APPLICANT.address.hex()).write_bytes(b"torn")
    with open_store(folder, REGISTRAR, CHAIN) as store:
        assert list((folder / "keys").iterdir()), "nothing is destroyed unasked"
        store.erase(APPLICANT.address, NOW)
        assert isinstance(store.get(APPLICANT.address), Erased)
    assert not list((folder / "keys").iterdir())


@pytest.mark.parametrize("part", ["keys", "records"])
def test_an_import_mends_what_is_damaged(folder: Path, part: str) -> None:
    made = application()
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(made, NOW)
    (file,) = (folder / part).iterdir()
    file.write_bytes(b"torn")
    assert refusal(folder) == "STORE_DAMAGED"
    with open_store(folder, REGISTRAR, CHAIN) as store:
        assert store.put(made, NOW + 1)
        assert store.get(APPLICANT.address) == Held(made, NOW + 1)
    assert len(list((folder / "keys").iterdir())) == 1


def test_another_registrar_takes_over(folder: Path) -> None:
    made = application()
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(made, NOW)
        store.rekey(METER)
    assert refusal(folder, REGISTRAR) == "OTHER_REGISTRAR"
    with open_store(folder, METER, CHAIN) as store:
        assert store.get(APPLICANT.address) == Held(made, NOW)


def test_data_keys_differ_and_are_not_the_stores(folder: Path) -> None:
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        store.put(application(), NOW)
        store.put(application(TEXTS, key=METER), NOW)
        secret = store._secret
    kept = [decode(DataKey, file.read_bytes()) for file in (folder / "keys").iterdir()]
    clear = {decrypt(secret, encode(DataKey(VERSION, key.account, key.key_id, b"")), key.box) for key in kept}
    assert len(clear) == 2
    assert clear.isdisjoint({None, secret})
    assert encrypt(secret, b"", b"") != encrypt(secret, b"", b"")
