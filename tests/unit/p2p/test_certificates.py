"""The authority, node certificates, and what a node refuses to start with."""

import ssl

import pytest
from p2p_world import Consortium, now_ms

from ledger.crypto import DOMAIN_PEER_ADDRESS, SigningKey, verify
from ledger.errors import ConfigError
from p2p.certificates import NodeIdentity, inspect_certificate, issue, make_ca, node_id_of

NOW = 1_800_000_000_000


def test_a_certificate_says_who_and_until_when():
    authority = make_ca("energy bureau", now_ms=NOW)
    issued = issue(authority, organisation="Grid Co", name="grid", role="validator", now_ms=NOW, days=30)
    info = inspect_certificate(issued.certificate_pem)
    assert (info.organisation, info.name, info.role) == ("Grid Co", "grid", "validator")
    assert info.not_after_ms == NOW + 30 * 86_400_000
    assert info.not_before_ms < NOW
    assert info.node_id == node_id_of(info.public_key)
    assert len(info.fingerprint) == len(info.node_id) == 32
    assert b"PRIVATE" not in repr(issued).encode()
    assert "PRIVATE" not in repr(authority)


def test_a_renewal_keeps_the_identity_and_changes_the_fingerprint():
    authority = make_ca("bureau", now_ms=NOW)
    key = SigningKey(bytes(range(32)))
    first, second = (
        inspect_certificate(
            issue(
                authority, organisation="g", name="g", role="peer", now_ms=NOW, days=days, seed=key.seed
            ).certificate_pem
        )
        for days in (30, 60)
    )
    assert first.public_key == second.public_key == key.public
    assert first.node_id == second.node_id
    assert first.fingerprint != second.fingerprint


def test_the_node_key_signs_as_the_ledger_verifies(tmp_path):
    identity = Consortium(tmp_path).identity("a")
    signature = identity.sign(DOMAIN_PEER_ADDRESS, b"record")
    assert verify(identity.certificate.public_key, DOMAIN_PEER_ADDRESS, b"record", signature)
    assert not verify(identity.certificate.public_key, DOMAIN_PEER_ADDRESS, b"other", signature)
    assert "PRIVATE" not in repr(identity)


def test_a_key_of_another_certificate_is_refused(tmp_path):
    consortium = Consortium(tmp_path)
    consortium.identity("a")
    consortium.identity("b")
    with pytest.raises(ConfigError) as refused:
        NodeIdentity.load(tmp_path / "a.key", tmp_path / "b.crt", [consortium.ca_path])
    assert refused.value.code == "KEY_MISMATCH"
    assert refused.value.fix


def test_a_certificate_of_an_authority_that_is_not_trusted_is_refused(tmp_path):
    consortium, other = Consortium(tmp_path), Consortium(tmp_path, "other")
    consortium.identity("a")
    with pytest.raises(ConfigError) as refused:
        NodeIdentity.load(tmp_path / "a.key", tmp_path / "a.crt", [other.ca_path])
    assert refused.value.code == "FOREIGN_CA"
    assert "bureau" in refused.value.expected
    assert "other" in refused.value.found


def test_two_authorities_may_be_trusted_and_the_own_one_comes_first(tmp_path):
    consortium, other = Consortium(tmp_path), Consortium(tmp_path, "other")
    identity = consortium.identity("a", ca_paths=[other.ca_path, consortium.ca_path])
    assert identity.ca_fingerprints[0] == consortium.identity("b").ca_fingerprints[0]
    assert identity.ca_fingerprints[1] == other.identity("c").ca_fingerprints[0]


@pytest.mark.parametrize("broken", ["a.key", "a.crt", "bureau.ca.crt"])
def test_unreadable_files_are_named(tmp_path, broken):
    consortium = Consortium(tmp_path)
    consortium.identity("a")
    (tmp_path / broken).write_bytes(b"-----BEGIN NOTHING-----")
    with pytest.raises(ConfigError) as refused:
        NodeIdentity.load(tmp_path / "a.key", tmp_path / "a.crt", [consortium.ca_path])
    assert refused.value.code == "BAD_CERTIFICATE"
    assert broken in refused.value.fix or "authority files" in refused.value.fix


@pytest.mark.parametrize("raw", [b"", b"noise", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(raw):
    with pytest.raises(ConfigError):
        inspect_certificate(raw)


def test_tls_is_1_3_with_certificates_of_both_sides(tmp_path):
    identity = Consortium(tmp_path).identity("a")
    for server_side in (True, False):
        context = identity.tls_context(server_side=server_side)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_an_expired_certificate_can_be_made_for_tests_of_refusals():
    issued = issue(make_ca("x", now_ms=now_ms()), organisation="o", name="n", role="r", now_ms=now_ms(), days=-2)
    info = inspect_certificate(issued.certificate_pem)
    assert info.not_before_ms < info.not_after_ms < now_ms()
