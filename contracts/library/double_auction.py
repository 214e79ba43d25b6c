"""Market C: a two-stage double auction with metered settlement; the rest goes to the grid (rules 4.1 of the market spec).

The book is sorted by storage key (slot, queue, rank, seq): queues 0 and 1 hold asks and bids of stage 1, 2 and 3 those of
stage 2; the rank of a bid is RANK_TOP - price, so that ascending keys are the order of matching. Everything a slot needs
is done by scheduled calls in bounded batches: `advance` runs the phases of clearing, `settle_slot` and `settle_batch`
settle. A batch that does not finish schedules the next at the same due time, which comes before any later phase.

`pricing` says what trades of a stage cost. MIDPOINT: each the midpoint of its pair. CLEAR: all the midpoint of the last
crossing pair. MCAFEE: all the midpoint of the orders after that pair where it suits that pair; else that pair does not
trade, the others trade at its two prices, and what buyers pay beyond what sellers get is the community's.

Where genesis names a bridge, what stays unmatched after the last stage is offered to it (`crossing`), at the price at which
it stood; without one it is the grid's alone.

Until settlement escrow stays with the token contract; `Order.cover` is the price it was locked at. The account of this
contract is the counterparty of every trade inside a settlement and is back at zero when the slot is settled.
"""

ONE = 1_000_000
WATT_MS_PER_WH = 3_600_000
RANK_TOP = 2**40
ORDERS_PER_CALL = 128
METERS_PER_CALL = 64
MAX_PASSED = 32
MAX_CORRECTIONS = 64
MAX_PAGE = 256
SMALL_TRADE_WH = 100
GAS_STEP = 10_000_000
GAS_SIGNAL = 1_000_000

MIDPOINT = 0
CLEAR = 1
MCAFEE = 2
PRICINGS = ("midpoint", "clear", "mcafee")

ASKS = 0
BIDS = 1
STAGE_TWO = 2
NO_QUOTE = 2**63
NO_PRICE = 2**63
NO_TARIFF = 2**63

OPEN = 1
FORFEIT = 2
MATCH_ONE = 3
BETWEEN = 4
FORFEIT_TWO = 5
QUOTE = 6
MATCH_TWO = 7
EXPIRE = 8
CLEARED = 9
SETTLING = 10
SETTLED = 11
PHASES = (
    "future", "open", "forfeit", "stage1", "between", "forfeit2", "quote", "stage2", "expire", "cleared", "settling",
    "settled",
)

Rules = record(
    "Rules", slot_ms=u64, slot0_ms=u64, first_slot=u64, last_slot=u64, open_ms=u64, reveal_ms=u64, t1_ms=u64,
    t2_ms=u64, grace_ms=u64, late_ms=u64, feed=u64, retail=u64, max_price=u64, margin_ppm=u64, two_stages=bool,
    hardened_pa=bool, self_trade=bool, sealed=bool, deposit=u64, pricing=u64, requote_ms=u64, tariff_from=u64,
)
Desk = record("Desk", account=Address, meter=Address, owner=Address, cap_wh=u64, active=bool)
Meter = record("Meter", account=Address, from_slot=u64)
Order = record(
    "Order", meter=Address, owner=Address, wh=u64, left=u64, price=u64, cover=u64, reference=bool, quote=u64,
)
Position = record("Position", side=u64, account=Address, wh=u64, money=u256, escrow=u256)
State = record(
    "State", phase=u64, ask_cursor=list[u64], bid_cursor=list[u64], trades=u64, traded_wh=u64, traded_money=u256,
    price_sum=u256, value=u256, large_wh=u64, large_value=u256, pa=u64, unsold_wh=u64, unmet_wh=u64, surplus=u256,
    lefts=list[u64], last=list[u64], prices=list[u64],
)
Sums = record(
    "Sums", trades=u64, wh=u64, money=u256, surplus=u256, price_sum=u256, value=u256, large_wh=u64, large_value=u256,
)
Deals = record(
    "Deals", sellers=list[Address], buyers=list[Address], wh=list[u64], prices=list[u64], surplus=list[u64],
)
Totals = record(
    "Totals", cursor=bytes, meters=u64, estimated=u64, sold_wh=u64, bought_wh=u64, generation_wh=u64, use_wh=u64,
    grid_buy_wh=u64, grid_sell_wh=u64, receipts=u256, payments=u256, grid_cost=u256, grid_income=u256,
)
Settlement = record(
    "Settlement", account=Address, sold_wh=u64, bought_wh=u64, generation_wh=u64, use_wh=u64, grid_buy_wh=u64,
    grid_sell_wh=u64, trade_receipts=u256, trade_payments=u256, grid_cost=u256, grid_income=u256, net=int,
    difference=int, estimated=bool,
)

rules_cell = Var(Rules)
grid_account = Var(Address)
community_account = Var(Address)
desks = Map(Address, Desk)
meters = Map(Address, Meter)
next_seq = Var(u64, default=0)
book = Map((u64, u64, u64, u64), Order)
positions = Map((u64, Address), Position)
commitments = Map((u64, Address, bytes), u64)
deals = Map((u64, u64), Deals)
tariff_of = Map(u64, list[u64])
bridge_cell = Var(str, default="")
states = Map(u64, State)
totals_of = Map(u64, Totals)
settlements = Map((u64, Address), Settlement)
corrections = Map((u64, Address, u64), Settlement)

SlotOpened = event("SlotOpened", indexed=("slot",), slot=u64, start_ms=u64, t1_ms=u64, t2_ms=u64, end_ms=u64)
OrderAccepted = event(
    "OrderAccepted", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, side=str, wh=u64, price=u64,
    requote=str, escrow=u256,
)
OrderWithdrawn = event(
    "OrderWithdrawn", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, wh=u64, released=u256, deposit=u256,
)
OrderRequoted = event(
    "OrderRequoted", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, price=u64, escrow=u256,
)
OrderCommitted = event(
    "OrderCommitted", indexed=("slot", "meter"), slot=u64, meter=Address, commitment=bytes, deposit=u256,
)
DepositLost = event("DepositLost", indexed=("slot", "meter"), slot=u64, meter=Address, commitment=bytes, deposit=u256)
Trade = event(
    "Trade", indexed=("slot", "seller", "buyer"), slot=u64, stage=u64, seller=Address, buyer=Address, wh=u64,
    price=u64, money=u256, surplus=u256, sell_seq=u64, buy_seq=u64,
)
StagePriced = event("StagePriced", indexed=("slot",), slot=u64, stage=u64, sell_price=u64, buy_price=u64)
ReferencePrice = event("ReferencePrice", indexed=("slot",), slot=u64, pa=u64)
OrderExpired = event(
    "OrderExpired", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, side=str, left_wh=u64,
    released=u256,
)
SlotCleared = event(
    "SlotCleared", indexed=("slot",), slot=u64, trades=u64, traded_wh=u64, traded_money=u256, pa=int | None, unsold_wh=u64,
    unmet_wh=u64,
)
SlotDelivered = event("SlotDelivered", indexed=("slot",), slot=u64, end_ms=u64)
Settled = event(
    "Settled", indexed=("slot", "meter"), slot=u64, meter=Address, account=Address, sold_wh=u64, bought_wh=u64,
    generation_wh=u64, use_wh=u64, grid_buy_wh=u64, grid_sell_wh=u64, trade_receipts=u256, trade_payments=u256,
    grid_cost=u256, grid_income=u256, net=int, estimated=bool,
)
SlotSettled = event(
    "SlotSettled", indexed=("slot",), slot=u64, meters=u64, estimated=u64, generation_wh=u64, use_wh=u64,
    traded_wh=u64, grid_sales_wh=u64, grid_purchases_wh=u64, trade_money=u256, grid_sales_money=u256,
    grid_purchases_money=u256, members_net=int, grid_net=int, surplus=u256,
)
Corrected = event(
    "Corrected", indexed=("slot", "meter"), slot=u64, meter=Address, account=Address, revision=u64,
    generation_wh=u64, use_wh=u64, grid_buy_wh=u64, grid_sell_wh=u64, grid_cost=u256, grid_income=u256, net=int,
    difference=int,
)


@init
def setup(
    grid: Address,
    community: Address,
    calendar: list[u64],
    prices: list[u64],
    two_stages: bool,
    hardened_pa: bool,
    self_trade: bool,
    sealed: bool,
    pricing: str,
    bridge: str,
) -> None:
    """`calendar`: slot_ms, slot0_ms, first and last slot, then in slots: open, reveal, T1, T2 before delivery, grace and
    late after it. `prices`: feed, retail, highest price, margin of rated power (ppm), deposit of a sealed order. `bridge`:
    name of the contract that takes unmatched orders elsewhere, "" for none."""
    slot_ms = calendar[0]
    require(pricing in PRICINGS, "BAD_PRICING")
    grid_account.set(grid)
    community_account.set(community)
    if bridge != "":
        bridge_cell.set(bridge)
    rules = Rules(
        slot_ms=slot_ms, slot0_ms=calendar[1], first_slot=calendar[2], last_slot=calendar[3],
        open_ms=calendar[4] * slot_ms, reveal_ms=calendar[5] * slot_ms, t1_ms=calendar[6] * slot_ms,
        t2_ms=calendar[7] * slot_ms, grace_ms=calendar[8] * slot_ms, late_ms=calendar[9] * slot_ms,
        feed=prices[0], retail=prices[1], max_price=prices[2], margin_ppm=prices[3], deposit=prices[4],
        two_stages=two_stages, hardened_pa=hardened_pa, self_trade=self_trade, sealed=sealed,
        pricing=PRICINGS.index(pricing), requote_ms=(calendar[6] + calendar[7]) * slot_ms // 2, tariff_from=NO_TARIFF,
    )
    rules_cell.set(rules)
    start = calendar[1] + calendar[2] * slot_ms
    schedule(start - calendar[4] * slot_ms, "open_slot", calendar[2], gas=GAS_STEP)


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def tariffed(rules: Rules, slot: int) -> Rules:
    """The rules with the tariff of a slot that has opened; where none is posted those of genesis."""
    if slot < rules.tariff_from:
        return rules
    found = tariff_of.get(slot)
    if found is None:
        return rules
    return rules.replace(feed=found[0], retail=found[1])


def start_of(rules: Rules, slot: int) -> int:
    return rules.slot0_ms + slot * rules.slot_ms


# Members


@export
def enrol(account: Address, meter: Address, owner: Address, rated_w: u64) -> None:
    """The registry approved this member. It is settled from the next slot on."""
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    rules = rules_cell.get()
    from_slot = rules.first_slot
    elapsed = ctx.market_time_ms - rules.slot0_ms
    if elapsed >= 0:
        from_slot = max(from_slot, elapsed // rules.slot_ms + 1)
    cap_wh = rated_w * rules.slot_ms * (ONE + rules.margin_ppm) // (WATT_MS_PER_WH * ONE) + 1
    desk = Desk(account=account, meter=meter, owner=owner, cap_wh=cap_wh, active=True)
    desks[account] = desk
    desks[meter] = desk
    meters[meter] = Meter(account=account, from_slot=from_slot)


@export
def set_active(account: Address, active: bool) -> None:
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    desk = desks[account].replace(active=active)
    desks[account] = desk
    desks[desk.meter] = desk
