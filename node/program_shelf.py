"""Compiled contracts of the library, kept beside their sources as Python keeps its modules (`__pycache__`, ADR 0270).

A network's dozen contracts take a node more processor time to compile than all else at its start. What lies there is
good for one source, one state of the compiler and one interpreter, and is trusted as the package's own files are.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import contracts
import ledger
from contracts.compile import keep_programs
from contracts.library_sources import library_names, library_source
from ledger.crypto import Hash, sha256
from node.self_test import code_fingerprint

SETTLED_S: Final = 60.0
"""Files of the package that are younger may not be those that this process has loaded: it keeps nothing then."""
_HASH: Final = 32


class ProgramShelf:
    """One file a contract under `folder`: the hash of what the rest is good for and of the rest, then the program.

    `names`: what is kept, by the source's hash. `writes`: whether programs are added.
    """

    def __init__(self, folder: Path, fingerprint: str, names: Mapping[Hash, str], *, writes: bool) -> None:
        self._folder = folder
        self._fingerprint = fingerprint.encode("ascii")
        self._names = names
        self._writes = writes

    def keeps(self, digest: Hash) -> bool:
        """Whether a source is one of the library."""
        return digest in self._names

    def find(self, digest: Hash) -> bytes | None:
        """The kept program of a source; None if there is none of this code, or the file is damaged."""
        try:
            raw = self._place(digest).read_bytes()
        except OSError:
            return None
        body = raw[_HASH:]
        return body if raw[:_HASH] == self._seal(digest, body) else None

    def put(self, digest: Hash, raw: bytes) -> None:
        """Keep a program, unless this folder cannot be written."""
        if not self._writes:
            return
        place = self._place(digest)
        part = place.with_suffix(f".{os.getpid()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(self._seal(digest, raw) + raw)
            part.replace(place)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _place(self, digest: Hash) -> Path:
        """Where Python would keep the module of this name, with another ending."""
        return Path(importlib.util.cache_from_source(str(self._folder / f"{self._names[digest]}.py"))).with_suffix(
            ".program"
        )

    def _seal(self, digest: Hash, body: bytes) -> bytes:
        return sha256(self._fingerprint + digest + body)


def shelve_library() -> None:
    """Have this process take the contracts of the library from where an earlier one left them, compiled, and leave
    there what it compiles itself. Nothing is left where Python leaves no modules, or while the package is changing."""
    folder = Path(contracts.__file__ or "").parent
    names = {sha256(library_source(name).encode("utf-8")): name for name in library_names()}
    settled = time.time() - newest((folder, Path(ledger.__file__ or "").parent)) > SETTLED_S
    writes = settled and not sys.dont_write_bytecode
    keep_programs(ProgramShelf(folder / "library", code_fingerprint(), names, writes=writes))


def newest(folders: Sequence[Path]) -> float:
    """When the youngest source file of these folders was written, in seconds since 1970."""
    return max(place.stat().st_mtime for folder in folders for place in folder.glob("*.py"))
