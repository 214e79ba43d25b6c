"""Market C, figure 3: how many of a council are malicious when members keep turning, with and without score control.

A round: honest members turn with a chance; a council is elected; its members announce digests (honest ones the true
one, all malicious ones the same false one) and the published round counts them; who deviates from the digest of more
than half is barred for K elections; then everybody trades, and scores follow. Without control the council is drawn by
lot and nobody is barred. Two readings of what the publication leaves open: a barred member comes back honest, or
turning is for ever. Draws by the reference generator: same options and seed, same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from consensus.composite_score import DEFAULT_ALPHA, composite_scores
from consensus.election import elect
from consensus.published_round import published_round
from ledger.draws import ONE, draw, hit, uniform
from ledger.errors import ConfigError

READINGS: Final = ("returns-honest", "for-ever", "control")
"""Score control with either reading of recovery, and no score control at all."""
_TRUE, _FALSE = b"true", b"false"


@dataclass(frozen=True, slots=True)
class MaliciousOptions:
    """Sizes and chances (ppm). `initial`: malicious before the first round. `trade_wh`: bounds of a trade of each node
    and round. `honest_off`: an honest node's largest deviation; `delivered`: bounds of what a malicious one delivers.
    """

    nodes: int = 150
    seats: int = 50
    rounds: int = 24
    conversion: int = 100_000
    initial: int = 0
    bar_elections: int = 3
    alpha: int = DEFAULT_ALPHA
    trade_wh: tuple[int, int] = (1_000, 5_000)
    honest_off: int = 50_000
    delivered: tuple[int, int] = (300_000, 700_000)

    def __post_init__(self) -> None:
        if not 1 <= self.seats <= self.nodes <= 1_000 or not 1 <= self.rounds <= 1_000:
            found = f"{self.nodes} nodes, {self.seats} agents, {self.rounds} rounds"
            expected = "1 <= agents <= nodes <= 1000, 1 to 1000 rounds"
            fix = "give --agents at most --nodes"
            raise ConfigError(
                "sizes that this run cannot have", code="BAD_OPTION", expected=expected, found=found, fix=fix
            )


@dataclass(frozen=True, slots=True)
class Round:
    """After the election of a round: malicious shares of the population and of the queue in ppm, and whether a false
    block stood in it."""

    population: int
    queue: int
    false_block: bool


class _Town:
    """Members by number. `malicious`; `barred`: elections still to miss."""

    def __init__(self, options: MaliciousOptions, seed: int, reading: str) -> None:
        self.options = options
        self.seed = seed
        self.reading = reading
        self.ids = [number.to_bytes(2, "big") for number in range(options.nodes)]
        self.malicious = {node for node in self.ids if hit(options.initial, seed, "initial", node.hex())}
        self.barred: dict[bytes, int] = {}
        self.scores: dict[bytes, int] = {}

    def trade(self, period: int) -> None:
        """Everybody trades once; malicious members deliver too little."""
        options, found = self.options, {}
        low, high = options.trade_wh
        for node in self.ids:
            key = (period, node.hex())
            promised = low + uniform(high - low + 1, self.seed, "wh", *key)
            if node in self.malicious:
                least, most = options.delivered
                real = promised * (least + uniform(most - least + 1, self.seed, "delivered", *key)) // ONE
            else:
                off = uniform(2 * options.honest_off + 1, self.seed, "off", *key) - options.honest_off
                real = promised * (ONE + off) // ONE
            found[node] = ((promised, real),)
        self.scores = composite_scores(found, self.scores, options.alpha)

    def turn(self, number: int) -> None:
        """Honest members that are not barred turn with a chance."""
        for node in self.ids:
            if node not in self.barred and hit(self.options.conversion, self.seed, "turn", number, node.hex()):
                self.malicious.add(node)

    def council(self, number: int) -> tuple[bytes, ...]:
        """By lot without control, else by scores among those that are not barred."""
        if self.reading == "control":
            lots = sorted(self.ids, key=lambda node: (draw(self.seed, "lot", number, node.hex()), node))
            return tuple(lots[: self.options.seats])
        return elect(self.scores, {}, self.options.seats, self.barred).queue

    def decide(self, queue: tuple[bytes, ...]) -> bool:
        """The published round; bars of elections missed end, new ones begin. True if a false block stands."""
        if not queue:
            return False
        digests = {node: _FALSE if node in self.malicious else _TRUE for node in queue}
        producer = queue[0]
        accepted = published_round(queue, digests, producer, digests[producer]).accepted
        if self.reading != "control":
            self._bar(queue, digests, None if accepted else producer)
        return accepted and digests[producer] == _FALSE

    def _bar(self, queue: tuple[bytes, ...], digests: dict[bytes, bytes], refused: bytes | None) -> None:
        for node, left in list(self.barred.items()):
            if left > 1:
                self.barred[node] = left - 1
                continue
            del self.barred[node]
            if self.reading == "returns-honest":
                self.malicious.discard(node)
        for digest in (_TRUE, _FALSE):
            verified = 2 * list(digests.values()).count(digest) > len(queue)
            for node in queue:
                if node == refused or (verified and digests[node] != digest):
                    self.barred[node] = self.options.bar_elections


def run_malicious(options: MaliciousOptions, seed: int, reading: str) -> tuple[Round, ...]:
    """One story: what the publication's figure shows, round by round. Raise `ConfigError` for an unknown reading."""
    if reading not in READINGS:
        raise ConfigError("unknown reading", code="BAD_OPTION", expected=", ".join(READINGS), found=reading)
    town = _Town(options, seed, reading)
    town.trade(0)
    rounds = []
    for number in range(1, options.rounds + 1):
        town.turn(number)
        queue = town.council(number)
        inside = sum(node in town.malicious for node in queue) * ONE // max(1, len(queue))
        population = len(town.malicious) * ONE // options.nodes
        rounds.append(Round(population, inside, town.decide(queue)))
        town.trade(number)
    return tuple(rounds)
