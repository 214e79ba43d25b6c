"""The whole state of a chain at one height, in a file: a stream of MessagePack objects.

    ["gridchain-state", 1]  genesis summary  header  [key, value]*  nil

The header certifies the rows: they hash to its state root, and the genesis summary to its chain id. Who believes the
header's hash may therefore take the file from anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.crypto import Hash
from ledger.errors import ConfigError, DecodeError
from ledger.genesis import GenesisSummary
from ledger.objects import Header, decode_header, header_hash
from ledger.schema import DB_STATE
from ledger.state import Overlay, StateBase
from ledger.store import MemoryStore
from ledger.succession import decode_summary

MARK: Final = ["gridchain-state", 1]
_PAGE: Final = 1_024
_LONGEST: Final = 64 * 1024 * 1024
"""Of one object of the stream."""


@dataclass(frozen=True, slots=True)
class ExportedState:
    """A state whose rows were checked. `rows`: by state key, ascending; `block`: the hash of the header."""

    genesis: GenesisSummary
    header: Header
    block: Hash
    rows: dict[bytes, bytes]

    def store(self) -> MemoryStore:
        """The rows as a store that `StateBase` reads; without tree, so it tells no root."""
        return MemoryStore({DB_STATE + key: value for key, value in self.rows.items()})


def write_export(chain: ChainStore, path: Path) -> tuple[Header, int]:
    """Write the state at the head of a chain; its header and the number of rows. Raise `ConfigError` (NO_FILE)."""
    header_bytes = chain.header_bytes(chain.height) or b""
    pack, count = msgpack.Packer().pack, 0
    try:
        with path.open("wb") as file:
            for part in (MARK, encode(chain.genesis), header_bytes):
                file.write(pack(part))
            for row in _rows(chain):
                file.write(pack(row))
                count += 1
            file.write(pack(None))
    except OSError as error:
        raise _no_file("written", path, error) from None
    return decode_header(header_bytes), count


def _rows(chain: ChainStore) -> Iterator[tuple[bytes, bytes]]:
    state, after = chain.state(), None
    while page := state.scan(b"", after, _PAGE):
        yield from page
        after = page[-1][0]


def read_export(path: Path) -> ExportedState:
    """Read a file and check it. Raise `ConfigError` (NO_FILE), `DecodeError` (BAD_EXPORT) for one that is cut off,
    changed, or none."""
    try:
        with path.open("rb") as file:
            found = _read(msgpack.Unpacker(file, use_list=True, max_buffer_size=_LONGEST, strict_map_key=True))
    except OSError as error:
        raise _no_file("read", path, error) from None
    except (msgpack.UnpackException, msgpack.FormatError, ValueError) as error:
        raise _bad("a stream of MessagePack objects", f"{path}: {error or 'its end'}") from None
    view = Overlay(StateBase(MemoryStore()))
    for key, value in found.rows.items():
        view.put(key, value)
    root = view.seal()
    if root != found.header.state_root:
        raise _bad(f"state root {found.header.state_root.hex()}", root.hex())
    return found


def _read(parts: Any) -> ExportedState:
    mark = parts.unpack()
    if mark != MARK:
        raise _bad(f"{MARK} first", repr(mark)[:80])
    summary, header_bytes = _bytes(parts.unpack()), _bytes(parts.unpack())
    genesis, header = decode_summary(summary, limit=_LONGEST), decode_header(header_bytes)
    if header.chain_id != genesis.chain_id:
        raise _bad(f"chain {genesis.chain_id}", header.chain_id)
    rows: dict[bytes, bytes] = {}
    while (row := parts.unpack()) is not None:
        if not isinstance(row, list) or len(row) != 2:
            raise _bad("[key, value]", repr(row)[:80])
        rows[_bytes(row[0])] = _bytes(row[1])
    return ExportedState(genesis, header, header_hash(header_bytes), rows)


def _bytes(part: object) -> bytes:
    if not isinstance(part, bytes):
        raise _bad("bytes", repr(part)[:80])
    return part


def _bad(expected: str, found: str) -> DecodeError:
    return DecodeError(
        "this is no export of a state", code="BAD_EXPORT", expected=expected, found=found,
        fix="write it with `gridchain db export`",
    )  # fmt: skip


def _no_file(what: str, path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"the export cannot be {what}", code="NO_FILE", expected=f"a file that can be {what}",
        found=f"{path}: {error.strerror}", fix="choose another place",
    )  # fmt: skip
