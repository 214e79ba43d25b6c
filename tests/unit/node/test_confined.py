"""A child process with limits: answers come back whole, and every way to end without one is told."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from contracts import solo_run
from node.cli import contract
from node.cli.confined import Died, confined

MIB = 1024 * 1024


def test_an_answer_of_any_size_comes_back() -> None:
    for size in (0, 1, 70_000, 3 * MIB):
        assert confined(lambda size=size: b"x" * size, 64 * MIB, 10) == b"x" * size


def forever() -> bytes:
    while True:
        pass


def hungry() -> bytes:
    kept = [bytearray(MIB)]
    while True:
        kept.append(bytearray(MIB))


def killed() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b"never"


def left() -> bytes:
    sys.exit(3)


@pytest.mark.parametrize(
    ("work", "end"),
    [
        (forever, Died(signal.SIGXCPU, 0)),
        (hungry, Died(0, 70)),
        (killed, Died(signal.SIGKILL, 0)),
        (left, Died(0, 70)),
    ],
)
def test_a_child_that_dies_is_told(work, end: Died) -> None:
    found = confined(work, 64 * MIB, 1)
    assert found == end
    assert isinstance(found, Died)
    assert found.reason


def test_limits_hold_in_the_child_only() -> None:
    import resource

    before = [resource.getrlimit(which) for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
    inside = confined(lambda: json.dumps(resource.getrlimit(resource.RLIMIT_CPU)[0]).encode(), MIB, 7)
    assert inside == b"7"
    assert [resource.getrlimit(which) for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU)] == before


def test_run_tells_a_killed_process_as_an_outcome(tmp_path, capsys, monkeypatch) -> None:
    file = tmp_path / "source.py"
    file.write_text("def main():\n    return 1\n")
    monkeypatch.setattr(contract, "run_solo", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    contract.run(file, "main", as_json=True)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "status": "reverted", "value": None, "code": "Internal", "line": 1, "gas": solo_run.SOLO_GAS,
    }  # fmt: skip
    assert "please report" in shown.err
