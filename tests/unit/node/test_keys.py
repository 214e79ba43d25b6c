"""Key files: encrypted or owner-only, never overwritten, and no secret in any text."""

from __future__ import annotations

import os
import traceback

import pytest

from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.keys import PassphraseSource, encode_key, is_encrypted, load_key, new_key, save_key

SEED = bytes(range(32))


def source(passphrase):
    return PassphraseSource(environment={"GRIDCHAIN_PASSPHRASE": passphrase})


def refused(call):
    with pytest.raises(ConfigError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_round_trip(tmp_path, passphrase):
    path = tmp_path / "a" / "b.key"
    save_key(path, SigningKey(SEED), passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_encrypted(path) is (passphrase is not None)
    key = load_key(path, source("correct horse"))
    assert key.seed == SEED


def test_keys_differ():
    assert new_key().seed != new_key().seed


def test_never_overwritten(tmp_path):
    path = tmp_path / "k"
    save_key(path, SigningKey(SEED))
    before = path.read_bytes()
    assert refused(lambda: save_key(path, new_key())).code == "KEY_EXISTS"
    assert path.read_bytes() == before


def test_a_plain_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "k"
    save_key(path, SigningKey(SEED))
    path.chmod(0o640)
    error = refused(lambda: load_key(path))
    assert error.code == "KEY_PERMISSIONS"
    assert "chmod 600" in error.fix


def test_refusals_of_files(tmp_path):
    assert refused(lambda: load_key(tmp_path / "none")).code == "KEY_MISSING"
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00nothing")
    garbage.chmod(0o600)
    assert refused(lambda: load_key(garbage)).code == "KEY_FORMAT"
    locked = tmp_path / "locked"
    save_key(locked, SigningKey(SEED), b"secret")
    assert refused(lambda: load_key(locked, PassphraseSource(environment={}))).code == "KEY_LOCKED"
    assert refused(lambda: load_key(locked, source("wrong"))).code == "KEY_PASSPHRASE"


def test_a_key_of_another_kind_is_refused(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "p256"
    path.write_bytes(pem)
    path.chmod(0o600)
    assert refused(lambda: load_key(path)).code == "KEY_FORMAT"


def test_passphrase_sources_in_order(tmp_path):
    file = tmp_path / "pass"
    file.write_text("from file\nsecond line\n")
    reader, writer = os.pipe()
    os.write(writer, b"from fd\n")
    os.close(writer)
    environment = {"GRIDCHAIN_PASSPHRASE": "from environment"}
    asked = lambda _what: "from prompt"  # noqa: E731 - one line says it
    try:
        assert PassphraseSource(file, reader, environment, asked).read("k") == b"from file"
        assert PassphraseSource(None, reader, environment, asked).read("k") == b"from fd"
    finally:
        os.close(reader)
    assert PassphraseSource(None, None, environment, asked).read("k") == b"from environment"
    assert PassphraseSource(None, None, {}, asked).read("k") == b"from prompt"
    assert PassphraseSource(None, None, {}, None).read("k") is None


def test_named_sources_that_fail_are_said(tmp_path):
    assert refused(lambda: PassphraseSource(tmp_path / "none").read("k")).code == "KEY_PASSPHRASE"
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert refused(lambda: PassphraseSource(empty).read("k")).code == "KEY_PASSPHRASE"
    assert refused(lambda: PassphraseSource(fd=987).read("k")).code == "KEY_PASSPHRASE"


def test_no_text_shows_a_secret(tmp_path):
    """Neither a key's repr nor an error on the way to one holds the seed or the passphrase."""
    key, secret, wrong = SigningKey(SEED), "-".join(["open", "up"]), "-".join(["open", "down"])
    path = tmp_path / "k"
    save_key(path, key, secret.encode())
    texts = [repr(key), str(key), repr(source(secret))]
    try:
        load_key(path, source(wrong))
    except ConfigError as error:
        texts += [str(error), repr(error), *traceback.format_exception(error)]
    assert len(texts) > 5
    for text in texts:
        assert secret not in text
        assert wrong not in text
        assert SEED.hex() not in text
    assert SEED not in encode_key(key, secret.encode())


def test_a_key_file_may_be_named_by_a_string(tmp_path):
    key = SigningKey(SEED)
    save_key(tmp_path / "a.key", key, None)
    assert load_key(str(tmp_path / "a.key")).address == key.address
