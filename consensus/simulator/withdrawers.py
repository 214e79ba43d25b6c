"""Who takes money out in a simulated network: some centres their rewards, members without a seat their deposits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from consensus.sharded.global_state import GlobalState, Source, Withdrawal
from consensus.sharded.withdrawals import held_for, withdrawal_bytes, withdrawal_fault
from consensus.simulator.global_application import entry_bytes
from consensus.simulator.scheme import mock_sign

if TYPE_CHECKING:
    from consensus.simulator.sharded import ShardedWorld

EVERY: Final = 4
"""Global blocks from one look to the next."""


class Withdrawers:
    """Every second key, by its first byte, wants its reward; whoever may have its deposit back wants that. The last
    order that took effect is sent again each time: it must do nothing."""

    def __init__(self, hub: ShardedWorld) -> None:
        self._hub = hub
        self._said: dict[bytes, Withdrawal] = {}

    def after(self, state: GlobalState) -> None:
        """A global block is final."""
        if state.height % EVERY:
            return
        for order in self._said.values():
            self._hub.tell_centres(entry_bytes(order))
        for key in sorted({*state.rewards, *state.deposits}):
            if held_for(state, key, Source.DEPOSIT) or (key[0] % 2 and held_for(state, key, Source.REWARD)):
                self._order(state, key)

    def _order(self, state: GlobalState, key: bytes) -> None:
        context = self._hub.centres.context
        region = self._hub.regions[state.height // EVERY % len(self._hub.regions)]
        number = state.withdrawals.get(key, 0)
        for source in Source:
            bare = Withdrawal(key, number, source, region.name, region.accounts[0], bytes(64))
            signature = mock_sign(key, withdrawal_bytes(context.chain_id, bare))
            order = msgspec.structs.replace(bare, signature=signature)
            if not withdrawal_fault(context, state, order):
                self._said[key] = order
                self._hub.tell_centres(entry_bytes(order))
                return
