"""The address book between two lives: where the others were, so that no seed need be up when a node comes back.

Records are signed by the nodes they are about; a file that is damaged is worth nothing and is ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.codec import decode, encode
from ledger.errors import DecodeError
from node.disk import write_durably

MAX_BYTES: Final = 4 * 1024 * 1024


def load_addresses(path: Path) -> tuple[bytes, ...]:
    """The signed records of the last life; none if there are none."""
    try:
        return tuple(decode(list[bytes], path.read_bytes(), limit=MAX_BYTES))
    except (OSError, DecodeError):
        return ()


def save_addresses(path: Path, records: list[bytes]) -> None:
    """Replace the file. Raise `OSError`."""
    write_durably(path, encode(records))
