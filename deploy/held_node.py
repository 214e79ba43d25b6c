"""A node's process before its network exists: it loads everything, says what that took, and waits for the word.

    python -m deploy.held_node HOME PARENT CONTRACT,CONTRACT,...

It prints one JSON line, a `Loading`, on standard output and reads one from standard input: environment variables. Then
it is `gridchain node run HOME`, with its output where its errors go. End of input instead of a line: nobody needs it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import msgspec

WORK: Final = 80
"""How many programs of the self-test are the fixed piece of work by which processors are compared."""


class Loading(msgspec.Struct, frozen=True):
    """Processor milliseconds that a process has used until it had loaded everything; `work_ms` of them for `WORK`."""

    cpu_ms: int
    work_ms: int


def load(contracts: Sequence[str]) -> Loading:
    """Import a node and compile these contracts of the library."""
    from contracts.compile import compile_source
    from contracts.library_sources import library_source
    from contracts.self_test import check_programs, read_vector, vector_bytes
    from node.program_shelf import shelve_library

    import_module("node.cli.node_run")
    begun = time.process_time()
    check_programs(read_vector(vector_bytes())[:WORK])
    work_ms = int((time.process_time() - begun) * 1000)
    shelve_library()
    for name in contracts:
        compile_source(library_source(name))
    return Loading(int(time.process_time() * 1000), work_ms)


def main(arguments: Sequence[str]) -> None:
    """Load, wait, run. `arguments`: the home, the parent's process id, contracts with commas."""
    from node.lifeline import die_with

    home, parent, contracts = arguments
    die_with(int(parent))
    loading = load([name for name in contracts.split(",") if name])
    sys.stdout.buffer.write(msgspec.json.encode(loading) + b"\n")
    sys.stdout.flush()
    word = sys.stdin.buffer.readline()
    if not word:
        return
    os.environ.update(msgspec.json.decode(word, type=dict[str, str]))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from deploy.main import main as gridchain

    sys.argv = ["gridchain", "node", "run", home, "--die-with", parent]
    gridchain()


if __name__ == "__main__":
    main(sys.argv[1:])
