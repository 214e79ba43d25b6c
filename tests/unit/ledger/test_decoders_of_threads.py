"""A decoder is made once; who asks for it meanwhile waits. In a process of its own: without the lock it dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ledger

PROGRAM = """
import threading
from ledger import codec

building, go_on = threading.Event(), threading.Event()

def slowly(kind):
    building.set()
    assert go_on.wait(20)
    return kind

class Part(codec.Wire):
    data: "slowly(bytes)"

class Whole(codec.Wire):
    number: int
    part: Part

found = []
ask = {ask}
first, second = (threading.Thread(target=lambda: found.append(ask())) for _ in range(2))
first.start()
assert building.wait(20)
second.start()
second.join(0.1)
go_on.set()
first.join()
second.join()
assert found == [Whole(7, Part(b"x"))] * 2, found
"""


@pytest.mark.parametrize(
    "ask",
    [
        'lambda raw=codec.encode([7, [b"x"]]): codec.decode(Whole, raw)',
        'lambda: codec.convert(Whole, [7, [b"x"]])',
    ],
)
def test_a_thread_that_decodes_while_another_makes_the_decoder_waits(ask: str) -> None:
    words = [sys.executable, "-X", "faulthandler", "-c", PROGRAM.replace("{ask}", ask)]
    done = subprocess.run(
        words, cwd=Path(ledger.__file__).parents[1], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
