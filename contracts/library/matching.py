"""Market D: users and providers matched by degree, electronic orders, settlement by what two devices say (spec section 6).

A cycle is a slot of metered time. Requests and offers are kept until the gate; then the matching degrees M of all pairs are
fixed, and at the match the assignment is made: exactly for few users, else the best solution that someone submitted and this
contract checked, else the greedy one. Each pair becomes an electronic order, routed over the grid, with the user's money in
escrow. After delivery both devices report; an order settles when its provider applies for it or by a scheduled call, the
meters of the slot settle with the grid, and reputations follow. Nothing waits for a call that might never come.

Money of orders is in tokens: `tokens_of(money, rate)` with the rate of the cycle, which the trading center posts.
"""

ONE = 1_000_000
WATT_MS_PER_WH = 3_600_000
NOT_ALLOWED = -1
NO_READING = 2**63
MAX_USERS = 256
MAX_PROVIDERS = 32
EXACT_USERS = 12
EXACT_STEPS = 120_000
ORDERS_PER_CALL = 64
METERS_PER_CALL = 64
ROWS_PER_CALL = 128
MAX_VERSIONS = 1024
MAX_CORRECTIONS = 16
MAX_PAGE = 256
PROGRESS_MS = 60_000
GAS_STEP = 10_000_000
GAS_MATCH = 19_500_000
GAS_EXACT = 16_500_000
GAS_SIGNAL = 1_000_000

OFFER = 0
REQUEST = 1

OPEN = 1
CLOSED = 2
MATCHED = 3
SETTLING = 4
CLOSING = 5
SETTLED = 6
PHASES = ("future", "open", "closed", "matched", "settling", "closing", "settled")

MADE = 1
DONE = 2
DISPUTED = 3
EXPIRED = 4

Rules = record(
    "Rules", slot_ms=u64, slot0_ms=u64, first=u64, last=u64, open_ms=u64, reveal_ms=u64, gate_ms=u64, match_ms=u64,
    grace_ms=u64, late_ms=u64, rule_ms=u64, apply_ms=u64, feed=u64, retail=u64, ceiling=u64, margin_ppm=u64, deposit=u64,
    reward=u64, loss_ppm=u64, step_ppm=u64, alpha=u64, v_cap=u64, first_rc=u64, newcomers=u64, sealed=bool,
    self_trade=bool, checked=bool, weighted=bool, saving=bool, third_meter=bool,
)
Houses = record("Houses", grid=Address, community=Address, trading_center=Address, notary=Address)
Desk = record("Desk", account=Address, meter=Address, owner=bytes, bus=str, cap_wh=u64, active=bool)
Meter = record("Meter", account=Address, from_slot=u64)
Entry = record("Entry", account=Address, owner=bytes, bus=str, wh=u64, price=u64, escrow=u256)
Cycle = record(
    "Cycle", phase=u64, rate=u64, offers=u64, requests=u64, by=str, served=u64, served_bound=u64, sum_m=u256, m_bound=u256,
    first_order=u64, orders=u64, next_order=u64, cursor=bytes,
)
Table = record(
    "Table", users=list[Address], wh=list[u64], providers=list[Address], capacity=list[u64], prices=list[u64],
    rcs=list[u64],
)
Solution = record(
    "Solution", by=Address, choice=list[u64], served=u64, served_bound=u64, sum_m=u256, m_bound=u256, digest=bytes,
)
Order = record(
    "Order", cycle=u64, user=Address, provider=Address, payer=Address, payee=Address, wh=u64, price=u64, fee=u64, rate=u64,
    escrow=u256, reward=u256, loss=u64, path=list[u64], curtailed_wh=u64, state=u64, sent=u64, received=u64,
    reported_ms=u64, estimated=bool, used_sent=u64, used_received=u64, paid=u256, fee_paid=u256, reward_paid=u256, held=u256,
)
Progress = record("Progress", wh=u64, market_time_ms=u64)
Claim = record("Claim", by=Address, sent=u64, received=u64, third_sent=u64, third_received=u64, evidence=list[bytes])
Position = record(
    "Position", side=u64, account=Address, wh=u64, escrow=u256, sent=u64, received=u64, receipts=u256, payments=u256,
    fees=u256, rewards=u256, values=u256, weights=u256,
)
Settlement = record(
    "Settlement", account=Address, sent_wh=u64, received_wh=u64, generation_wh=u64, use_wh=u64, grid_buy_wh=u64,
    grid_sell_wh=u64, trade_receipts=u256, trade_payments=u256, grid_fees=u256, rewards=u256, grid_cost=u256,
    grid_income=u256, net=int, difference=int, estimated=bool,
)
Reputation = record("Reputation", rc=u64, cycles=u64, last_cycle=u64)

rules_cell = Var(Rules)
houses = Var(Houses)
desks = Map(Address, Desk)
meters = Map(Address, Meter)
rate_starts = Var(list[u64], default=[])
rates = Map(u64, u64)
cycles = Map(u64, Cycle)
entries = Map((u64, u64, Address), Entry)
commitments = Map((u64, Address), bytes)
tables = Map(u64, Table)
degrees = Map((u64, u64), list[int])
fee_rows = Map((u64, u64), list[u64])
solutions = Map(u64, Solution)
next_order = Var(u64, default=0)
orders = Map(u64, Order)
orders_by_meter = Map((Address, u64), bool)
progresses = Map((u64, u64), Progress)
claims = Map(u64, Claim)
positions = Map((u64, Address), Position)
totals_of = Map(u64, list[int])
settlements = Map((u64, Address), Settlement)
corrections = Map((u64, Address, u64), Settlement)
reputations = Map(Address, Reputation)
tariff_of = Map(u64, list[u64])

CycleOpened = event("CycleOpened", indexed=("cycle",), cycle=u64, start_ms=u64, gate_ms=u64, match_ms=u64, rate=u64)
Placed = event(
    "Placed", indexed=("cycle", "meter"), cycle=u64, meter=Address, side=str, wh=u64, price=u64, escrow=u256,
)
Withdrawn = event("Withdrawn", indexed=("cycle", "meter"), cycle=u64, meter=Address, side=str, released=u256)
Committed = event("Committed", indexed=("cycle", "meter"), cycle=u64, meter=Address, commitment=bytes, deposit=u256)
DepositLost = event("DepositLost", indexed=("cycle", "meter"), cycle=u64, meter=Address, deposit=u256)
CycleClosed = event("CycleClosed", indexed=("cycle",), cycle=u64, users=u64, providers=u64, exact=bool)
Submitted = event(
    "Submitted", indexed=("cycle",), cycle=u64, by=Address, served=u64, served_bound=u64, sum_m=u256, m_bound=u256,
)
CycleMatched = event(
    "CycleMatched", indexed=("cycle",), cycle=u64, by=str, served=u64, served_bound=u64, sum_m=u256, m_bound=u256,
    gap_ppm=u64, orders=u64, curtailed_wh=u64,
)
OrderMade = event(
    "OrderMade", indexed=("cycle", "user", "provider"), order=u64, cycle=u64, user=Address, provider=Address, wh=u64,
    price=u64, fee=u64, rate=u64, escrow=u256, reward=u256, path=list[u64], curtailed_wh=u64, deadline_ms=u64,
)
CycleDelivered = event("CycleDelivered", indexed=("cycle",), cycle=u64, end_ms=u64)
Progressed = event("Progressed", indexed=("order",), order=u64, meter=Address, wh=u64)
Reported = event("Reported", indexed=("order",), order=u64, meter=Address, side=str, wh=u64, late=bool)
OrderDisputed = event("OrderDisputed", indexed=("order",), order=u64, by=Address, sent=u64, received=u64)
EvidenceAdded = event("EvidenceAdded", indexed=("order",), order=u64, by=Address, digest=bytes)
OrderRuled = event("OrderRuled", indexed=("order",), order=u64, by=str, sent=u64, received=u64)
OrderSettled = event(
    "OrderSettled", indexed=("order", "user", "provider"), order=u64, cycle=u64, user=Address, provider=Address, sent=u64,
    received=u64, deduction=u256, paid=u256, grid_fee=u256, refund=u256, reward=u256, held=u256, state=str, estimated=bool,
)
OrderCorrected = event(
    "OrderCorrected", indexed=("order",), order=u64, cycle=u64, sent=u64, received=u64, paid=u256, grid_fee=u256,
    reward=u256, paid_before=u256, fee_before=u256, reward_before=u256,
)
Settled = event(
    "Settled", indexed=("cycle", "meter"), cycle=u64, meter=Address, account=Address, sent_wh=u64, received_wh=u64,
    generation_wh=u64, use_wh=u64, grid_buy_wh=u64, grid_sell_wh=u64, trade_receipts=u256, trade_payments=u256,
    grid_fees=u256, rewards=u256, grid_cost=u256, grid_income=u256, net=int, estimated=bool,
)
CycleSettled = event(
    "CycleSettled", indexed=("cycle",), cycle=u64, meters=u64, estimated=u64, generation_wh=u64, use_wh=u64, sent_wh=u64,
    received_wh=u64, grid_sales_wh=u64, grid_purchases_wh=u64, trade_money=u256, grid_fees=u256, grid_sales_money=u256,
    grid_purchases_money=u256,
)
Corrected = event(
    "Corrected", indexed=("cycle", "meter"), cycle=u64, meter=Address, account=Address, revision=u64, generation_wh=u64,
    use_wh=u64, grid_buy_wh=u64, grid_sell_wh=u64, net=int, difference=int,
)
ReputationUpdated = event(
    "ReputationUpdated", indexed=("provider",), provider=Address, cycle=u64, rc=u64, before=u64,
)
RatePosted = event("RatePosted", indexed=("from_cycle",), from_cycle=u64, rate=u64)


@init
def setup(
    institutions: list[Address], calendar: list[u64], prices: list[u64], reputation: list[u64], options: list[bool]
) -> None:
    """`institutions`: grid company, community, trading center, notary. `calendar`: slot_ms, slot0_ms, first and last cycle,
    then in slots: open, reveal, gate, match before delivery, grace, late, ruling after it, then ms from the second report to
    an application. `prices`: feed, retail, ceiling, margin of rated power (ppm), deposit, reward (tokens an order),
    reasonable loss (ppm of the order), largest step of the token rate (ppm). `reputation`: alpha, cap of v (0: none), first
    RC, a cycle by price every so many (0: never). `options`: sealed, self_trade, deduct beyond the reasonable loss, v
    weighted by energy, z = user's saving, disputes by a third meter."""
    slot_ms = calendar[0]
    houses.set(
        Houses(grid=institutions[0], community=institutions[1], trading_center=institutions[2], notary=institutions[3])
    )
    rules_cell.set(
        Rules(
            slot_ms=slot_ms, slot0_ms=calendar[1], first=calendar[2], last=calendar[3], open_ms=calendar[4] * slot_ms,
            reveal_ms=calendar[5] * slot_ms, gate_ms=calendar[6] * slot_ms, match_ms=calendar[7] * slot_ms,
            grace_ms=calendar[8] * slot_ms, late_ms=calendar[9] * slot_ms, rule_ms=calendar[10] * slot_ms,
            apply_ms=calendar[11], feed=prices[0], retail=prices[1], ceiling=prices[2], margin_ppm=prices[3],
            deposit=prices[4], reward=prices[5], loss_ppm=prices[6], step_ppm=prices[7], alpha=reputation[0],
            v_cap=reputation[1], first_rc=reputation[2], newcomers=reputation[3], sealed=options[0],
            self_trade=options[1], checked=options[2], weighted=options[3], saving=options[4], third_meter=options[5],
        )
    )
    start = calendar[1] + calendar[2] * slot_ms
    schedule(start - calendar[4] * slot_ms, "open_cycle", calendar[2], gas=GAS_SIGNAL)


def tariffed(rules: Rules, cycle: int) -> Rules:
    """The rules with the tariff of a cycle."""
    found = tariff_of.get(cycle)
    if found is None:
        return rules
    ceiling = found[1] if rules.ceiling == rules.retail else rules.ceiling
    return rules.replace(feed=found[0], retail=found[1], ceiling=ceiling)


def start_of(rules: Rules, cycle: int) -> int:
    return rules.slot0_ms + cycle * rules.slot_ms


def end_of(rules: Rules, cycle: int) -> int:
    return start_of(rules, cycle) + rules.slot_ms


# Members


@export
def enrol(account: Address, meter: Address, owner: bytes, rated_w: u64) -> None:
    """The registry approved this member. It is settled from the next slot on."""
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    rules = rules_cell.get()
    from_slot = rules.first
    elapsed = ctx.market_time_ms - rules.slot0_ms
    if elapsed >= 0:
        from_slot = max(from_slot, elapsed // rules.slot_ms + 1)
    cap_wh = rated_w * rules.slot_ms * (ONE + rules.margin_ppm) // (WATT_MS_PER_WH * ONE) + 1
    bus = view_call("registry", "member", account)["connection"]
    desk = Desk(account=account, meter=meter, owner=owner, bus=bus, cap_wh=cap_wh, active=True)
    desks[account] = desk
    desks[meter] = desk
    meters[meter] = Meter(account=account, from_slot=from_slot)


@export
def set_active(account: Address, active: bool) -> None:
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    desk = desks[account].replace(active=active)
    desks[account] = desk
    desks[desk.meter] = desk


def desk_of(sender: Address) -> Desk:
    desk = desks.get(sender)
    if desk is None:
        revert("NOT_MEMBER")
    return desk


# The token rate, with validity: it holds from a cycle on whose window has not opened


@export
def post_rate(from_cycle: u64, rate: u64) -> None:
    """Tokens per currency unit (ppm), at most `step_ppm` away from the one before; the first one is `ONE`."""
    require(ctx.sender == houses.get().trading_center, "NOT_ALLOWED")
    rules = rules_cell.get()
    known = rate_starts.get()
    require(start_of(rules, from_cycle) - rules.open_ms > ctx.market_time_ms, "CYCLE_BEGUN")
    require(len(known) < MAX_VERSIONS, "TOO_MANY_VERSIONS")
    require(len(known) == 0 or known[len(known) - 1] < from_cycle, "NOT_AFTER_LAST")
    before = rate_of(from_cycle)
    require(rate > 0 and abs(rate - before) * ONE <= before * rules.step_ppm, "RATE_STEP")
    rates[from_cycle] = rate
    rate_starts.set(known + [from_cycle])
    emit(RatePosted, from_cycle=from_cycle, rate=rate)


def rate_of(cycle: int) -> int:
    rate = ONE
    for start in rate_starts.get():
        if start <= cycle:
            rate = rates[start]
    return rate
