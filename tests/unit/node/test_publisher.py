"""Rule 0: nothing signed leaves before it is durable; one sync per batch; a full disk is waited out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consensus.engine import (
    EpochStart,
    LiftHold,
    LogCertificate,
    SetHold,
    SignComplaint,
    SignProposal,
    SignVote,
    StoredBlock,
)
from consensus.messages import Complaint, ComplaintReason, Message, Proposal
from ledger.certificates import Certificate, Vote, VoteKind
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash, SigningKey
from ledger.objects import Header, header_hash
from ledger.validators import Validator, ValidatorSet
from node import publisher as publisher_module
from node.disk import DiskFile, SystemDisk
from node.log import node_logger
from node.metrics import Metrics
from node.publisher import Publisher
from node.signer import Signer
from node.tasks import task_scope
from node.wal import Wal
from node.wal_format import WalIdentity

KEY = SigningKey(b"\x07" * 32)
CHAIN = "dev-publish-00"
COMMITTEE = ValidatorSet((Validator("own", KEY.public),))
IDENTITY = WalIdentity(CHAIN, KEY.public)
ZERO = bytes(32)

pytestmark = pytest.mark.asyncio


def header(view: int) -> Header:
    own = COMMITTEE.hash
    return Header(1, CHAIN, 1, view, view, 10, ZERO, 0, False, ZERO, 0, ZERO, ZERO, own, own, ZERO, KEY.public)


def block(view: int) -> StoredBlock:
    raw = encode(header(view))
    return StoredBlock(header_hash(raw), raw, b"body")


class Disk:
    """A disk that can be full, and that says what was durable when."""

    full = False
    syncs = 0

    def __init__(self, path: Path) -> None:
        self._file = DiskFile(path)

    def write(self, offset: int, data: bytes) -> None:
        if Disk.full:
            raise OSError(28, "No space left on device")
        self._file.write(offset, data)

    def sync(self) -> None:
        self._file.sync()
        Disk.syncs += 1

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


class World:
    def __init__(self, publisher: Publisher, signer: Signer, directory: Path) -> None:
        self.publisher = publisher
        self.signer = signer
        self.directory = directory
        self.sent: list[Message] = []

    async def settled(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0.005)
            if not self.publisher._jobs and not self.publisher._waiting.is_set():
                await asyncio.sleep(0.02)
                return

    def durable(self) -> tuple[Vote, ...]:
        with Wal.open(self.directory, IDENTITY) as wal:
            return wal.recovery.votes


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    Disk.full = False
    if not directory.exists():
        Wal.found(directory, IDENTITY)
    with Wal.open(directory, IDENTITY, disk=SystemDisk(Disk)) as wal, ThreadPoolExecutor(1) as thread:
        Disk.syncs = 0  # those of opening do not count
        signer = Signer(KEY, CHAIN, wal.recovery, wal.hold_reason)
        signer.begin_epoch(EpochStart(1, header(1), Hash(ZERO), COMMITTEE, (0,)))
        made: list[World] = []
        publisher = Publisher(
            signer, wal, thread, Metrics("test"), node_logger("test"), lambda message: made[0].sent.append(message)
        )
        made.append(World(publisher, signer, directory))
        async with task_scope() as tasks:
            tasks.spawn(publisher.run(), name="publisher")
            yield made[0]


async def test_records_of_a_turn_share_a_sync_and_leave_in_order(tmp_path: Path) -> None:
    async with world(tmp_path / "wal") as here:
        certificate = Certificate(VoteKind.NOTARIZE, 1, 1, ZERO, (0,), (bytes(64),))
        here.publisher.take(
            [
                LogCertificate(certificate),
                SignProposal(1, 2, block(2), (), (), b"", ()),
                SignVote(VoteKind.FINALIZE, 1, 2, block(2).hash),
            ]
        )
        assert here.sent == []
        assert Disk.syncs == 0, "nothing waits for the disk in the turn itself"
        await here.settled()
        assert Disk.syncs == 1
        assert [type(message) for message in here.sent] == [Proposal, Vote]
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert wal.recovery.certificates == (certificate,)
        assert [stored.hash for stored in wal.recovery.blocks] == [block(2).hash]
        assert len(wal.recovery.proposals) == len(wal.recovery.votes) == 1


async def test_a_certificate_alone_waits_for_the_next_sync(tmp_path: Path) -> None:
    async with world(tmp_path / "wal") as here:
        here.publisher.take([LogCertificate(Certificate(VoteKind.NULLIFY, 1, 1, ZERO, (0,), (bytes(64),)))])
        await here.settled()
        assert Disk.syncs == 0
        here.publisher.take([SignVote(VoteKind.NULLIFY, 1, 2, ZERO_HASH)])
        await here.settled()
        assert Disk.syncs == 1


async def test_while_the_disk_is_full_nothing_leaves_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "RETRY_S", 0.02)
    async with world(tmp_path / "wal") as here:
        Disk.full = True
        for view in (1, 2, 3):
            here.publisher.take([SignVote(VoteKind.NULLIFY, 1, view, ZERO_HASH)])
        await asyncio.sleep(0.1)
        assert here.sent == []
        assert "No space" in here.publisher.trouble
        Disk.full = False
        await asyncio.sleep(0.1)
        assert [message.view for message in here.sent if isinstance(message, Vote)] == [1, 2, 3]
        assert here.publisher.trouble == ""
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert [vote.view for vote in wal.recovery.votes] == [1, 2, 3]


async def test_a_contradiction_stops_the_signer_for_good(tmp_path: Path) -> None:
    async with world(tmp_path / "wal") as here:
        here.publisher.take([SignVote(VoteKind.NOTARIZE, 1, 1, block(1).hash, block(1))])
        here.publisher.take([SignVote(VoteKind.NOTARIZE, 1, 1, block(2).hash, block(2))])
        here.publisher.take([SignVote(VoteKind.NULLIFY, 1, 2, ZERO_HASH)])
        await here.settled()
        assert len(here.sent) == 1
        assert here.signer.stopped.startswith("double-sign-guard")


async def test_hold_and_lift_are_durable_in_order(tmp_path: Path) -> None:
    async with world(tmp_path / "wal") as here:
        here.publisher.take([SetHold("a peer has a vote of ours that we lack")])
        await here.settled()
        assert here.publisher.hold_reason
    async with world(tmp_path / "wal") as here:
        assert here.signer.held
        here.publisher.take([LiftHold(1, 5)])
        here.publisher.take([SignVote(VoteKind.NULLIFY, 1, 6, ZERO_HASH)])
        await here.settled()
        assert here.publisher.hold_reason == ""
        assert [message.view for message in here.sent if isinstance(message, Vote)] == [6]
    with Wal.open(tmp_path / "wal", IDENTITY) as wal:
        assert wal.recovery.floor == (1, 5)
        assert not wal.recovery.held


async def test_a_complaint_leaves_when_it_is_durable_and_no_other_follows_in_a_later_life(tmp_path: Path) -> None:
    said = SignComplaint(1, 1, block(1).hash, ComplaintReason.INVALID)
    async with world(tmp_path / "wal") as here:
        Disk.full = True
        here.publisher.take([said])
        await asyncio.sleep(0.05)
        assert here.sent == []
        Disk.full = False
        await asyncio.sleep(publisher_module.RETRY_S + 0.2)
        first = here.sent
        assert [type(message) for message in first] == [Complaint]
        assert Disk.syncs == 1
    async with world(tmp_path / "wal") as here:
        here.publisher.take([said])
        await here.settled()
        assert here.sent == first, "the same bytes are no contradiction"
        here.publisher.take([SignComplaint(1, 1, block(2).hash, ComplaintReason.TIMEOUT)])
        await here.settled()
        assert here.sent == first
        assert here.signer.stopped.startswith("double-sign-guard")
