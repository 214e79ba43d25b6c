"""What an engine does inside a block, beside due calls and transactions: `Application` asks it at fixed places.

Order in a block: `judge` (others' blocks only, and none that a quorum has certified), `begin`, due calls, transactions
(`refusal` before, `executed` after those of the contracts that it watches), `finish`. Everything but `judge` is a pure
function of the parent's state, the header without its roots, and the engine's section of the body, which `extra_root`
commits to. On the ledger thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consensus.engine import Verdict
from contracts.executor import BlockContext
from ledger.crypto import ZERO_HASH, Hash
from ledger.objects import Header, Receipt, Transaction
from ledger.state import Overlay, StateReader

BEHIND: Final = "SIBLING_BEHIND"
"""Reason of a MISSING section that speaks of what another chain of this process has not committed here yet: the check
waits for that chain (`node.siblings`)."""
LATER: Final = "LATER"
"""Refusal of a transaction whose turn has not come: a leader leaves it in its mempool, in another's block it fails."""


@dataclass(frozen=True, slots=True)
class EngineBlock:
    """The block at work. `header` has no roots yet; `section`: the engine's bytes of the body, may be empty.
    `parent_root`: of the state before it. `included`: its transactions so far, all of them in `finish`."""

    header: Header
    section: bytes
    context: BlockContext
    parent_root: Hash = ZERO_HASH
    included: Sequence[Transaction] = ()


@dataclass(frozen=True, slots=True)
class SectionVerdict:
    """What a voter says of a section before the block runs. MISSING: this node does not know yet. `reason`: a code."""

    verdict: Verdict
    reason: str = ""


VALID_SECTION = SectionVerdict(Verdict.VALID)


class EngineSide(Protocol):
    """See the module."""

    @property
    def watched(self) -> frozenset[str]:
        """Names of contracts whose transactions are shown to `refusal` and `executed`."""
        ...

    def section(self, parent: StateReader, header: Header, offered: Sequence[Transaction] = ()) -> bytes | None:
        """The section of an own block; None if there is to be no block now. `offered`: what may come into it."""
        ...

    def judge(self, parent: StateReader, header: Header, section: bytes) -> SectionVerdict:
        """Whether another's section is what this node would accept."""
        ...

    def begin(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """Before due calls."""
        ...

    def refusal(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> str:
        """Code with which a watched transaction fails without being run; "" to run it."""
        ...

    def executed(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> None:
        """A watched transaction succeeded."""
        ...

    def finish(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """After the transactions. At a boundary this names the next committee (`node.application.STATE_VALIDATORS`),
        in the order of its turns."""
        ...

    def next_due_ms(self, view: StateReader) -> int | None:
        """Block time at which the engine itself wants a block; None if it wants none."""
        ...


class PlainSide:
    """Engines that add nothing: `solo`, `bft`."""

    watched: frozenset[str] = frozenset()

    def section(self, parent: StateReader, header: Header, offered: Sequence[Transaction] = ()) -> bytes | None:
        """See `EngineSide`."""
        return b""

    def judge(self, parent: StateReader, header: Header, section: bytes) -> SectionVerdict:
        """See `EngineSide`."""
        return SectionVerdict(Verdict.INVALID, "SECTION") if section else VALID_SECTION

    def begin(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`."""
        return []

    def refusal(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> str:
        """See `EngineSide`."""
        return ""

    def executed(self, view: Overlay, transaction: Transaction, block: EngineBlock) -> None:
        """See `EngineSide`."""

    def finish(self, view: Overlay, block: EngineBlock) -> list[Receipt]:
        """See `EngineSide`."""
        return []

    def next_due_ms(self, view: StateReader) -> int | None:
        """See `EngineSide`."""
        return None
