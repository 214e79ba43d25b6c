"""The contract library: its source texts, and the list of instances that a genesis installs.

The sources are package data, read from the installed distribution. They are contract source, not Python modules of this
program: nothing here imports them. A source of more than one file is its parts joined in the order given here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

from contracts import library_crossing
from contracts.library_crossing import CROSSING, Crossing
from contracts.library_shared import TRADING, shared_arguments
from contracts.state_format import GOVERNANCE, LIFECYCLE
from contracts.values import Value, decode_value, encode_value
from contracts.wind_mode import WindMode
from ledger.errors import GenesisError

ONE = 1_000_000
NO_LAST_SLOT = 2**53
HOUR_MS = 3_600_000
SLOT_LENGTHS_MS = (HOUR_MS // 4, HOUR_MS // 2, HOUR_MS)

AUCTION = "double_auction"
COMMUNITY = "community_vpp"
MATCHING = "matching"
WIND = "wind"
"""Names of the markets' instances; a chain has one market that settles its meters."""
COMMITTEE = "committee"
"""The instance of engine `bft` (`contracts.library_committee`)."""
COUNCIL = "council"
"""The instance of engine `dpos` (`contracts.library_council`)."""
SHARDS = "shards"
"""The instance of a sharded network's global chain (`contracts.library_shards`)."""
PRICINGS = ("midpoint", "clear", "mcafee")
"""What trades of market C cost: each the midpoint of its pair; all the midpoint of the last crossing pair; McAfee's."""

_PARTS: dict[str, tuple[str, ...]] = {
    "governance": ("governance.py",),
    COMMITTEE: ("committee.py",),
    COUNCIL: ("council.py",),
    SHARDS: ("shards.py",),
    "registry": ("registry.py",),
    "token": ("tokens.py",),
    "metering": ("metering.py",),
    CROSSING: ("crossing.py",),
    "routing": ("routing.py", "routing_views.py"),
    "bilateral": ("bilateral.py",),
    "bills": ("bills.py", "bills_views.py"),
    "vouchers": ("vouchers.py",),
    "tariffs": ("tariffs.py",),
    "disputes": ("disputes.py",),
    "vehicles": ("vehicles.py",),
    "wind_rules": ("wind_rules.py", "wind_day.py"),
    "wind_prices": ("wind_prices.py",),
    "wind": (
        "wind.py",
        "wind_rules.py",
        "wind_dayahead.py",
        "wind_realtime.py",
        "wind_lines.py",
        "wind_settlement.py",
        "wind_views.py",
    ),
    "assignment": ("assignment.py", "assignment_exact.py"),
    "matching": (
        "matching.py",
        "matching_rules.py",
        "matching_orders.py",
        "matching_cycle.py",
        "matching_delivery.py",
        "matching_settlement.py",
        "matching_grid.py",
        "matching_views.py",
    ),
    "double_auction": (
        "double_auction.py",
        "double_auction_orders.py",
        "double_auction_clearing.py",
        "double_auction_settlement.py",
        "double_auction_views.py",
    ),
    "community_vpp": (
        "community_vpp.py",
        "community_vpp_rules.py",
        "community_vpp_orders.py",
        "community_vpp_clearing.py",
        "community_vpp_settlement.py",
        "community_vpp_views.py",
    ),
}


@dataclass(frozen=True, slots=True)
class Institutions:
    """Account addresses (32 bytes) of those with a role, and of the account that lost deposits go to."""

    energy_bureau: bytes
    grid_company: bytes
    notary: bytes
    trading_center: bytes
    community: bytes


@dataclass(frozen=True, slots=True)
class Calendar:
    """Slots of market time. `slot0_ms` is the start of slot 0; gates are counted in slots before the start of delivery,
    `grace` and `late` after its end. `last_slot` None: slots go on for ever."""

    slot_ms: int
    slot0_ms: int
    first_slot: int = 0
    last_slot: int | None = None
    open_slots: int = 4
    reveal_slots: int = 3
    t1_slots: int = 2
    t2_slots: int = 1
    grace_slots: int = 1
    late_slots: int = 4
    horizon_slots: int = 672


@dataclass(frozen=True, slots=True)
class Tariffs:
    """Prices in micro-currency per kWh, money in micro-currency, ratios in ppm."""

    feed: int = 450_000
    retail: int = 670_000
    max_price: int = 100_000_000
    debt_limit: int = 50_000_000
    sealed_deposit: int = 100_000
    rated_margin_ppm: int = 250_000


@dataclass(frozen=True, slots=True)
class AuctionMode:
    """Which options of market C run; the defaults are those of a node, but sealed orders are the caller's choice.
    `pricing`: what the trades of a stage cost, `midpoint`, `clear` or `mcafee`."""

    sealed: bool
    two_stages: bool = True
    hardened_pa: bool = True
    self_trade: bool = False
    pricing: str = "midpoint"


@dataclass(frozen=True, slots=True)
class CommunityMode:
    """Prices and options of market B; the defaults are those of a node, but sealed bids are the caller's choice. `fee`
    is money for each trade and side; `band`, `subsidy` and `cap` are ppm. `Tariffs.feed` and `.retail` are what the
    grid pays and asks (sbp and ssp)."""

    sealed: bool
    fee: int = 2_000
    band: int = 50_000
    subsidy: int = 100_000
    cap: int = 150_000
    check_ask: bool = True
    priority: bool = True
    by_unit: bool = False
    self_trade: bool = False
    fee_guard: bool = False
    pool: bool = True
    owner_settles: bool = False

    def terms(self, sbp: int, ssp: int) -> list[Value]:
        """As the contract takes them."""
        return [
            sbp, ssp, self.fee, self.band, self.subsidy, self.cap, self.check_ask, self.priority, self.by_unit,
            self.self_trade, self.fee_guard, self.pool,
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MatchingMode:
    """Parameters and options of market D; the defaults are those of a node, but sealed requests and offers are the
    caller's choice. The gate is T1, the match T2. `reward`: tokens an order; `v_cap` 0: none; `newcomers`: every so
    many cycles one goes by price (0: never); `ceiling`: no price above retail; `rule_slots`: when the time for a ruling
    ends."""

    sealed: bool
    alpha: int = 400_000
    v_cap: int = ONE
    first_rc: int = 0
    newcomers: int = 0
    reward: int = 10_000
    loss_ppm: int = 30_000
    step_ppm: int = 100_000
    rule_slots: int = 8
    ceiling: bool = True
    self_trade: bool = False
    checked: bool = True
    weighted: bool = True
    saving: bool = False
    third_meter: bool = True


@dataclass(frozen=True, slots=True)
class LibraryParameters:
    """All that the library's contracts need to know at genesis. `mode` says which market settles the meters, `crossing`
    whether what it does not match goes to other regions (market C only)."""

    institutions: Institutions
    calendar: Calendar
    mode: AuctionMode | CommunityMode | MatchingMode | WindMode
    tariffs: Tariffs = field(default_factory=Tariffs)
    crossing: Crossing | None = None

    @property
    def bridge(self) -> str:
        """As contracts are told of it."""
        return "".join(library_crossing.named(self.crossing))


@dataclass(frozen=True, slots=True)
class Elector:
    """An account that votes on contracts, and its weight."""

    account: bytes
    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Electorate:
    """Who decides about contracts. `deployers`: accounts; `voting_ms`: how long a proposal is open, block time;
    `rollback_blocks`: for how many blocks an upgrade can be taken back."""

    voters: tuple[Elector, ...]
    deployers: tuple[bytes, ...]
    voting_ms: int = 7 * 24 * HOUR_MS
    rollback_blocks: int = 10_000


@dataclass(frozen=True, slots=True)
class Installation:
    """One contract instance of genesis: `arguments` is the encoded list for its `@init`, `calls` whom it may call."""

    name: str
    source: str
    arguments: bytes
    calls: tuple[str, ...]


@lru_cache(maxsize=8)
def library_source(name: str) -> str:
    """The source text of a library contract by instance name. Raise `GenesisError` if there is none."""
    if name not in _PARTS:
        raise GenesisError("no such library contract", expected=", ".join(_PARTS), found=name)
    folder = files("contracts").joinpath("library")
    return "\n\n".join(folder.joinpath(part).read_text(encoding="utf-8") for part in _PARTS[name])


def library_names() -> tuple[str, ...]:
    """The contracts of the library, by instance name."""
    return tuple(_PARTS)


def library_contracts(parameters: LibraryParameters) -> list[Installation]:
    """The instances of genesis in the order in which they are installed. Raise `GenesisError` for parameters that no
    market can run on."""
    _check(parameters)
    who, when, tariffs = parameters.institutions, parameters.calendar, parameters.tariffs
    last_slot = NO_LAST_SLOT if when.last_slot is None else when.last_slot
    slots: list[Value] = [when.slot_ms, when.slot0_ms, when.first_slot, last_slot]
    market = _market(parameters, slots)
    registry: list[Value] = [
        who.energy_bureau, who.grid_company, who.notary, who.trading_center, ["metering", market.name], [market.name],
    ]  # fmt: skip
    bridge = parameters.bridge
    trading: list[Value] = [market.name, *TRADING, *library_crossing.named(parameters.crossing)]
    token: list[Value] = [who.trading_center, who.grid_company, tariffs.debt_limit, trading, bridge]
    metering: list[Value] = [
        *slots, when.t1_slots, when.horizon_slots, when.grace_slots, tariffs.rated_margin_ppm, [market.name], bridge,
    ]  # fmt: skip
    return [
        _installation("registry", registry, ("metering", market.name)),
        _installation("token", token, ()),
        _installation("metering", metering, (market.name,)),
        *_asked_by(market.name),
        market,
        *_shared(parameters, market.name, slots),
        *_prices_of(parameters, slots),
        *_crossing(parameters, market.name, slots),
    ]


def _crossing(parameters: LibraryParameters, market: str, slots: list[Value]) -> list[Installation]:
    """What carries orders to the global chain and fills back."""
    if parameters.crossing is None:
        return []
    arguments = parameters.crossing.arguments(market, slots[:2], parameters.calendar.late_slots)
    return [_installation(CROSSING, arguments, library_crossing.CALLS)]


def _asked_by(market: str) -> list[Installation]:
    """The rules that only some markets ask."""
    names = {WIND: ["wind_rules"], MATCHING: ["assignment"]}
    return [_installation(name, [], ()) for name in names.get(market, [])]


def _shared(parameters: LibraryParameters, market: str, slots: list[Value]) -> list[Installation]:
    who, when, tariffs = parameters.institutions, parameters.calendar, parameters.tariffs
    gates = (when.open_slots, when.grace_slots, when.late_slots)
    dearest = tariffs.retail
    if isinstance(parameters.mode, WindMode):
        dearest = tariffs.retail * (ONE + parameters.mode.s0 + parameters.mode.kb) // ONE
    prices: list[Value] = [tariffs.feed, tariffs.retail, tariffs.max_price, tariffs.rated_margin_ppm, dearest]
    found = shared_arguments((market, parameters.bridge), (who.energy_bureau, who.grid_company), slots, gates, prices)
    return [_installation(*item) for item in found]


def _prices_of(parameters: LibraryParameters, slots: list[Value]) -> list[Installation]:
    """What checks solutions of market A's bilevel problem: windows of at most a day, frozen halfway between T1 and
    T2."""
    who, when, tariffs, mode = parameters.institutions, parameters.calendar, parameters.tariffs, parameters.mode
    if not isinstance(mode, WindMode):
        return []
    gate = when.t2_slots * when.slot_ms
    freeze = gate + (when.t1_slots - when.t2_slots) * when.slot_ms // 2
    arguments: list[Value] = [
        who.trading_center, [*slots, mode.horizon(), gate, freeze], [tariffs.feed, tariffs.retail, tariffs.max_price],
        mode.tolerance,
    ]  # fmt: skip
    return [_installation("wind_prices", arguments, ("registry", "metering", WIND))]


def _market(parameters: LibraryParameters, slots: list[Value]) -> Installation:
    who, when, tariffs, mode = parameters.institutions, parameters.calendar, parameters.tariffs, parameters.mode
    ahead: list[Value] = [*slots, when.open_slots, when.reveal_slots, when.t1_slots]
    late: list[Value] = [when.grace_slots, when.late_slots]
    bounds: list[Value] = [tariffs.max_price, tariffs.rated_margin_ppm, tariffs.sealed_deposit]
    arguments: list[Value]
    match mode:
        case AuctionMode():
            arguments = [
                who.grid_company, who.community, [*ahead, when.t2_slots, *late],
                [tariffs.feed, tariffs.retail, *bounds], mode.two_stages, mode.hardened_pa, mode.self_trade,
                mode.sealed, mode.pricing, parameters.bridge,
            ]  # fmt: skip
            bridge = library_crossing.named(parameters.crossing)
            return _installation(AUCTION, arguments, ("token", "metering", "tariffs", *bridge))
        case CommunityMode():
            terms = mode.terms(tariffs.feed, tariffs.retail)
            arguments = [
                who.grid_company, who.community, [*ahead, *late], bounds, terms, mode.sealed, mode.owner_settles,
            ]  # fmt: skip
            return _installation(COMMUNITY, arguments, ("token", "metering", "tariffs"))
        case MatchingMode():
            return _matching(parameters, mode, [*ahead, when.t2_slots, *late])
        case WindMode():
            arguments = [
                [who.grid_company, who.community, who.trading_center, who.energy_bureau],
                [*ahead, when.t2_slots, *late, mode.periods], [tariffs.feed, tariffs.retail, *bounds], mode.terms(),
                mode.choices(), mode.sealed,
            ]  # fmt: skip
            return _installation(WIND, arguments, ("registry", "token", "metering", "wind_rules", "vehicles"))


def _matching(parameters: LibraryParameters, mode: MatchingMode, calendar: list[Value]) -> Installation:
    who, tariffs = parameters.institutions, parameters.tariffs
    arguments: list[Value] = [
        [who.grid_company, who.community, who.trading_center, who.notary],
        [*calendar, mode.rule_slots, parameters.calendar.slot_ms // 4],
        [
            tariffs.feed, tariffs.retail, tariffs.retail if mode.ceiling else tariffs.max_price,
            tariffs.rated_margin_ppm, tariffs.sealed_deposit, mode.reward, mode.loss_ppm, mode.step_ppm,
        ],
        [mode.alpha, mode.v_cap, mode.first_rc, mode.newcomers],
        [mode.sealed, mode.self_trade, mode.checked, mode.weighted, mode.saving, mode.third_meter],
    ]  # fmt: skip
    return _installation(MATCHING, arguments, ("registry", "token", "metering", "routing", "tariffs", "assignment"))


def governance_contract(electorate: Electorate) -> Installation:
    """The instance that decides about contracts; without it a chain keeps the contracts of its genesis for ever."""
    voters = electorate.voters
    arguments: list[Value] = [
        [voter.account for voter in voters], [voter.name for voter in voters], [voter.weight for voter in voters],
        list(electorate.deployers), electorate.voting_ms, electorate.rollback_blocks,
    ]  # fmt: skip
    return _installation(GOVERNANCE, arguments, (LIFECYCLE,))


def mode_of(arguments: bytes) -> AuctionMode:
    """The mode in the `arguments` of an installed `double_auction`. Raise `GenesisError` for arguments of others."""
    match decode_value(arguments):
        case [_, _, list(), list(), bool(two), bool(hardened_pa), bool(self_trade), bool(sealed), str(pricing), str()]:
            return AuctionMode(sealed, two, hardened_pa, self_trade, pricing)
        case other:
            raise GenesisError("not the arguments of a double auction", expected="10 values", found=other)


def _installation(name: str, arguments: list[Value], calls: tuple[str, ...]) -> Installation:
    return Installation(name, library_source(name), encode_value(arguments), calls)


def _require(condition: bool, what: str, expected: object, found: object) -> None:
    if not condition:
        raise GenesisError(
            what, expected=expected, found=found, fix="correct the market section of the genesis document"
        )


def _check(parameters: LibraryParameters) -> None:
    who, when, tariffs = parameters.institutions, parameters.calendar, parameters.tariffs
    addresses: Sequence[bytes] = (
        who.energy_bureau, who.grid_company, who.notary, who.trading_center, who.community,
    )  # fmt: skip
    for address in addresses:
        _require(len(address) == 32, "an institution's address has another size", 32, len(address))
    _require(when.slot_ms in SLOT_LENGTHS_MS, "slots are of another length", SLOT_LENGTHS_MS, when.slot_ms)
    gates = (when.open_slots, when.reveal_slots, when.t1_slots, when.t2_slots)
    ordered = when.open_slots >= when.reveal_slots >= when.t1_slots > when.t2_slots >= 0
    _require(ordered and when.open_slots > when.t1_slots, "gates out of order", "open >= reveal >= T1 > T2 >= 0", gates)
    late = (when.grace_slots, when.late_slots)
    _require(0 <= when.grace_slots <= when.late_slots, "grace out of order", "0 <= grace <= late", late)
    opening = when.slot0_ms + (when.first_slot - when.open_slots) * when.slot_ms
    _require(when.first_slot >= 0 and opening >= 0, "the first window opens before time 0", "0 or later", opening)
    if isinstance(parameters.mode, AuctionMode):
        pricing = parameters.mode.pricing
        _require(pricing in PRICINGS, "no such pricing of a double auction", " ".join(PRICINGS), pricing)
    if parameters.crossing is not None:
        parameters.crossing.check(isinstance(parameters.mode, AuctionMode))
    if isinstance(parameters.mode, WindMode):
        parameters.mode.check()
    last = when.first_slot if when.last_slot is None else when.last_slot
    _require(when.first_slot <= last <= NO_LAST_SLOT, "last slot before the first", f">= {when.first_slot}", last)
    prices = (tariffs.feed, tariffs.retail, tariffs.max_price)
    _require(
        0 <= tariffs.feed <= tariffs.retail <= tariffs.max_price < 2**40, "tariffs", "feed <= retail <= max", prices
    )
    amounts = (tariffs.debt_limit, tariffs.sealed_deposit, tariffs.rated_margin_ppm)
    _require(all(0 <= value < 2**63 for value in amounts), "amount out of range", "0 .. 2^63 - 1", amounts)
