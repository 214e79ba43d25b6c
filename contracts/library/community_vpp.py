"""Market B: a community's virtual power plant. Prosumers offer, consumers bid on offers, the rest goes to a pool or the grid.

Rules of section 3 of the market spec; they are the pure functions of one part of this source, and everything else brings
them orders and readings and books what they say. A slot is matched in one scheduled call and settled in another, so the
book of a slot and the number of meters are bounded (`MAX_QUOTATIONS`, `MAX_BIDS`, `MAX_METERS`).

The operator of the plant is the community account: it gets the fees and the deposits of bids that were not revealed.
"""

ONE = 1_000_000
WATT_MS_PER_WH = 3_600_000
MAX_METERS = 256
MAX_QUOTATIONS = 128
MAX_BIDS = 512
QUOTATIONS_EACH = 8
BIDS_EACH = 16
PER_CALL = 128
MAX_PAGE = 256
NO_TARIFF = 2**63
GAS_STEP = 10_000_000
GAS_WHOLE = 20_000_000
GAS_SIGNAL = 1_000_000

SELL = 0
BUY = 1

OPEN = 1
FORFEIT = 2
MATCH = 3
MATCHED = 4
SETTLED = 5
PHASES = ("future", "open", "forfeit", "match", "matched", "settled")

OUT_WH = 0
IN_WH = 1
POOL_OUT_WH = 2
POOL_IN_WH = 3
GRID_BUY_WH = 4
GRID_SELL_WH = 5
RECEIVED = 6
PAID = 7
SUBSIDY = 8
PENALTY = 9
FEES = 10
GRID_COST = 11
GRID_INCOME = 12
LINE = 13

NO_TRADE = 0
INSIDE = 1
OUTSIDE = 2

Options = record(
    "Options", sbp=u64, ssp=u64, fee=u64, band=u64, subsidy=u64, cap=u64, check_ask=bool, priority=bool, by_unit=bool,
    self_trade=bool, fee_guard=bool, pool=bool,
)
Rules = record(
    "Rules", slot_ms=u64, slot0_ms=u64, first_slot=u64, last_slot=u64, open_ms=u64, close_ms=u64, t1_ms=u64,
    grace_ms=u64, late_ms=u64, max_price=u64, margin_ppm=u64, deposit=u64, sealed=bool, owner_settles=bool,
    options=Options, tariff_from=u64,
)
Desk = record("Desk", account=Address, meter=Address, owner=bytes, cap_wh=u64, active=bool)
Meter = record("Meter", account=Address, owner=bytes, from_slot=u64)
Quotation = record(
    "Quotation", meter=Address, owner=bytes, wh=u64, left_wh=u64, price=u64, time_ms=u64, valid=bool, escrow=u256,
)
Bid = record(
    "Bid", meter=Address, owner=bytes, wh=u64, left_wh=u64, price=u64, status=str, escrow=u256,
)
Trade = record(
    "Trade", quotation=u64, bid=u64, seller=Address, buyer=Address, wh=u64, price=u64,
)
Position = record("Position", side=u64, orders=u64, escrow=u256)
State = record(
    "State", phase=u64, quotations=u64, bids=u64, trades=u64, traded_wh=u64, traded_money=u256, unsold_wh=u64,
    unmet_wh=u64,
)
Score = record("Score", good=u64, defaults=u64, waive=bool)
PoolMove = record("PoolMove", giver=Address, taker=Address, wh=u64)
Settlement = record(
    "Settlement", account=Address, sold_wh=u64, bought_wh=u64, generation_wh=u64, use_wh=u64, lines=list[int], net=int,
    difference=int, estimated=bool, performance=u64, good_before=u64, waive_before=bool,
)

rules_cell = Var(Rules)
grid_account = Var(Address)
operator_account = Var(Address)
desks = Map(Address, Desk)
meters = Map(Address, Meter)
population = Var(u64, default=0)
scores = Map(Address, Score)
next_seq = Var(u64, default=0)
quotations = Map((u64, u64), Quotation)
bids = Map((u64, u64, u64), Bid)
bidders = Map((u64, u64, Address), bool)
positions = Map((u64, Address), Position)
commitments = Map((u64, Address, bytes), u64)
states = Map(u64, State)
trades = Map((u64, u64), Trade)
pool_moves = Map((u64, u64), PoolMove)
settlements = Map((u64, Address), Settlement)
corrections = Map((u64, Address, u64), Settlement)
revisions = Map((u64, Address), u64, default=0)
again = Map(u64, bool)
tariff_of = Map(u64, list[u64])

SlotOpened = event("SlotOpened", indexed=("slot",), slot=u64, start_ms=u64, close_ms=u64, t1_ms=u64, end_ms=u64)
QuotationOffered = event(
    "QuotationOffered", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, wh=u64, price=u64, escrow=u256,
)
QuotationWithdrawn = event(
    "QuotationWithdrawn", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, rejected=u64,
)
BidPlaced = event(
    "BidPlaced", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, quotation=u64, wh=u64, price=u64,
    escrow=u256,
)
BidRejected = event(
    "BidRejected", indexed=("slot", "meter"), slot=u64, meter=Address, quotation=u64, wh=u64, price=u64, reason=str,
)
BidCommitted = event(
    "BidCommitted", indexed=("slot", "meter"), slot=u64, meter=Address, commitment=bytes, deposit=u256,
)
DepositLost = event("DepositLost", indexed=("slot", "meter"), slot=u64, meter=Address, commitment=bytes, deposit=u256)
Traded = event(
    "Traded", indexed=("slot", "seller", "buyer"), slot=u64, quotation=u64, bid=u64, seller=Address, buyer=Address,
    wh=u64, price=u64, money=u256,
)
BidDecided = event(
    "BidDecided", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, quotation=u64, status=str, left_wh=u64,
    released=u256,
)
SlotMatched = event(
    "SlotMatched", indexed=("slot",), slot=u64, trades=u64, traded_wh=u64, traded_money=u256, unsold_wh=u64,
    unmet_wh=u64,
)
SlotDelivered = event("SlotDelivered", indexed=("slot",), slot=u64, end_ms=u64)
Delivered = event(
    "Delivered", indexed=("slot", "seller", "buyer"), slot=u64, quotation=u64, bid=u64, seller=Address, buyer=Address,
    wh=u64, delivered_wh=u64, paid=u256, subsidy=u256, consumer_fee=u256, prosumer_fee=u256, revision=u64,
)
Settled = event(
    "Settled", indexed=("slot", "meter"), slot=u64, meter=Address, account=Address, sold_wh=u64, bought_wh=u64,
    generation_wh=u64, use_wh=u64, lines=list[int], net=int, estimated=bool,
)
SlotSettled = event(
    "SlotSettled", indexed=("slot",), slot=u64, meters=u64, estimated=u64, generation_wh=u64, use_wh=u64,
    delivered_wh=u64, pool_wh=u64, grid_sales_wh=u64, grid_purchases_wh=u64, members_net=int, grid_net=int,
    operator_net=int,
)
Corrected = event(
    "Corrected", indexed=("slot", "meter"), slot=u64, meter=Address, account=Address, revision=u64, generation_wh=u64,
    use_wh=u64, lines=list[int], net=int, difference=int,
)


@init
def setup(
    grid: Address, operator: Address, calendar: list[u64], prices: list[u64], terms: list, sealed: bool,
    owner_settles: bool,
) -> None:
    """`calendar`: slot_ms, slot0_ms, first and last slot, then in slots: open, reveal, T1 before delivery, grace and late
    after it. `prices`: highest price, margin of rated power (ppm), deposit of a sealed bid. `terms`: see `options_from`.
    `owner_settles`: as published, only the operator may settle a slot; else the chain does."""
    slot_ms = calendar[0]
    grid_account.set(grid)
    operator_account.set(operator)
    close = calendar[6]
    if sealed:
        close = calendar[5]
    rules = Rules(
        slot_ms=slot_ms, slot0_ms=calendar[1], first_slot=calendar[2], last_slot=calendar[3],
        open_ms=calendar[4] * slot_ms, close_ms=close * slot_ms, t1_ms=calendar[6] * slot_ms,
        grace_ms=calendar[7] * slot_ms, late_ms=calendar[8] * slot_ms, max_price=prices[0], margin_ppm=prices[1],
        deposit=prices[2], sealed=sealed, owner_settles=owner_settles, options=options_from(terms),
        tariff_from=NO_TARIFF,
    )
    rules_cell.set(rules)
    schedule(calendar[1] + (calendar[2] - calendar[4]) * slot_ms, "open_slot", calendar[2], gas=GAS_STEP)


def options_from(terms: list) -> Options:
    """[sbp, ssp, fee, band, subsidy, cap, check_ask, priority, by_unit, self_trade, fee_guard, pool]: prices, money and
    ppm; then whether a bid below the ask is refused, good performers rank first, the rank is by unit price, an owner may
    trade with itself, a trade needs a gain above the fee, surpluses meet shortages before the grid."""
    return Options(
        sbp=terms[0], ssp=terms[1], fee=terms[2], band=terms[3], subsidy=terms[4], cap=terms[5], check_ask=terms[6],
        priority=terms[7], by_unit=terms[8], self_trade=terms[9], fee_guard=terms[10], pool=terms[11],
    )


def tariffed(rules: Rules, slot: int) -> Rules:
    """The rules with the tariff of a slot that has opened; where none is posted those of genesis."""
    if slot < rules.tariff_from:
        return rules
    found = tariff_of.get(slot)
    if found is None:
        return rules
    return rules.replace(options=rules.options.replace(sbp=found[0], ssp=found[1]))


def start_of(rules: Rules, slot: int) -> int:
    return rules.slot0_ms + slot * rules.slot_ms


# Members


@export
def enrol(account: Address, meter: Address, owner: bytes, rated_w: u64) -> None:
    """The registry approved this member. It is settled from the next slot on."""
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
    desk = Desk(account=account, meter=meter, owner=owner, cap_wh=cap_wh, active=True)
    desks[account] = desk
    desks[meter] = desk
    meters[meter] = Meter(account=account, owner=owner, from_slot=from_slot)


@export
def set_active(account: Address, active: bool) -> None:
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    desk = desks[account].replace(active=active)
    desks[account] = desk
    desks[desk.meter] = desk
