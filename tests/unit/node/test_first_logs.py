"""The first log of a chain that begins later, and one that was lost."""

from __future__ import annotations

import shutil
from pathlib import Path

from node.disk import SystemDisk
from node.first_logs import FOUNDED, LostList, begin_list, found_first
from node.wal import Wal
from node.wal_format import WalIdentity

IDENTITY = WalIdentity("dev-shards-north-00", b"k" * 32)
DISK = SystemDisk()


def held(log: Path) -> str:
    with Wal.open(log, IDENTITY) as wal:
        return wal.hold_reason


def test_a_new_chains_log_is_founded_once_and_a_lost_one_holds(tmp_path: Path) -> None:
    begin_list(tmp_path)
    log = tmp_path / "north.2"
    assert found_first(log, IDENTITY, DISK)
    assert held(log) == ""
    assert found_first(log, IDENTITY, DISK), "it is there"
    shutil.rmtree(log)
    assert not found_first(log, IDENTITY, DISK)
    assert held(log).startswith("WAL_MISSING")
    assert found_first(tmp_path / "north.3", IDENTITY, DISK), "another chain's log was never lost"


def test_where_nobody_knows_what_was_signed_a_new_log_holds(tmp_path: Path) -> None:
    log = tmp_path / "north.2"
    assert not found_first(log, IDENTITY, DISK)
    assert held(log).startswith("WAL_MISSING")


def test_a_crash_while_the_log_is_founded_does_not_hold(tmp_path: Path) -> None:
    begin_list(tmp_path)
    log = tmp_path / "north.2"
    log.mkdir()
    (log / "000000000001.log").write_bytes(b"torn")
    assert found_first(log, IDENTITY, DISK)
    assert held(log) == ""
    (tmp_path / FOUNDED).write_bytes(b"")  # the crash came before the list was durable
    assert found_first(log, IDENTITY, DISK)
    assert held(log) == ""


def test_who_may_vote_again_after_a_lost_disk_founds_the_logs_of_chains_that_begin_later(tmp_path: Path) -> None:
    lost = LostList(tmp_path, DISK)
    assert lost.missing
    lost.begin_again(["north.3", "north.2"])
    assert not LostList(tmp_path, DISK).missing
    assert not found_first(tmp_path / "north.3", IDENTITY, DISK)
    assert found_first(tmp_path / "north.4", IDENTITY, DISK)
    assert held(tmp_path / "north.4") == ""
