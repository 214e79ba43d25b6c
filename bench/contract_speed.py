"""`gridchain bench contracts`: what contract execution costs, as ratios that mean the same on every machine.

Three figures: one `submit_order` (its `Executor.execute`, without signature and store) and the clearing of 100 asks
against 100 bids, both in libsodium verifications; and integer loops in times of plain CPython. Every round measures a
verification or the plain loop beside the subject, so that a slow moment of the machine slows both; a ratio is taken
within its round, and the median over the rounds is reported with its quartiles. CPU time only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.contract_market import BenchMarket
from bench.loop_programs import LOOPS, plain_loop, solo_loop
from ledger.crypto import DOMAIN_TRANSACTION, SigningKey, verify

ORDERS_PER_ROUND: Final = 2_000
VERIFIES_PER_ROUND: Final = 200
GOALS: Final = {"submit_order": 0.2, "match_100x100": 65.0, "loops": 3.0}
"""Issue 4: at most so many verifications, verifications, and times plain CPython."""
_MESSAGE: Final = bytes(200)


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio over several rounds, and the CPU time of one operation in the best round, in microseconds."""

    median: float
    low: float
    high: float
    best_us: float

    @classmethod
    def of(cls, ratios: Sequence[float], seconds: Sequence[float]) -> Figure:
        """Median and quartiles of the ratios of all rounds."""
        low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        return cls(median, low, high, min(seconds) * 1e6)

    def document(self) -> dict[str, float]:
        """The figure as JSON."""
        return {"ratio": self.median, "low": self.low, "high": self.high, "best_us": self.best_us}


def run_contract_bench(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; the document that `--json` prints. `rounds`: repeats of each figure, at least 1."""
    say("founding a market of 200 members in memory")
    market = BenchMarket.found()
    say("submit_order")
    submit, verify_s = _against_verify(market.order_round(ORDERS_PER_ROUND), ORDERS_PER_ROUND, rounds)
    say("clearing 100 asks against 100 bids")
    clearing = market.clearing_round()
    match, more = _against_verify(clearing.run, 1, rounds)
    say("integer loops")
    loops = {name: _loop(name, rounds) for name in LOOPS}
    return {
        "rounds": rounds,
        "verify_us": min(verify_s + more) * 1e6,
        "submit_order": submit.document() | {"gas": market.order_gas},
        "match_100x100": match.document() | {"gas": clearing.gas, "trades": clearing.trades},
        "loops": {name: figure.document() for name, figure in loops.items()},
        "loops_worst": max(figure.median for figure in loops.values()),
        "goals": GOALS,
    }


def _against_verify(subject: Callable[[], float], operations: int, rounds: int) -> tuple[Figure, list[float]]:
    """CPU of one operation of `subject`, which returns the CPU seconds of `operations`, over that of a verification
    measured before and after it."""
    check = _verifier()
    subject()
    check()
    ratios, seconds, checks = [], [], []
    for _ in range(rounds):
        before = check()
        used = subject() / operations
        checks.append((before + check()) / 2)
        seconds.append(used)
        ratios.append(used / checks[-1])
    return Figure.of(ratios, seconds), checks


def _verifier() -> Callable[[], float]:
    """A function that measures the CPU seconds of one libsodium verification."""
    key = SigningKey(bytes(32))
    signature = key.sign(DOMAIN_TRANSACTION, _MESSAGE)

    def check() -> float:
        begun = time.process_time()
        for _ in range(VERIFIES_PER_ROUND):
            if not verify(key.public, DOMAIN_TRANSACTION, _MESSAGE, signature):
                raise AssertionError("a good signature did not verify")
        return (time.process_time() - begun) / VERIFIES_PER_ROUND

    return check


def _loop(name: str, rounds: int) -> Figure:
    """A loop under the contract runtime over the same source under plain CPython, in turns."""
    plain, solo = plain_loop(name), solo_loop(name)
    if plain() != solo():
        raise AssertionError(f"{name} gives another value under plain CPython")
    ratios, seconds = [], []
    for _ in range(rounds):
        own = _timed(solo)
        bare = _timed(plain)
        seconds.append(own)
        ratios.append(own / bare)
    return Figure.of(ratios, seconds)


def _timed(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def table(document: dict[str, Any]) -> list[str]:
    """The document as lines for people."""
    goals = document["goals"]
    lines = [f"one signature check {document['verify_us']:.1f} us; median of {document['rounds']} rounds, quartiles"]
    lines.append(_line("submit_order", document["submit_order"], "checks", goals["submit_order"]))
    lines.append(_line("match 100x100", document["match_100x100"], "checks", goals["match_100x100"]))
    for name, figure in document["loops"].items():
        lines.append(_line(f"loop {name}", figure, "x CPython", goals["loops"]))
    return lines


def _line(name: str, figure: dict[str, float], unit: str, goal: float) -> str:
    verdict = "ok" if figure["ratio"] <= goal else "MISSED"
    return (
        f"{name:18} {figure['ratio']:8.3f} {unit:9} ({figure['low']:.3f} to {figure['high']:.3f}), "
        f"goal {goal:g}: {verdict}, {figure['best_us']:.1f} us"
    )
