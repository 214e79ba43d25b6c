"""What lets market C of a region trade with other regions: the contract `crossing`, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.executor import ENGINE_ADDRESS
from contracts.values import Value
from ledger.errors import GenesisError

CROSSING = "crossing"
"""Name of the instance."""
CALLS = ("registry", "token", "metering", "tariffs")


@dataclass(frozen=True, slots=True)
class Crossing:
    """A lock waits for at most `blocks` global blocks. `everybody`: members who did not choose take part."""

    blocks: int = 8
    everybody: bool = True

    def check(self, auction: bool) -> None:
        """Raise `GenesisError` for what no region can run on; `auction`: whether the market is market C."""
        if not auction:
            raise GenesisError(
                "only market C trades with other regions", expected="AuctionMode", found="another market",
                fix="leave the crossing away",
            )  # fmt: skip
        if not 0 < self.blocks < 2**32:
            raise GenesisError(
                "a lock waits for at least one global block", expected="1 .. 2^32 - 1", found=self.blocks,
                fix="correct the market section of the genesis document",
            )  # fmt: skip

    def arguments(self, market: str, slots: list[Value], late_slots: int) -> list[Value]:
        """Of the contract's `@init`. `slots`: slot_ms, slot0_ms."""
        return [ENGINE_ADDRESS, market, [*slots, late_slots], self.blocks, self.everybody]


def named(crossing: Crossing | None) -> list[str]:
    """The instance's name, for those whom it may call and who may call it."""
    return [] if crossing is None else [CROSSING]
