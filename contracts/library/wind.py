"""Market A: a wind power producer (or several) and prosumers on three floors, day-ahead, real-time and balancing.

Rules of section 2 of the market spec. A day is `periods` slots. Producers offer and loads bid for a whole day until its
gate; then each hour is cleared in a call of its own. Before each slot producers announce what they will really make and
prosumers declare reserves; at the slot's gate the contract ranks and matches. After delivery one call settles the slot from
metered readings, the rest of every deviation at balancing prices. The grid company is the other side of the day-ahead and
the balancing floor and of all that meters show beyond both.
"""

WATT_MS_PER_WH = 3_600_000
MAX_METERS = 256
MAX_PRODUCERS = 16
PER_CALL = 128
MAX_PAGE = 256
GAS_STEP = 10_000_000
GAS_WHOLE = 20_000_000
GAS_SIGNAL = 1_000_000

SELL = 0
BUY = 1

SMALL_WH = 100
SMALL_PPM = 50_000
IDLE_DAYS = 7
LOW_REPUTATION = 10_000
LOW_AFTER_DAYS = 2
FAILURES = 3

CLEARED = 1
MATCHED = 2
SETTLED = 3
PHASES = ("future", "cleared", "matched", "settled")

DA_SOLD_WH = 0
DA_BOUGHT_WH = 1
P2P_SOLD_WH = 2
P2P_BOUGHT_WH = 3
BL_SOLD_WH = 4
BL_BOUGHT_WH = 5
GRID_BUY_WH = 6
GRID_SELL_WH = 7
DA_MONEY = 8
P2P_MONEY = 9
SHORTFALL = 10
BL_MONEY = 11
GRID_MONEY = 12
LINE = 13

Options = record(
    "Options", a1=u64, b1=u64, s0=u64, kb=u64, ks=u64, r_min=u64, first_reputation=u64, efficiency=u64, reference=u64,
    da_clearing=bool, netting=bool, removal=bool, tiny=bool, capped=bool, metered=bool, clamp=bool, tie_hash=bool,
    one_sided=bool, self_trade=bool,
)
Rules = record(
    "Rules", slot_ms=u64, slot0_ms=u64, first_slot=u64, last_slot=u64, open_ms=u64, close_ms=u64, t1_ms=u64, t2_ms=u64,
    grace_ms=u64, late_ms=u64, feed=u64, retail=u64, max_price=u64, margin_ppm=u64, deposit=u64, periods=u64, worst=u64,
    sealed=bool, options=Options,
)
Houses = record("Houses", grid=Address, community=Address, operator=Address, bureau=Address)
Desk = record(
    "Desk", account=Address, meter=Address, owner=bytes, cap_wh=u64, kind=str, stores=bool, from_slot=u64, active=bool,
)
Wind = record("Wind", reputation=u64, efficiency=u64, term=u64, hours=u64, promised=u64, missed=u64)
Standing = record("Standing", from_day=u64, active_day=u64, failures=u64, removed=str)
Holding = record("Holding", day=u64, up=u64, down=u64, soc=u64)
Count = record("Count", trades=u64, volume=u64)
DayOrder = record("DayOrder", meter=Address, wh=list[u64], prices=list[u64])
Hour = record("Hour", phase=u64, da_price=u64, p2p_price=u64, posted=bool, flagged=bool, matches=u64, matched_wh=u64)
Position = record("Position", offered=u64, sold=u64, bought=u64, escrow=u256)
Reserve = record("Reserve", up=u64, down=u64, charge=u64, discharge=u64, soc=u64)
Balance = record("Balance", reputation=u64, announced=u64, deviation=int, buy=u64, sell=u64, rest=u64)
Match = record("Match", producer=Address, prosumer=Address, wh=u64, surplus=bool, price=u64)
Netting = record("Netting", seller=Address, buyer=Address, wh=u64, price=u64)
Ranking = record(
    "Ranking", meters=list[Address], reputations=list[u64], reasons=list[str], taken=list[u64], left_up=list[u64],
    left_down=list[u64],
)
Settlement = record(
    "Settlement", account=Address, generation_wh=u64, use_wh=u64, lines=list[int], net=int, difference=int,
    estimated=bool, flagged=bool, trades=u64, volume=u64, term=u64, missed=u64,
)

rules_cell = Var(Rules)
houses = Var(Houses)
desks = Map(Address, Desk)
meters = Map(Address, u64)
population = Var(u64, default=0)
producers = Map(Address, Wind)
standings = Map(Address, Standing)
holdings = Map(Address, Holding)
counts = Map((u64, Address), Count)
volumes = Map(u64, u64, default=0)
references = Map(u64, u64)
next_seq = Var(u64, default=0)
day_orders = Map((u64, u64, u64), DayOrder)
day_members = Map((u64, Address), list[u64])
commitments = Map((u64, Address, bytes), u64)
day_lists = Map(u64, list[u64])
price_lists = Map(u64, u64)
checked_lists = Map(u64, bool)
hours = Map(u64, Hour)
positions = Map((u64, Address), Position)
announcements = Map((u64, Address), u64)
reserves = Map((u64, Address), Reserve)
balances = Map((u64, Address), Balance)
matches = Map((u64, u64), Match)
nettings = Map((u64, u64), Netting)
rankings = Map(u64, Ranking)
settlements = Map((u64, Address), Settlement)
corrections = Map((u64, Address, u64), Settlement)
revisions = Map((u64, Address), u64, default=0)
again = Map(u64, bool)

DayOpened = event("DayOpened", indexed=("day",), day=u64, first_slot=u64, close_ms=u64, t1_ms=u64, start_ms=u64)
DayOrdered = event("DayOrdered", indexed=("day", "meter"), day=u64, seq=u64, meter=Address, side=str, escrow=u256)
DayWithdrawn = event("DayWithdrawn", indexed=("day", "meter"), day=u64, seq=u64, meter=Address, released=u256)
DayCommitted = event(
    "DayCommitted", indexed=("day", "meter"), day=u64, meter=Address, commitment=bytes, deposit=u256,
)
DepositLost = event("DepositLost", indexed=("day", "meter"), day=u64, meter=Address, commitment=bytes, deposit=u256)
DayListPosted = event("DayListPosted", indexed=("day",), day=u64, prices=list[u64])
PricesPosted = event("PricesPosted", indexed=("slot",), slot=u64, prices=list[u64])
EfficiencyPosted = event("EfficiencyPosted", indexed=("meter",), meter=Address, efficiency=u64)
HourCleared = event(
    "HourCleared", indexed=("slot",), slot=u64, price=u64, flagged=bool, sold_wh=u64, bought_wh=u64,
)
Announced = event("Announced", indexed=("slot", "meter"), slot=u64, meter=Address, wh=u64)
Reserved = event(
    "Reserved", indexed=("slot", "meter"), slot=u64, meter=Address, up=u64, down=u64, charge=u64, discharge=u64,
    soc=u64, escrow=u256,
)
Netted = event("Netted", indexed=("slot",), slot=u64, seller=Address, buyer=Address, wh=u64, price=u64)
Traded = event(
    "Traded", indexed=("slot", "producer", "prosumer"), slot=u64, producer=Address, prosumer=Address, wh=u64,
    surplus=bool, price=u64,
)
HourMatched = event(
    "HourMatched", indexed=("slot",), slot=u64, price=u64, posted=bool, matches=u64, matched_wh=u64, rest_wh=u64,
)
ReputationUpdated = event("ReputationUpdated", indexed=("meter",), day=u64, meter=Address, reputation=u64)
Removed = event("Removed", indexed=("meter",), meter=Address, reason=str)
Readmitted = event("Readmitted", indexed=("meter",), meter=Address, reason=str)
SlotDelivered = event("SlotDelivered", indexed=("slot",), slot=u64, end_ms=u64)
Delivered = event(
    "Delivered", indexed=("slot", "producer", "prosumer"), slot=u64, producer=Address, prosumer=Address, wh=u64,
    delivered_wh=u64, surplus=bool, paid=u256, shortfall=u256, revision=u64,
)
Settled = event(
    "Settled", indexed=("slot", "meter"), slot=u64, meter=Address, account=Address, generation_wh=u64, use_wh=u64,
    lines=list[int], net=int, estimated=bool, flagged=bool,
)
SlotSettled = event(
    "SlotSettled", indexed=("slot",), slot=u64, meters=u64, estimated=u64, generation_wh=u64, use_wh=u64,
    delivered_wh=u64, grid_sales_wh=u64, grid_purchases_wh=u64, members_net=int, grid_net=int,
)
Corrected = event(
    "Corrected", indexed=("slot", "meter"), slot=u64, meter=Address, account=Address, revision=u64, generation_wh=u64,
    use_wh=u64, lines=list[int], net=int, difference=int,
)


@init
def setup(
    who: list[Address], calendar: list[u64], prices: list[u64], terms: list[u64], choices: list[bool], sealed: bool,
) -> None:
    """`who`: grid company, community, operator, energy bureau. `calendar`: slot_ms, slot0_ms, first and last slot, then in
    slots: open, reveal, T1, T2 before delivery, grace and late after it; slots a day. `prices`: feed, retail, highest
    price, margin of rated power (ppm), deposit of a sealed order. `terms` and `choices`: see `options_from`."""
    slot_ms = calendar[0]
    houses.set(Houses(grid=who[0], community=who[1], operator=who[2], bureau=who[3]))
    close = calendar[6]
    if sealed:
        close = calendar[5]
    options = options_from(terms, choices)
    rules = Rules(
        slot_ms=slot_ms, slot0_ms=calendar[1], first_slot=calendar[2], last_slot=calendar[3],
        open_ms=calendar[4] * slot_ms, close_ms=close * slot_ms, t1_ms=calendar[6] * slot_ms,
        t2_ms=calendar[7] * slot_ms, grace_ms=calendar[8] * slot_ms, late_ms=calendar[9] * slot_ms, feed=prices[0],
        retail=prices[1], max_price=prices[2], margin_ppm=prices[3], deposit=prices[4], periods=calendar[10],
        worst=prices[1] * (ONE + options.s0 + options.kb) // ONE, sealed=sealed, options=options,
    )
    rules_cell.set(rules)
    schedule(start_of(rules, rules.first_slot) - rules.open_ms, "open_day", 0, gas=GAS_STEP)


def options_from(terms: list, choices: list) -> Options:
    """`terms`: [a1, b1, s0, kb, ks, r_min, reputation of a new producer, efficiency until one is posted, reference volume
    of the first day]. `choices`: whether the contract clears the day-ahead floor itself, producers are netted, members are
    removed, tiny trades count, reserves are bounded by rated power and state of charge, delivery is metered, the
    peer-to-peer price is clamped, ties go by hash, accuracy counts shortfalls only, an owner may trade with itself."""
    return Options(
        a1=terms[0], b1=terms[1], s0=terms[2], kb=terms[3], ks=terms[4], r_min=terms[5], first_reputation=terms[6],
        efficiency=terms[7], reference=terms[8], da_clearing=choices[0], netting=choices[1], removal=choices[2],
        tiny=choices[3], capped=choices[4], metered=choices[5], clamp=choices[6], tie_hash=choices[7],
        one_sided=choices[8], self_trade=choices[9],
    )


def start_of(rules: Rules, slot: int) -> int:
    return rules.slot0_ms + slot * rules.slot_ms


def day_of(rules: Rules, slot: int) -> int:
    return (slot - rules.first_slot) // rules.periods


def first_of(rules: Rules, day: int) -> int:
    """The first slot of a day."""
    return rules.first_slot + day * rules.periods


# Members


@export
def enrol(account: Address, meter: Address, owner: bytes, rated_w: u64) -> None:
    """The registry approved this member. Who applied as a producer and not as a prosumer sells wind on the day-ahead
    floor; only prosumers give reserves."""
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    count = population.get()
    require(count < MAX_METERS, "COMMUNITY_FULL")
    population.set(count + 1)
    rules = rules_cell.get()
    from_slot = rules.first_slot
    elapsed = ctx.market_time_ms - rules.slot0_ms
    if elapsed >= 0:
        from_slot = max(from_slot, elapsed // rules.slot_ms + 1)
    cap_wh = rated_w * rules.slot_ms * (ONE + rules.margin_ppm) // (WATT_MS_PER_WH * ONE) + 1
    member = view_call("registry", "member", account)
    kind = "consumer"
    if "prosumer" in member["roles"]:
        kind = "prosumer"
        day = day_of(rules, from_slot)
        standings[meter] = Standing(from_day=day, active_day=day, failures=0, removed="")
    elif "producer" in member["roles"]:
        kind = "producer"
        require(len(producers.keys((), limit=MAX_PRODUCERS)) < MAX_PRODUCERS, "COMMUNITY_FULL")
        producers[meter] = Wind(
            reputation=rules.options.first_reputation, efficiency=rules.options.efficiency, term=0, hours=0, promised=0,
            missed=0,
        )
    stores = "storage" in member["devices"] or "ev" in member["devices"]
    desk = Desk(
        account=account, meter=meter, owner=owner, cap_wh=cap_wh, kind=kind, stores=stores, from_slot=from_slot,
        active=True,
    )
    desks[account] = desk
    desks[meter] = desk
    meters[meter] = from_slot


@export
def set_active(account: Address, active: bool) -> None:
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    desk = desks[account].replace(active=active)
    desks[account] = desk
    desks[desk.meter] = desk


def active_desk() -> Desk:
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(desk.active, "SUSPENDED")
    return desk


@export
def post_efficiency(meter: Address, efficiency: int) -> None:
    """The grid company states the efficiency (ppm) of a producer's turbine over its life; it counts from the next day."""
    require(ctx.sender == houses.get().grid, "NOT_ALLOWED")
    require(0 <= efficiency <= ONE, "BAD_RATIO")
    wind = producers.get(meter)
    if wind is None:
        revert("NOT_PRODUCER")
    producers[meter] = wind.replace(efficiency=efficiency)
    emit(EfficiencyPosted, meter=meter, efficiency=efficiency)


@export
def readmit(meter: Address, reason: str) -> None:
    """The energy bureau ranks a removed prosumer again."""
    require(ctx.sender == houses.get().bureau, "NOT_ALLOWED")
    require(0 < len(reason) <= 64, "BAD_TEXT")
    standing = standings.get(meter)
    if standing is None or standing.removed == "":
        revert("NOT_REMOVED")
    take_back(meter, reason)


def take_back(meter: Address, reason: str) -> None:
    rules = rules_cell.get()
    day = max(0, day_of(rules, max(rules.first_slot, (ctx.market_time_ms - rules.slot0_ms) // rules.slot_ms)))
    standings[meter] = Standing(from_day=day, active_day=day, failures=0, removed="")
    emit(Readmitted, meter=meter, reason=reason)
