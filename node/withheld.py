"""A development switch: a producer that withholds its blocks, to show what the others do about it.

`[dev] withhold` names a file in the node's home. While it is there, the node makes and signs its proposals and sends
none, not even to itself. So the demo has a leader lose its turns without stopping a process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from consensus.messages import Message, Proposal


def withholding(file: Path | None, release: Callable[[Message], None]) -> Callable[[Message], None]:
    """`release` of own messages that are durable, less the proposals while `file` exists."""
    if file is None:
        return release

    def unless_withheld(message: Message) -> None:
        if not (isinstance(message, Proposal) and file.exists()):
            release(message)

    return unless_withheld
