"""What single operations of a node cost on this machine: the constants of simulated processors (`CpuModel`).

Each is measured on the code that nodes run, in processor time, in chunks; the best of some rounds counts, since
everything that disturbs a round only adds to it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contract_market import MEMBERS, BenchMarket, BlockCost
from bench.load import OrderSource
from bench.senders import sender_keys
from consensus.engine import Effect, Engine, Event, Millis
from consensus.messages import decode_message, encode_message
from consensus.sharded.turns import HIGHEST_TARGET, Lottery, search_ticket
from consensus.simulator.options import SeedOptions
from consensus.simulator.processor import CpuModel
from consensus.simulator.world import World
from ledger.certificates import Vote, VoteKind
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_BODY, DOMAIN_TRANSACTION, ZERO_HASH, SigningKey, hash_of, verify
from ledger.objects import BODY_VERSION, Body, decode_transaction
from ledger.store import open_store

ROUNDS: Final = 7
ORDERS: Final = 1_000
_CHAIN: Final = "bench-" + "0" * 32
_CHUNK: Final = 200
_NS: Final = 1_000_000_000


def measure_costs(say: Callable[[str], None], rounds: int = ROUNDS) -> CpuModel:
    """All constants; a few seconds. `rounds`: repeats of each, at least 1."""
    say("measuring what a node's operations cost")
    key = SigningKey(bytes(32))
    raws = OrderSource(_CHAIN, sender_keys(16, 7), 5).make(_CHUNK).transactions
    signature, message = key.sign(DOMAIN_TRANSACTION, raws[0]), raws[0]
    vote = Vote(VoteKind.NOTARIZE, 1, 1, bytes(32), 1, bytes(64))
    body = encode(Body(BODY_VERSION, raws))
    lottery = Lottery(_CHAIN, "region-0", 1, ZERO_HASH, HIGHEST_TARGET // 24)
    market = BenchMarket.found()
    blocks = _blocks(market, rounds)
    clearing = market.clearing_round()
    return CpuModel(
        verify_ns=_best(rounds, lambda: verify(key.public, DOMAIN_TRANSACTION, message, signature)),
        sign_ns=_best(rounds, lambda: key.sign(DOMAIN_TRANSACTION, message)),
        decode_ns=_best(rounds, lambda: decode_transaction(raws[0])),
        execute_ns=round(min(block.execute_s for block in blocks) * _NS / ORDERS),
        state_ns=round(min(block.state_s for block in blocks) * _NS / ORDERS),
        clear_ns=round(min(clearing.run() for _ in range(rounds)) * _NS / MEMBERS),
        commit_ns=round(min(block.commit_s for block in blocks) * _NS / ORDERS),
        turn_ns=min(_turn_ns(seed) for seed in range(max(1, rounds // 2))),
        message_ns=_best(rounds, lambda: decode_message(encode_message(vote))) // 2,
        kib_ns=_best(rounds, lambda: (hash_of(DOMAIN_BODY, body), decode(Body, body)), 20) * 1024 // len(body),
        ticket_ns=_best(rounds, lambda: search_ticket(lottery, bytes(key.public), 0, 100), 5) // 100,
        transaction_bytes=sum(map(len, raws)) // len(raws),
    )


def _best(rounds: int, operation: Callable[[], object], chunk: int = _CHUNK) -> int:
    """CPU time of one operation in ns, in the best of the rounds."""
    found: list[int] = []
    for _ in range(rounds):
        begun = time.process_time_ns()
        for _ in range(chunk):
            operation()
        found.append((time.process_time_ns() - begun) // chunk)
    return min(found)


def _blocks(market: BenchMarket, rounds: int) -> list[BlockCost]:
    """Blocks of orders, each written to a database of its own."""
    found = []
    with tempfile.TemporaryDirectory(prefix="gridchain-bench-") as folder:
        for number in range(rounds):
            store = open_store(Path(folder) / str(number))
            try:
                found.append(market.order_block(ORDERS, store))
            finally:
                store.close()
    return found


class _Stopwatch:
    """An engine, and the time that it was given events for."""

    def __init__(self, engine: Engine, tally: list[int]) -> None:
        self._engine = engine
        self._tally = tally

    def handle(self, event: Event, now: Millis) -> list[Effect]:
        """See `Engine`."""
        begun = time.process_time_ns()
        effects = self._engine.handle(event, now)
        self._tally.append(time.process_time_ns() - begun)
        return effects


class _Watched(World):
    """A simulated chain whose turns are timed. `turns`: ns of each."""

    def __init__(self, options: SeedOptions) -> None:
        self.turns: list[int] = []
        super().__init__(options)

    def new_engine(self, key: bytes) -> Engine:
        """See `World`."""
        return _Stopwatch(super().new_engine(key), self.turns)


def _turn_ns(seed: int) -> int:
    """The mean turn of the core in a chain of twelve, with signatures that cost next to nothing."""
    world = _Watched(SeedOptions(seed, nodes=12, delay_ms=20))
    world.begin()
    while world.step(3_000):
        pass
    return sum(world.turns) // len(world.turns)
