"""The self-test at the start of a node: what passed once in a home is not run again there until something changed.

A pass is remembered as the hash of the vector, of the code that it tests, and of the interpreter. It saves time and
proves nothing to anybody else: who can write a node's home can also change its code.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path
from typing import Final

import contracts
import ledger
from contracts.self_test import check_interpreter, self_test, vector_bytes

PASS_FILE: Final = "self_test.pass"


def self_test_once(home: Path) -> bool:
    """Make sure that this host may join, by a remembered pass or by running the self-test; True if it ran.
    Raise `ConfigError` (PYTHON_OPTIMIZED, PYTHON_IMPLEMENTATION, SELF_TEST, SELF_TEST_VECTOR)."""
    check_interpreter()
    fingerprint = code_fingerprint()
    if _remembered(home) == fingerprint:
        return False
    self_test()
    remember(home, fingerprint)
    return True


def remember(home: Path, fingerprint: str = "") -> None:
    """Note in a home that this host passed; no matter if it cannot be written, the test runs again then."""
    place = home / PASS_FILE
    part = place.with_suffix(".part")
    try:
        part.write_text((fingerprint or code_fingerprint()) + "\n", encoding="ascii")
        part.replace(place)
    except OSError:
        return


def _remembered(home: Path) -> str:
    try:
        return (home / PASS_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def code_fingerprint() -> str:
    """What a pass is good for (and a compiled contract): vector, sources of the rooms that both run through,
    interpreter."""
    digest = hashlib.sha256(vector_bytes())
    for room in (contracts, ledger):
        for place in sorted(Path(room.__file__ or "").parent.glob("*.py")):
            digest.update(hashlib.sha256(place.read_bytes()).digest())
    digest.update(f"{sys.version} {platform.machine()} {sys.implementation.cache_tag}".encode())
    return digest.hexdigest()
