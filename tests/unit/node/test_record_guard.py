"""The guard of regional records: another id for one (region, epoch, seq) is refused, in this life and in later ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from chain_world import seeded_key

from consensus.records import WalRecovery
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE, RegionRecord
from ledger.crypto import verify
from node.signer import RECORDS_KEPT, GuardRefused, Signer
from node.wal import Wal
from node.wal_format import WalIdentity, region_record_entry

KEY = seeded_key(1)


def record(seq: int, root: int = 0, epoch: int = 1) -> RegionRecord:
    zeros = bytes(32)
    return RegionRecord("ra", epoch, seq, zeros, 1, zeros, zeros, 0, zeros, bytes([root] * 32), 0, 0, zeros)


def signer(recovery: WalRecovery | None = None) -> Signer:
    return Signer(KEY, "dev-test", recovery or WalRecovery())


def test_the_same_record_is_signed_again_another_is_refused_and_ends_all_signing() -> None:
    one = signer()
    signature, new = one.record(record(1), b"statement")
    assert new
    assert verify(KEY.public, DOMAIN_RECORD_SIGNATURE, b"statement", signature)
    assert one.record(record(1), b"with a longer proof")[1] is False
    assert one.record(record(1, root=1, epoch=2), b"statement")[1], (
        "a record of another regional epoch is another place"
    )
    with pytest.raises(GuardRefused) as refused:
        one.record(record(1, root=1), b"statement")
    assert refused.value.code == "DOUBLE_SIGN_REFUSED"
    assert one.stopped
    with pytest.raises(GuardRefused):
        one.record(record(2), b"statement")


def test_a_held_node_signs_no_record() -> None:
    held = Signer(KEY, "dev-test", WalRecovery(), "WAL_MISSING")
    with pytest.raises(GuardRefused):
        held.record(record(1), b"statement")


def test_records_outlive_floors_and_segments(tmp_path: Path) -> None:
    directory, identity = tmp_path / "wal", WalIdentity("dev-test", KEY.public)
    Wal.found(directory, identity)
    count = RECORDS_KEPT + 10
    assert count % 19 == 0
    with Wal.open(directory, identity, segment_bytes=4_096) as wal:
        for first in range(1, count + 1, 19):
            some = range(first, first + 19)
            wal.append([region_record_entry("ra", 1, seq, bytes(record(seq).id)) for seq in some])
            wal.trim(1, first)
        assert len(list(directory.glob("*.log"))) == 1, "older segments are gone"
    with Wal.open(directory, identity) as wal:
        recovery = wal.recovery
    assert [place[2] for place in recovery.region_records][-RECORDS_KEPT:] == list(range(11, count + 1))
    later = signer(recovery)
    assert later.record(record(count), b"statement")[1] is False
    with pytest.raises(GuardRefused):
        later.record(record(count - 5, root=1), b"statement")
