"""Twins, one scenario after the other (Bano and others, arXiv 2004.10617; consensus C.3 L5).

Four members, one of which runs twice under its key. For each of the first views a scenario says who leads it and which
nodes hear each other's messages of that view: two sides at most. Afterwards the network is whole, and ten blocks must
follow. All scenarios that differ in more than the names of the honest members and of the twins are numbered in one
order; each is a run of the world, under its auditor, with nothing left to chance but delays of a few ms.

A member leaves a view with a certificate only. Where no side holds a quorum nobody would ever see the next view, so the
sides of a view end some time after it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Final, TypeAlias

from consensus.engine import EpochStart
from consensus.messages import Complaint, Message, Proposal
from consensus.parameters import EngineParameters
from consensus.simulator.disk import CommittedBlock
from consensus.simulator.generator import Generator
from consensus.simulator.network import Network
from consensus.simulator.options import SeedOptions
from consensus.simulator.simulation import SeedReport, run_seed
from consensus.simulator.world import World
from ledger.certificates import Certificate, Vote
from ledger.errors import ConfigError
from ledger.objects import decode_header, transaction_id

MEMBERS: Final = 4
NODES: Final = 5
"""Nodes 0 and 4 are the twins."""
ROUNDS: Final = 3
SIDES: Final = 1 << (NODES - 1)
CODES: Final = MEMBERS * SIDES
DELTA_MS: Final = 50
INTERVAL_MS: Final = 30
SPELL_MS: Final = 8 * DELTA_MS
"""How long the sides of a view last at most."""
OWN_TRANSACTIONS: Final = 4

_Renaming: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """A view of a scenario: the member that leads it, and the nodes that are not on the side of node 0."""

    leader: int
    others: frozenset[int]

    @classmethod
    def of(cls, code: int) -> Round:
        """The round of a number below `CODES`."""
        return cls(code // SIDES, frozenset(node for node in range(1, NODES) if code >> (node - 1) & 1))

    @property
    def code(self) -> int:
        """Inverse of `of`."""
        return self.leader * SIDES + sum(1 << (node - 1) for node in self.others)

    def apart(self, first: int, second: int) -> bool:
        """Whether two nodes are on different sides."""
        return (first in self.others) != (second in self.others)

    def text(self) -> str:
        """Who leads, and the sides, as `2:014/23`."""
        here = "".join(str(node) for node in range(NODES) if node not in self.others)
        return f"{self.leader}:{here}" + ("/" + "".join(map(str, sorted(self.others))) if self.others else "")


_ROUNDS: Final = tuple(Round.of(code) for code in range(CODES))


@dataclass(frozen=True, slots=True)
class Scenario:
    """The rounds of views 1, 2, ... and the number of this scenario among all of so many rounds."""

    number: int
    rounds: tuple[Round, ...]

    def text(self) -> str:
        """The rounds in a line."""
        return " ".join(one.text() for one in self.rounds)


def scenarios(rounds: int = ROUNDS) -> Iterator[Scenario]:
    """All of them, in order: of those that are one another's renaming the first in the order of codes."""
    for number, codes in enumerate(_canonical((), _renamings(), rounds)):
        yield Scenario(number, tuple(_ROUNDS[code] for code in codes))


def _canonical(before: tuple[int, ...], renamings: list[_Renaming], left: int) -> Iterator[tuple[int, ...]]:
    """Continue a scenario. `renamings`: those that leave what is fixed of it as it is."""
    if not left:
        yield before
        return
    for code in range(CODES):
        if all(renamed[code] >= code for renamed in renamings):
            same = [renamed for renamed in renamings if renamed[code] == code]
            yield from _canonical((*before, code), same, left - 1)


def _renamings() -> list[_Renaming]:
    """What each renaming of the honest members and of the twins makes of each round."""
    found = []
    for honest, twins in product(permutations((1, 2, 3)), ((0, 4), (4, 0))):
        names = (twins[0], *honest, twins[1])
        found.append(tuple(_renamed(Round.of(code), names).code for code in range(CODES)))
    return found


def _renamed(one: Round, names: tuple[int, ...]) -> Round:
    others = frozenset(names[node] for node in one.others)
    if 0 in others:
        others = frozenset(range(NODES)) - others
    return Round(0 if one.leader == 0 else names[one.leader], others)


class TwinsNetwork(Network):
    """Links that know the view of what they carry."""

    def send(self, sender: int, receiver: int, message: Message) -> None:
        """See `Network`; lost between the sides of its view."""
        world = self.world
        if not isinstance(world, TwinsWorld) or not world.apart(sender, receiver, view_of(message)):
            super().send(sender, receiver, message)


class TwinsWorld(World):
    """The world of one scenario. `began`: when the first message of a view was sent."""

    def __init__(self, options: SeedOptions, scenario: Scenario) -> None:
        self.scenario = scenario
        self.began: dict[int, int] = {}
        super().__init__(options)
        self.parameters = EngineParameters(delta_ms=DELTA_MS, min_block_interval_ms=INTERVAL_MS)
        self.network = TwinsNetwork(self)
        self.trace(b"s", len(scenario.rounds), scenario.number, scenario.text().encode())

    def begin(self) -> None:
        """Every node has transactions of its own: so twins propose different blocks."""
        self.block_limit = 1
        for node in self.nodes:
            node.start()
            for count in range(OWN_TRANSACTIONS):
                raw = b"transaction %d of node %d" % (count, node.index)
                node.submit(raw, transaction_id(raw))

    def quiet(self) -> None:
        """See `World`."""
        self.block_limit = 200
        super().quiet()

    def epoch_after(self, block: CommittedBlock) -> EpochStart:
        """See `World`: first the leaders of the scenario, then everybody in turn, and so on."""
        start = super().epoch_after(block)
        named = tuple(start.validators.index_of(self.nodes[one.leader].key) or 0 for one in self.scenario.rounds)
        return replace(start, leaders=named + start.leaders)

    def step(self, until: int) -> bool:
        """See `World`; the faults have ended when the last view of the scenario is over."""
        after = self.began.get(len(self.scenario.rounds) + 1)
        if not self.network.calm and after is not None and self.now >= after + 2 * DELTA_MS:
            return False
        return super().step(until)

    def apart(self, sender: int, receiver: int, view: int | None) -> bool:
        """Whether a message of a view, or else of the one that its sender is in, is lost between two nodes."""
        if self.network.calm:
            return False
        core = self.nodes[sender].core
        number = view if view is not None else core.state.view if core is not None else 0
        began = self.began.setdefault(number, self.now)
        if not 0 < number <= len(self.scenario.rounds) or self.now >= began + SPELL_MS:
            return False
        return self.scenario.rounds[number - 1].apart(sender, receiver)

    def serve_sync(self, other: int, asker: int, height: int) -> list[CommittedBlock]:
        """See `World`."""
        return [] if self.apart(other, asker, None) else super().serve_sync(other, asker, height)


def view_of(message: Message) -> int | None:
    """The view that a message is about, None if it names none."""
    if isinstance(message, Vote | Certificate | Complaint):
        return message.view
    return decode_header(message.header).view if isinstance(message, Proposal) else None


def options_of(scenario: Scenario, mutant: str = "") -> SeedOptions:
    """The options of a scenario's run; the chaos lasts as long as its views do, which is this at most."""
    return SeedOptions(
        scenario.number,
        nodes=MEMBERS,
        twins=1,
        seconds_ms=(len(scenario.rounds) + 1) * SPELL_MS,
        delta_ms=DELTA_MS,
        delay_ms=1,
        jitter_ms=1,
        fsync_ms=1,
        load_ms=20,
        mutant=mutant,
    )


def run_scenario(scenario: Scenario, mutant: str = "") -> SeedReport:
    """Run one scenario; with a rule missing it ends at the first broken invariant."""
    return run_seed(
        options_of(scenario, mutant), hasty=bool(mutant), make=lambda options: TwinsWorld(options, scenario)
    )


def scenario_of(number: int, rounds: int = ROUNDS) -> Scenario:
    """The scenario of a number. Raise `ConfigError` if there is none."""
    last = -1
    for scenario in scenarios(rounds):
        if scenario.number == number:
            return scenario
        last = scenario.number
    raise ConfigError("no such scenario", expected=f"0 to {last}", found=number)


def chosen(spread: int, sampled: int, seed: int, rounds: int = ROUNDS) -> tuple[Scenario, ...]:
    """`spread` scenarios at equal distances, always the same, and `sampled` others by a seed; all in order. If there
    are not so many: all."""
    every = tuple(scenarios(rounds))
    if spread + sampled >= len(every):
        return every
    numbers = {position * len(every) // spread for position in range(spread)}
    chance = Generator(seed)
    while len(numbers) < spread + sampled:
        numbers.add(chance.below(len(every)))
    return tuple(every[number] for number in sorted(numbers))
