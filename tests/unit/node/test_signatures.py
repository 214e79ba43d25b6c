"""Signature checks by threads and by their processes: equal answers, and a lost process costs nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import node.signatures
from ledger.crypto import SigningKey
from ledger.objects import Transaction, TransactionBody, decode_transaction, sign_transaction
from node.metrics import Metrics
from node.signatures import CheckingProcess, ProcessLost, SignatureChecks

KEY = SigningKey(bytes(range(32)))


def made(nonce: int, *, broken: bool = False, size: int = 1) -> Transaction:
    body = TransactionBody(1, "dev-signatures", KEY.public, nonce, "market", "order", bytes(size), 1_000)
    raw = sign_transaction(body, KEY)
    return decode_transaction(raw[:-1] + bytes([raw[-1] ^ broken]))


def checked(metrics: Metrics) -> int:
    return int(metrics.verifications._value.get())


@pytest.mark.asyncio
@pytest.mark.parametrize("processes", [True, False])
async def test_exactly_the_good_ones_come_back(processes: bool) -> None:
    metrics = Metrics("test")
    with SignatureChecks.open(2, metrics, processes=processes) as signatures:
        chunks = [[made(n, broken=n % 7 == 3) for n in range(start, start + 20)] for start in range(0, 100, 20)]
        answers = [await signatures.check(chunk) for chunk in chunks]
        for chunk, good in zip(chunks, answers, strict=True):
            assert set(good) == {t.id for t in chunk if t.body.nonce % 7 != 3}
            assert all(good[t.id].value is t for t in chunk if t.id in good)
        assert await signatures.check([]) == {}
    assert checked(metrics) == 100
    assert metrics.stage_times()["verify"][1] == 100


@pytest.mark.asyncio
async def test_requests_larger_than_a_pipe_pass() -> None:
    with SignatureChecks.open(1, Metrics("test"), processes=True) as signatures:
        chunk = [made(n, size=90_000) for n in range(20)]
        assert len(await signatures.check(chunk)) == 20


@pytest.mark.asyncio
async def test_after_a_process_was_killed_its_thread_checks_itself() -> None:
    metrics = Metrics("test")
    with SignatureChecks.open(1, metrics, processes=True) as signatures:
        first = [made(n) for n in range(4)]
        assert len(await signatures.check(first)) == 4
        process = signatures._idle.get_nowait()
        os.kill(process.pid, signal.SIGKILL)
        signatures._idle.put(process)
        second = [made(n, broken=n == 5) for n in range(4, 8)]
        assert set(await signatures.check(second)) == {t.id for t in second if t.body.nonce != 5}
        assert signatures._idle.empty()
        assert len(await signatures.check(first)) == 4
    assert checked(metrics) == 12


def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.signatures, "PATIENCE_S", 0.2)
    process = CheckingProcess()
    try:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(ProcessLost, match="no answer"):
            process.check([made(1)])
    finally:
        process.close()
    assert not Path(f"/proc/{process.pid}").exists()


def test_a_killed_node_leaves_no_process_behind() -> None:
    program = (
        "import sys; from node.signatures import CheckingProcess; p = CheckingProcess(); p.check([]);"
        "print(p.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    until = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
