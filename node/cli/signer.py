"""The key that a command signs with: its file, and the passphrase from the options or else from the terminal.

`node.keys` is imported when a key is asked for: commands about contract files need none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.output import ask_passphrase

if TYPE_CHECKING:
    from ledger.crypto import SigningKey
    from node.keys import PassphraseSource


def passphrase_of(file: Path | None, fd: int | None) -> PassphraseSource:
    """Where the passphrase of an existing key comes from; `file` and `fd` are the options' values."""
    from node.keys import PassphraseSource

    return PassphraseSource(file, fd, prompt=ask_passphrase)


def signer_of(key: Path, file: Path | None, fd: int | None) -> SigningKey:
    """The key in the file `key`. Raise `ConfigError` if it cannot be read or opened."""
    from node.keys import load_key

    return load_key(key, passphrase_of(file, fd))
