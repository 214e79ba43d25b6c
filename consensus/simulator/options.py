"""What a run is. `draw` makes the faults of one seed: each class on with one half, intensities log-uniform (C.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

from consensus.council import CouncilRules
from consensus.parameters import SOLO_BLOCK_INTERVAL_MS, EngineParameters
from consensus.simulator.generator import Generator
from ledger.engine_settings import AUDITS, LEAST_MEMBERS, LOTTERIES, MOST_CANDIDATES, MOST_SEATS
from ledger.errors import ConfigError
from ledger.validators import fault_bound

ENGINES: Final = ("bft", "solo", "dpos", "sharded", "dpos-paper", "sharded-paper")
SHARDED: Final = ("sharded", "sharded-paper")
PUBLISHED: Final = ("dpos-paper",)
"""Engines to the letter of a publication: forks are what they may show, so only agreement is checked."""
ELECTING: Final = ("dpos", "dpos-paper")
MOST_NODES: Final = 200
FAULTS: Final = ("none", "swarm")
ADVERSARIES: Final = (
    "equivocator",
    "silent",
    "wrong-parent",
    "withholder",
    "selective",
    "stale-replayer",
    "nullify-spammer",
    "future-flooder",
    "invalid-state",
    "time-drifter",
    "forger",
    "id-forger",
    "complaint-spammer",
    "lying-sync-peer",
)
COUNCIL_ADVERSARIES: Final = ("wrong-route", "unready", "yes-man", "sleeper", "colluder")
"""Liars of engines that elect a council."""

SHARD_ADVERSARIES: Final = (
    "lying-agent",
    "forged-certificate",
    "withholding-agent",
    "two-publishers",
    "two-records",
    "inbox-replayer",
    "ticket-forger",
    "silent-centre",
    "lying-guide",
    "region-partition",
    "region-loss",
    "region-flooder",
    "inbox-flooder",
    "ignoring-region",
    "censoring-region",
    "colluding-region",
)
"""Liars and losses between regions and centres, one of them in every region, but: `region-...`, `inbox-...` and
`...-region` are about the first region alone; the last two are a quorum of it that lies together."""
CENTRES: Final = 4
REGIONS: Final = 3


def region_sizes(nodes: int) -> tuple[int, ...]:
    """Members of each region of a sharded run of `nodes`, four of which are centres: the others are regions of four, or
    else three regions alike. 8 is 1 x 4, 16 is 3 x 4, 19 is 3 x 5, 20 is 4 x 4. Empty if there is no such network."""
    members = nodes - CENTRES
    if members >= CENTRES and members % CENTRES == 0:
        return (CENTRES,) * (members // CENTRES)
    return (members // REGIONS,) * REGIONS if members > REGIONS * CENTRES and members % REGIONS == 0 else ()


def most_nodes(engine: str) -> int:
    """The most nodes of a run; of engines that elect, what their genesis may name."""
    return MOST_CANDIDATES if engine in ELECTING else MOST_NODES


def adversaries_of(engine: str) -> tuple[str, ...]:
    """The liars that an engine may meet."""
    if engine in SHARDED:
        return ADVERSARIES + SHARD_ADVERSARIES if engine == "sharded" else ()
    if engine == "solo":
        return ()
    return ADVERSARIES + COUNCIL_ADVERSARIES if engine in ELECTING else ADVERSARIES


def _refused(message: str, expected: str, found: object, fix: str) -> ConfigError:
    return ConfigError(message, expected=expected, found=found, fix=fix)


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """A batch of seeds: `seeds` runs of `seconds` of chaos each, from `first_seed` on, then a quiet phase."""

    engine: str = "bft"
    nodes: int = 4
    seeds: int = 50
    first_seed: int = 0
    seconds: int = 20
    faults: str = "swarm"
    adversary: str = ""
    delta_ms: int = 150
    epoch_blocks: int = 0
    audit: str = "eager"

    def __post_init__(self) -> None:
        least = LEAST_MEMBERS if self.adversary or self.engine in ELECTING else 1
        if self.engine not in ENGINES:
            raise _refused("no such engine in the simulator", " or ".join(ENGINES), self.engine, "choose an engine")
        if self.faults not in FAULTS:
            raise _refused("no such set of faults", " or ".join(FAULTS), self.faults, "choose one of these")
        known = adversaries_of(self.engine)
        if self.adversary and self.adversary not in known:
            raise _refused("no such adversary", ", ".join(known) or "none", self.adversary, "choose one of these")
        if self.engine == "solo" and (self.nodes != 1 or self.adversary):
            found = f"{self.nodes} with {self.adversary or 'no adversary'}"
            raise _refused(
                "one node alone, and it is honest", "1 with no adversary", found, "give --nodes 1 and no liar"
            )
        if not least <= self.nodes <= most_nodes(self.engine):
            wanted = f"{least} to {most_nodes(self.engine)}"
            raise _refused("a number of nodes that this run cannot have", wanted, self.nodes, "give another --nodes")
        if self.engine in SHARDED and not region_sizes(self.nodes):
            wanted = "4 centres and regions of 4 (8, 12, 16, 20, ...), or 4 and three regions alike (19, 22, ...)"
            raise _refused("a number of nodes that no sharded run has", wanted, self.nodes, "give --nodes 16 for 3 x 4")
        if self.audit not in (AUDITS if self.engine == "sharded" else AUDITS[:1]):
            wanted = " or ".join(AUDITS) + ", with the engine sharded"
            raise _refused(
                "no such audit of records", wanted, self.audit, "leave --audit out, or give --engine sharded"
            )
        if self.seeds < 1 or self.first_seed < 0 or self.seconds < 1:
            found = f"{self.seeds} seeds from {self.first_seed} on, {self.seconds} s"
            raise _refused("seeds and seconds are positive", "at least 1, from 0 on", found, "give other numbers")


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "engine": ENGINES,
    "audit": AUDITS,
    "lottery": LOTTERIES,
}
_FROM_ONE: Final = ("nodes", "delta_ms", "epoch_blocks", "committees", "load_ms")


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """Everything that one run depends on; printed with every failure. Times in ms, chances in ppm, 0 is off.

    `epoch_blocks` 0: drawn. `skewed`: nodes with a clock off by more than the tolerance, `wiped`: nodes that lose their
    disk; both count as faulty, like `adversary` (all `byzantine` of them) and `twins`. `committees`: how many different
    sets epochs go round. `weighted`: members weigh 1, 2, 3, 1, ... `seats` of an elected council, 0: the least of all
    nodes and 50. `audit` and `lottery`: of a sharded network.
    """

    seed: int
    engine: str = "bft"
    nodes: int = 4
    seconds_ms: int = 20_000
    delta_ms: int = 150
    interval_ms: int = 250
    epoch_blocks: int = 1_000_000
    delay_ms: int = 10
    jitter_ms: int = 5
    drop_ppm: int = 0
    duplicate_ppm: int = 0
    crash_mtbf_ms: int = 0
    restart_ms: int = 1_000
    partition_ms: int = 0
    one_way: bool = False
    power_cuts: int = 0
    lose_unsynced: bool = True
    fsync_ms: int = 4
    skew_ms: int = 0
    skewed: int = 0
    wiped: int = 0
    adversary: str = ""
    byzantine: int = 0
    twins: int = 0
    committees: int = 1
    weighted: bool = False
    seats: int = 0
    audit: str = "eager"
    lottery: str = "work"
    load_ms: int = 200
    idle: bool = False
    due_every_ms: int = 0
    compact: bool = True
    wire: bool = False
    real_crypto: bool = False
    mutant: str = ""
    quiet: bool = True

    @property
    def elects(self) -> bool:
        """Whether the engine elects its committee."""
        return self.engine in ELECTING

    @property
    def council_seats(self) -> int:
        """Seats of the council."""
        return self.seats or min(self.nodes, MOST_SEATS)

    def text(self) -> str:
        """One line: the seed and everything that is not a default."""
        plain = asdict(type(self)(self.seed))
        parts = [f"{name}={value}" for name, value in asdict(self).items() if name == "seed" or value != plain[name]]
        return " ".join(parts)

    @classmethod
    def parse(cls, line: str) -> Self:
        """Inverse of `text`. Raise `ValueError` on an unknown name and on a value that no run has."""
        plain = cls(0)
        values: dict[str, object] = {}
        for part in line.split():
            name, _, value = part.partition("=")
            known = getattr(plain, name, None)
            if known is None or callable(known):
                raise ValueError(f"no option {name!r} in a seed line")
            values[name] = value == "True" if isinstance(known, bool) else type(known)(value)
        found = replace(plain, **values)  # type: ignore[arg-type]  # each value has the type of the field it replaces
        found.check()
        return found

    def check(self) -> None:
        """Raise `ValueError` for a value that no run has."""
        choices = {**_CHOICES, "adversary": ("", *(adversaries_of(self.engine) or ADVERSARIES))}
        for name, value in asdict(self).items():
            known = choices.get(name, ())
            if known and value not in known:
                raise ValueError(f"{name}={value}, which is none of {', '.join(filter(None, known))}")
            least = 1 if name in _FROM_ONE else 0
            if isinstance(value, int) and value < least:
                raise ValueError(f"{name}={value}, which is below {least}")
        if self.nodes > most_nodes(self.engine) or (self.engine in SHARDED and not region_sizes(self.nodes)):
            raise ValueError(f"nodes={self.nodes}, which a run of {self.engine} cannot have")
        faulty = self.byzantine + self.twins + self.skewed + self.wiped
        if faulty >= self.nodes and faulty:
            raise ValueError(f"{faulty} of {self.nodes} nodes at fault, which leaves none to hold to anything")

    def parameters(self) -> EngineParameters:
        """The engine's parameters of this run."""
        interval = 20 if self.engine == "solo" else 250
        return EngineParameters(delta_ms=self.delta_ms, epoch_blocks=self.epoch_blocks, min_block_interval_ms=interval)


def draw(options: SimulationOptions, seed: int) -> SeedOptions:
    """The options of one seed of a batch."""
    base = SeedOptions(
        seed,
        engine=options.engine,
        nodes=options.nodes,
        seconds_ms=options.seconds * 1_000,
        delta_ms=options.delta_ms,
        interval_ms=SOLO_BLOCK_INTERVAL_MS if options.engine == "solo" else 250,
        epoch_blocks=options.epoch_blocks or 1_000_000,
        audit=options.audit,
    )
    budget = fault_bound(_least_committee(options))
    if options.adversary:
        base = replace(base, adversary=options.adversary, byzantine=max(1, budget))
        budget = max(0, budget - base.byzantine)
    if options.faults == "none":
        return base
    drawn = _swarm(base, options, budget)
    fixed = replace(drawn, epoch_blocks=1_000_000, committees=1, weighted=False)
    fixed = replace(fixed, compact=False, twins=0) if options.engine in PUBLISHED else fixed
    if options.engine == "sharded" and seed % 4 == 3:
        fixed = replace(fixed, lottery="hash")
    return fixed if options.engine in (*ELECTING, *SHARDED) else drawn


def _least_committee(options: SimulationOptions) -> int:
    """Members of the smallest committee of a run: bars may shrink an elected council to half of its seats."""
    if options.engine in SHARDED:
        return CENTRES
    if options.engine not in ELECTING:
        return options.nodes
    return CouncilRules(min(options.nodes, MOST_SEATS), ()).least


def _swarm(base: SeedOptions, options: SimulationOptions, budget: int) -> SeedOptions:
    chance = Generator(base.seed * 1_000_003 + options.nodes)
    on = [chance.chance(500_000) for _ in range(12)]
    drawn = replace(
        base,
        interval_ms=chance.choose((10, 60, base.interval_ms, base.interval_ms)),
        delay_ms=chance.log_uniform(2, 30),
        jitter_ms=chance.log_uniform(5, 500) if on[0] else 5,
        drop_ppm=chance.log_uniform(5_000, 300_000) if on[1] else 0,
        duplicate_ppm=chance.log_uniform(5_000, 100_000) if on[2] else 0,
        crash_mtbf_ms=chance.log_uniform(5_000, 120_000) // 2 if on[3] else 0,
        restart_ms=chance.log_uniform(100, 8_000),
        partition_ms=chance.log_uniform(1_000, 8_000) if on[4] else 0,
        one_way=chance.chance(400_000),
        power_cuts=1 if on[5] and chance.chance(500_000) else 0,
        fsync_ms=chance.log_uniform(1, 20),
        skew_ms=chance.log_uniform(10, 250) if on[6] else 0,
        epoch_blocks=options.epoch_blocks or (chance.between(4, 12) if on[7] else 1_000_000),
        committees=2
        if on[7] and on[8] and options.nodes > 4 and base.byzantine <= fault_bound(options.nodes - 1)
        else 1,
        load_ms=chance.log_uniform(50, 1_000),
        due_every_ms=chance.log_uniform(300, 3_000) if on[9] else 0,
        compact=chance.chance(700_000),
        wire=chance.chance(100_000),
        real_crypto=chance.chance(50_000),
    )
    if drawn.committees > 1 or budget == 0 or not on[10]:
        return replace(drawn, weighted=on[11] and not base.adversary)
    kind = chance.below(4)
    if kind == 0 and options.nodes > 3:
        return replace(drawn, wiped=1)
    if kind == 1:
        return replace(drawn, skewed=1)
    if kind == 2:
        return replace(drawn, twins=1)
    return replace(drawn, adversary=chance.choose(ADVERSARIES), byzantine=1)
