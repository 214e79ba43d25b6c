"""Market C: a two-stage double auction with metered settlement; the rest goes to the grid (rules 4.1 of the market spec).

The book is sorted by storage key (slot, queue, rank, seq): queues 0 and 1 hold asks and bids of stage 1, 2 and 3 those of
stage 2; the rank of a bid is RANK_TOP - price, so that ascending keys are the order of matching. Everything a slot needs
is done by scheduled calls in bounded batches: `advance` runs the phases of clearing, `settle_slot` and `settle_batch`
settle. A batch that does not finish schedules the next at the same due time, which comes before any later phase.

Until settlement escrow stays with the token contract; `Order.cover` is the price it was locked at. The account of this
contract is the counterparty of every trade inside a settlement and is back at zero when the slot is settled.
"""

ONE = 1_000_000
WATT_MS_PER_WH = 3_600_000
RANK_TOP = 2**40
ORDERS_PER_CALL = 128
METERS_PER_CALL = 64
MAX_PASSED = 32
MAX_CORRECTIONS = 16
MAX_PAGE = 256
SMALL_TRADE_WH = 100
GAS_STEP = 60_000_000

ASKS = 0
BIDS = 1
STAGE_TWO = 2
NO_QUOTE = 2**63
NO_PRICE = 2**63

OPEN = 1
FORFEIT = 2
MATCH_ONE = 3
BETWEEN = 4
QUOTE = 5
MATCH_TWO = 6
EXPIRE = 7
CLEARED = 8
SETTLING = 9
SETTLED = 10
PHASES = (
    "future", "open", "forfeit", "stage1", "between", "quote", "stage2", "expire", "cleared", "settling", "settled",
)

Rules = record(
    "Rules",
    slot_ms=u64,
    slot0_ms=u64,
    first_slot=u64,
    last_slot=u64,
    open_ms=u64,
    reveal_ms=u64,
    t1_ms=u64,
    t2_ms=u64,
    grace_ms=u64,
    late_ms=u64,
    feed=u64,
    retail=u64,
    max_price=u64,
    margin_ppm=u64,
    two_stages=bool,
    hardened_pa=bool,
    self_trade=bool,
    sealed=bool,
    deposit=u64,
)
Desk = record("Desk", account=Address, meter=Address, owner=bytes, cap_wh=u64, active=bool)
Meter = record("Meter", account=Address, from_slot=u64)
Order = record("Order", meter=Address, wh=u64, left=u64, price=u64, cover=u64, reference=bool, quote=u64)
Position = record("Position", side=u64, account=Address, owner=bytes, wh=u64, money=u256, escrow=u256)
State = record(
    "State",
    phase=u64,
    cursor=list[u64],
    trades=u64,
    traded_wh=u64,
    traded_money=u256,
    price_sum=u256,
    value=u256,
    large_wh=u64,
    large_value=u256,
    pa=u64,
    unsold_wh=u64,
    unmet_wh=u64,
)
Totals = record(
    "Totals",
    cursor=bytes,
    meters=u64,
    estimated=u64,
    sold_wh=u64,
    bought_wh=u64,
    generation_wh=u64,
    use_wh=u64,
    grid_buy_wh=u64,
    grid_sell_wh=u64,
    receipts=u256,
    payments=u256,
    grid_cost=u256,
    grid_income=u256,
)
Settlement = record(
    "Settlement",
    account=Address,
    sold_wh=u64,
    bought_wh=u64,
    generation_wh=u64,
    use_wh=u64,
    grid_buy_wh=u64,
    grid_sell_wh=u64,
    trade_receipts=u256,
    trade_payments=u256,
    grid_cost=u256,
    grid_income=u256,
    net=int,
    difference=int,
    estimated=bool,
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
states = Map(u64, State)
totals_of = Map(u64, Totals)
settlements = Map((u64, Address), Settlement)
corrections = Map((u64, Address, u64), Settlement)

SlotOpened = event("SlotOpened", indexed=("slot",), slot=u64, start_ms=u64, t1_ms=u64, t2_ms=u64, end_ms=u64)
OrderAccepted = event(
    "OrderAccepted",
    indexed=("slot", "meter"),
    slot=u64,
    seq=u64,
    meter=Address,
    side=str,
    wh=u64,
    price=u64,
    requote=str,
    escrow=u256,
)
OrderWithdrawn = event(
    "OrderWithdrawn", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, wh=u64, released=u256
)
OrderRequoted = event(
    "OrderRequoted", indexed=("slot", "meter"), slot=u64, seq=u64, meter=Address, price=u64, escrow=u256
)
OrderCommitted = event(
    "OrderCommitted", indexed=("slot", "meter"), slot=u64, meter=Address, commitment=bytes, deposit=u256
)
DepositLost = event("DepositLost", indexed=("slot", "meter"), slot=u64, meter=Address, commitment=bytes, deposit=u256)
Trade = event(
    "Trade",
    indexed=("slot", "seller", "buyer"),
    slot=u64,
    stage=u64,
    seller=Address,
    buyer=Address,
    wh=u64,
    price=u64,
    money=u256,
    sell_seq=u64,
    buy_seq=u64,
)
ReferencePrice = event("ReferencePrice", indexed=("slot",), slot=u64, pa=u64)
OrderExpired = event(
    "OrderExpired",
    indexed=("slot", "meter"),
    slot=u64,
    seq=u64,
    meter=Address,
    side=str,
    left_wh=u64,
    released=u256,
)
SlotCleared = event(
    "SlotCleared",
    indexed=("slot",),
    slot=u64,
    trades=u64,
    traded_wh=u64,
    traded_money=u256,
    pa=int,
    unsold_wh=u64,
    unmet_wh=u64,
)
Settled = event(
    "Settled",
    indexed=("slot", "meter"),
    slot=u64,
    meter=Address,
    account=Address,
    sold_wh=u64,
    bought_wh=u64,
    generation_wh=u64,
    use_wh=u64,
    grid_buy_wh=u64,
    grid_sell_wh=u64,
    trade_receipts=u256,
    trade_payments=u256,
    grid_cost=u256,
    grid_income=u256,
    net=int,
    estimated=bool,
)
SlotSettled = event(
    "SlotSettled",
    indexed=("slot",),
    slot=u64,
    meters=u64,
    estimated=u64,
    generation_wh=u64,
    use_wh=u64,
    traded_wh=u64,
    grid_sales_wh=u64,
    grid_purchases_wh=u64,
    trade_money=u256,
    grid_sales_money=u256,
    grid_purchases_money=u256,
    members_net=int,
    grid_net=int,
)
Corrected = event(
    "Corrected",
    indexed=("slot", "meter"),
    slot=u64,
    meter=Address,
    account=Address,
    revision=u64,
    generation_wh=u64,
    use_wh=u64,
    grid_buy_wh=u64,
    grid_sell_wh=u64,
    grid_cost=u256,
    grid_income=u256,
    net=int,
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
) -> None:
    """`calendar`: slot_ms, slot0_ms, first and last slot, then in slots: open, reveal, T1, T2 before delivery, grace and
    late after it. `prices`: feed, retail, highest price, margin of rated power (ppm), deposit of a sealed order."""
    slot_ms = calendar[0]
    grid_account.set(grid)
    community_account.set(community)
    rules_cell.set(
        Rules(
            slot_ms=slot_ms,
            slot0_ms=calendar[1],
            first_slot=calendar[2],
            last_slot=calendar[3],
            open_ms=calendar[4] * slot_ms,
            reveal_ms=calendar[5] * slot_ms,
            t1_ms=calendar[6] * slot_ms,
            t2_ms=calendar[7] * slot_ms,
            grace_ms=calendar[8] * slot_ms,
            late_ms=calendar[9] * slot_ms,
            feed=prices[0],
            retail=prices[1],
            max_price=prices[2],
            margin_ppm=prices[3],
            deposit=prices[4],
            two_stages=two_stages,
            hardened_pa=hardened_pa,
            self_trade=self_trade,
            sealed=sealed,
        )
    )
    start = calendar[1] + calendar[2] * slot_ms
    schedule(start - calendar[4] * slot_ms, "open_slot", calendar[2], gas=GAS_STEP)


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def start_of(rules: Rules, slot: int) -> int:
    return rules.slot0_ms + slot * rules.slot_ms


# Members


@export
def enrol(account: Address, meter: Address, owner: bytes, rated_w: u64) -> None:
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


# Orders


@export
def submit_order(slot: int, side: str, wh: int, price: int, requote: str) -> int:
    """Place an order for a slot; its worst case is locked in escrow. Returns its seq."""
    rules = rules_cell.get()
    require(not rules.sealed, "SEALED")
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    left = rules.slot0_ms + slot * rules.slot_ms - ctx.market_time_ms
    require(left <= rules.open_ms and rules.first_slot <= slot <= rules.last_slot, "WINDOW_CLOSED")
    require(left > rules.t1_ms, "ORDER_LATE")
    return admit(rules, desk, slot, side, wh, price, requote)


def admit(rules: Rules, desk: Desk, slot: int, side: str, wh: int, price: int, requote: str) -> int:
    require(desk.active, "SUSPENDED")
    require(0 < wh <= desk.cap_wh, "BAD_WH")
    require(0 <= price <= rules.max_price, "BAD_PRICE")
    reference = requote == "reference"
    require(reference or requote == "keep", "BAD_REQUOTE")
    worst = price
    if side == "sell":
        queue = ASKS
        rank = price
        if reference and rules.two_stages and rules.feed < price:
            worst = rules.feed
        cover = max(0, rules.retail - worst)
    elif side == "buy":
        queue = BIDS
        rank = RANK_TOP - price
        if reference and rules.two_stages and rules.retail > price:
            worst = rules.retail
        cover = worst
    else:
        revert("BAD_SIDE")
    meter = desk.meter
    place = (slot, meter)
    position = positions.get(place)
    if position is None:
        positions[place] = Position(side=queue, account=desk.account, owner=desk.owner, wh=0, money=0, escrow=0)
    elif position.side != queue:
        revert("ONE_SIDE")
    seq = next_seq.get()
    next_seq.set(seq + 1)
    book[(slot, queue, rank, seq)] = Order(
        meter=meter, wh=wh, left=wh, price=price, cover=cover, reference=reference, quote=NO_QUOTE
    )
    escrow = cover * wh // 1000
    call("token", "lock", desk.account, escrow)
    emit(
        OrderAccepted,
        slot=slot,
        seq=seq,
        meter=meter,
        side=side,
        wh=wh,
        price=price,
        requote=requote,
        escrow=escrow,
    )
    return seq


def own_order(slot: int, side: str, price: int, seq: int, desk: Desk | None) -> tuple:
    """Key and order of the sender in the stage 1 book."""
    if desk is None:
        revert("NOT_MEMBER")
    require(slot >= 0 and seq >= 0 and 0 <= price <= RANK_TOP, "NO_ORDER")
    if side == "sell":
        key = (slot, ASKS, price, seq)
    elif side == "buy":
        key = (slot, BIDS, RANK_TOP - price, seq)
    else:
        revert("BAD_SIDE")
    order = book.get(key)
    if order is None:
        revert("NO_ORDER")
    require(order.meter == desk.meter, "NOT_YOURS")
    return (key, order)


@export
def withdraw_order(slot: int, side: str, price: int, seq: int) -> int:
    """Take an order out of the book before T1. Returns the escrow released."""
    rules = rules_cell.get()
    require(start_of(rules, slot) - ctx.market_time_ms > rules.t1_ms, "ORDER_LATE")
    desk = desks.get(ctx.sender)
    found = own_order(slot, side, price, seq, desk)
    order = found[1]
    del book[found[0]]
    released = amount(order.cover, order.wh)
    call("token", "settle", [[desk.account, released, 0]])
    emit(OrderWithdrawn, slot=slot, seq=seq, meter=order.meter, wh=order.wh, released=released)
    return released


@export
def requote_order(slot: int, side: str, price: int, seq: int, new_price: int) -> None:
    """Give an order left over from stage 1 its price for stage 2: once, between T1 and T2, with cover at that price."""
    rules = rules_cell.get()
    state = states.get(slot)
    if state is None or state.phase != BETWEEN:
        revert("NO_STAGE_TWO")
    require(start_of(rules, slot) - ctx.market_time_ms > rules.t2_ms, "ORDER_LATE")
    require(0 <= new_price <= rules.max_price, "BAD_PRICE")
    desk = desks.get(ctx.sender)
    found = own_order(slot, side, price, seq, desk)
    order = found[1]
    require(desk.active, "SUSPENDED")
    require(not order.reference and order.quote == NO_QUOTE, "REQUOTED")
    if side == "sell":
        cover = max(order.cover, rules.retail - new_price)
    else:
        cover = max(order.cover, new_price)
    extra = amount(cover, order.wh) - amount(order.cover, order.wh)
    book[found[0]] = order.replace(quote=new_price, cover=cover)
    call("token", "lock", desk.account, extra)
    emit(OrderRequoted, slot=slot, seq=seq, meter=order.meter, price=new_price, escrow=extra)


# Sealed orders: commit with a deposit, reveal after the commit phase has closed


@export
def commit_order(slot: int, commitment: bytes) -> None:
    """Commit to an order by SHA-256(side 1 | wh 8 | price 8 | requote 1 | nonce 32 | sender 32 | slot 8), big-endian."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(desk.active, "SUSPENDED")
    require(len(commitment) == 32, "BAD_COMMITMENT")
    left = start_of(rules, slot) - ctx.market_time_ms
    require(left <= rules.open_ms and rules.first_slot <= slot <= rules.last_slot, "WINDOW_CLOSED")
    require(left > rules.reveal_ms, "ORDER_LATE")
    key = (slot, ctx.sender, commitment)
    require(key not in commitments, "COMMITTED")
    commitments[key] = rules.deposit
    call("token", "lock", desk.account, rules.deposit)
    emit(OrderCommitted, slot=slot, meter=desk.meter, commitment=commitment, deposit=rules.deposit)


@export
def reveal_order(slot: int, side: str, wh: int, price: int, requote: str, nonce: bytes) -> int:
    """Open a commitment between the reveal gate and T1; its deposit returns and the order is placed. Returns its seq."""
    rules = rules_cell.get()
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    left = start_of(rules, slot) - ctx.market_time_ms
    require(left <= rules.reveal_ms, "WINDOW_CLOSED")
    require(left > rules.t1_ms, "ORDER_LATE")
    require(len(nonce) == 32 and 0 < wh <= desk.cap_wh and 0 <= price <= rules.max_price, "BAD_REVEAL")
    flags = 0
    if side == "buy":
        flags = 1
    again = 0
    if requote == "reference":
        again = 1
    text = flags.to_bytes(1, "big") + wh.to_bytes(8, "big") + price.to_bytes(8, "big") + again.to_bytes(1, "big")
    key = (slot, ctx.sender, sha256(text + nonce + ctx.sender + slot.to_bytes(8, "big")))
    require(key in commitments, "NO_COMMITMENT")
    call("token", "settle", [[desk.account, commitments[key], 0]])
    del commitments[key]
    return admit(rules, desk, slot, side, wh, price, requote)


# Clearing: scheduled


@export(scheduled=True)
def open_slot(due: int, slot: int) -> None:
    """The window of a slot opens; the next slot's opening and this one's T1 are scheduled."""
    rules = rules_cell.get()
    start = start_of(rules, slot)
    states[slot] = State(
        phase=OPEN,
        cursor=[],
        trades=0,
        traded_wh=0,
        traded_money=0,
        price_sum=0,
        value=0,
        large_wh=0,
        large_value=0,
        pa=NO_PRICE,
        unsold_wh=0,
        unmet_wh=0,
    )
    emit(
        SlotOpened,
        slot=slot,
        start_ms=start,
        t1_ms=start - rules.t1_ms,
        t2_ms=start - rules.t2_ms,
        end_ms=start + rules.slot_ms,
    )
    schedule(start - rules.t1_ms, "advance", slot, gas=GAS_STEP)
    if slot < rules.last_slot:
        schedule(due + rules.slot_ms, "open_slot", slot + 1, gas=GAS_STEP)


@export(scheduled=True)
def advance(due: int, slot: int) -> None:
    """Work through the phases of clearing, at most about `ORDERS_PER_CALL` orders of each side; go on in the next call."""
    rules = rules_cell.get()
    state = states[slot]
    if state.phase == OPEN:
        state = state.replace(phase=FORFEIT)
    elif state.phase == BETWEEN:
        state = state.replace(phase=QUOTE)
    budget = ORDERS_PER_CALL
    while budget > 0 and state.phase != BETWEEN and state.phase != CLEARED:
        if state.phase == FORFEIT:
            result = forfeit(slot, state, budget)
        elif state.phase == MATCH_ONE:
            result = match(rules, slot, 1, state, budget)
        elif state.phase == QUOTE:
            result = quote(rules, slot, state, budget)
        elif state.phase == MATCH_TWO:
            result = match(rules, slot, 2, state, budget)
        else:
            result = expire(slot, state, budget)
        state = result[0]
        budget -= result[1]
    states[slot] = state
    start = start_of(rules, slot)
    if state.phase == BETWEEN:
        schedule(start - rules.t2_ms, "advance", slot, gas=GAS_STEP)
    elif state.phase == CLEARED:
        schedule(start + rules.slot_ms + rules.grace_ms, "settle_slot", slot, False, gas=GAS_STEP)
    else:
        schedule(due, "advance", slot, gas=GAS_STEP)


def forfeit(slot: int, state: State, budget: int) -> tuple:
    """Deposits of commitments that were not revealed go to the community account."""
    rows = commitments.items((slot,), limit=budget)
    moves = []
    lost = 0
    for item in rows:
        key = item[0]
        desk = desks[key[1]]
        moves.append([desk.account, item[1], -item[1]])
        lost += item[1]
        del commitments[key]
        emit(DepositLost, slot=slot, meter=desk.meter, commitment=key[2], deposit=item[1])
    if len(moves) > 0:
        moves.append([community_account.get(), 0, lost])
        call("token", "settle", moves)
    if len(rows) < budget:
        state = state.replace(phase=MATCH_ONE)
    return (state, len(rows))


def held(cache: dict, slot: int, meter: Address) -> list:
    """A working copy of a meter's position: [position, Wh, money, escrow]."""
    found = cache.get(meter)
    if found is None:
        position = positions[(slot, meter)]
        found = [position, position.wh, position.money, position.escrow]
        cache[meter] = found
    return found


def write_back(cache: dict, slot: int) -> None:
    for item in cache.items():
        found = item[1]
        positions[(slot, item[0])] = found[0].replace(wh=found[1], money=found[2], escrow=found[3])


def store_fills(rows: list, left: list, cache: dict) -> None:
    """Delete filled orders, their escrow now belongs to the position; write back what was filled in part."""
    for index in range(len(rows)):
        key = rows[index][0]
        order = rows[index][1]
        if left[index] == 0:
            del book[key]
            found = cache[order.meter]
            found[3] = found[3] + amount(order.cover, order.wh)
        elif left[index] != order.left:
            book[key] = order.replace(left=left[index])


def match(rules: Rules, slot: int, stage: int, state: State, budget: int) -> tuple:
    """Asks by rank; each takes the bids by rank while they cross, passing at most `MAX_PASSED` of its own owner."""
    queue = ASKS
    if stage == 2:
        queue = STAGE_TWO
    limit = ORDERS_PER_CALL
    cursor = state.cursor
    after = None
    if len(cursor) > 0:
        after = (slot, queue, cursor[0], cursor[1])
    asks = book.items((slot, queue), after=after, limit=limit)
    bids = book.items((slot, queue + 1), limit=limit)
    ask_left = [item[1].left for item in asks]
    bid_left = [item[1].left for item in bids]
    cache = {}
    sums = [0, 0, 0, 0, 0, 0, 0]
    first = 0
    finished = len(bids) == 0
    index = 0
    while index < len(asks) and not finished:
        ask_key = asks[index][0]
        ask = asks[index][1]
        ask_price = ask_key[2]
        seller = held(cache, slot, ask.meter)
        at = first
        passed = 0
        crossing = True
        while crossing and ask_left[index] > 0 and at < len(bids):
            if bid_left[at] == 0:
                at += 1
            else:
                bid_key = bids[at][0]
                bid = bids[at][1]
                bid_price = RANK_TOP - bid_key[2]
                buyer = held(cache, slot, bid.meter)
                if bid_price < ask_price or passed > MAX_PASSED:
                    crossing = False
                elif not rules.self_trade and buyer[0].owner == seller[0].owner:
                    passed += 1
                    at += 1
                else:
                    wh = min(ask_left[index], bid_left[at])
                    price = (ask_price + bid_price) // 2
                    money = price * wh // 1000
                    ask_left[index] = ask_left[index] - wh
                    bid_left[at] = bid_left[at] - wh
                    seller[1] = seller[1] + wh
                    seller[2] = seller[2] + money
                    buyer[1] = buyer[1] + wh
                    buyer[2] = buyer[2] + money
                    sums[0] = sums[0] + 1
                    sums[1] = sums[1] + wh
                    sums[2] = sums[2] + money
                    sums[3] = sums[3] + price
                    sums[4] = sums[4] + price * wh
                    if wh >= SMALL_TRADE_WH:
                        sums[5] = sums[5] + wh
                        sums[6] = sums[6] + price * wh
                    emit(
                        Trade,
                        slot=slot,
                        stage=stage,
                        seller=ask.meter,
                        buyer=bid.meter,
                        wh=wh,
                        price=price,
                        money=money,
                        sell_seq=ask_key[3],
                        buy_seq=bid_key[3],
                    )
        while first < len(bids) and bid_left[first] == 0:
            first += 1
        if ask_left[index] > 0 and at == len(bids) and len(bids) == limit and crossing:
            break
        cursor = [ask_key[2], ask_key[3]]
        index += 1
        if first == len(bids):
            if len(bids) == limit:
                break
            finished = True
        elif not crossing and passed == 0:
            finished = True
    if index == len(asks) and len(asks) < limit:
        finished = True
    store_fills(asks, ask_left, cache)
    store_fills(bids, bid_left, cache)
    write_back(cache, slot)
    state = counted(state, stage, sums)
    if finished:
        state = after_match(rules, slot, stage, state.replace(cursor=[]))
    else:
        state = state.replace(cursor=cursor)
    return (state, index + first + 1)


def counted(state: State, stage: int, sums: list) -> State:
    state = state.replace(
        trades=state.trades + sums[0],
        traded_wh=state.traded_wh + sums[1],
        traded_money=state.traded_money + sums[2],
    )
    if stage == 1:
        state = state.replace(
            price_sum=state.price_sum + sums[3],
            value=state.value + sums[4],
            large_wh=state.large_wh + sums[5],
            large_value=state.large_value + sums[6],
        )
    return state


def after_match(rules: Rules, slot: int, stage: int, state: State) -> State:
    """Stage 2 follows a stage 1 with trades that left both queues non-empty; it needs their mean price Pa."""
    if stage == 2 or not rules.two_stages or state.trades == 0:
        return state.replace(phase=EXPIRE)
    if len(book.keys((slot, ASKS), limit=1)) == 0 or len(book.keys((slot, BIDS), limit=1)) == 0:
        return state.replace(phase=EXPIRE)
    if not rules.hardened_pa:
        pa = state.price_sum // state.trades
    else:
        if state.large_wh > 0:
            pa = state.large_value // state.large_wh
        else:
            pa = state.value // state.traded_wh
        pa = max(rules.feed, min(pa, rules.retail))
    emit(ReferencePrice, slot=slot, pa=pa)
    return state.replace(phase=BETWEEN, pa=pa)


def quote(rules: Rules, slot: int, state: State, budget: int) -> tuple:
    """Move what stage 1 left into the book of stage 2, at the reference quote, the new price or the old one."""
    queue = ASKS
    rows = book.items((slot, ASKS), limit=budget)
    if len(rows) == 0:
        queue = BIDS
        rows = book.items((slot, BIDS), limit=budget)
    for item in rows:
        key = item[0]
        order = item[1]
        price = order.price
        if order.quote != NO_QUOTE:
            price = order.quote
        elif order.reference and queue == ASKS:
            price = min(price, max(state.pa, rules.feed))
        elif order.reference:
            price = max(price, min(state.pa, rules.retail))
        del book[key]
        rank = price
        if queue == BIDS:
            rank = RANK_TOP - price
        book[(slot, STAGE_TWO + queue, rank, key[3])] = order
    if queue == BIDS and len(rows) < budget:
        state = state.replace(phase=MATCH_TWO)
    return (state, len(rows))


def expire(slot: int, state: State, budget: int) -> tuple:
    """Delete what is left in the book; the escrow of the energy that was not traded returns."""
    rows = book.items((slot,), limit=budget)
    cache = {}
    moves = []
    unsold = 0
    unmet = 0
    for item in rows:
        key = item[0]
        order = item[1]
        found = held(cache, slot, order.meter)
        kept = amount(order.cover, order.wh - order.left)
        released = amount(order.cover, order.wh) - kept
        found[3] = found[3] + kept
        moves.append([found[0].account, released, 0])
        side = "sell"
        if key[1] == BIDS or key[1] == STAGE_TWO + BIDS:
            side = "buy"
            unmet += order.left
        else:
            unsold += order.left
        del book[key]
        emit(
            OrderExpired,
            slot=slot,
            seq=key[3],
            meter=order.meter,
            side=side,
            left_wh=order.left,
            released=released,
        )
    write_back(cache, slot)
    if len(moves) > 0:
        call("token", "settle", moves)
    state = state.replace(unsold_wh=state.unsold_wh + unsold, unmet_wh=state.unmet_wh + unmet)
    if len(rows) < budget:
        state = state.replace(phase=CLEARED)
        emit(
            SlotCleared,
            slot=slot,
            trades=state.trades,
            traded_wh=state.traded_wh,
            traded_money=state.traded_money,
            pa=pa_or_none(state),
            unsold_wh=state.unsold_wh,
            unmet_wh=state.unmet_wh,
        )
    return (state, len(rows))


def pa_or_none(state: State) -> int | None:
    if state.pa == NO_PRICE:
        return None
    return state.pa


# Settlement: scheduled


@export(scheduled=True)
def settle_slot(due: int, slot: int, final: bool) -> None:
    """Begin settlement if all readings are in or this is the final call; else wait until the late slots have passed."""
    state = states[slot]
    if state.phase != CLEARED:
        return
    if not final and not view_call("metering", "complete", slot):
        rules = rules_cell.get()
        late = start_of(rules, slot) + rules.slot_ms + rules.late_ms
        schedule(late, "settle_slot", slot, True, gas=GAS_STEP)
        return
    states[slot] = state.replace(phase=SETTLING)
    totals_of[slot] = Totals(
        cursor=b"",
        meters=0,
        estimated=0,
        sold_wh=0,
        bought_wh=0,
        generation_wh=0,
        use_wh=0,
        grid_buy_wh=0,
        grid_sell_wh=0,
        receipts=0,
        payments=0,
        grid_cost=0,
        grid_income=0,
    )
    settle_some(due, slot)


@export(scheduled=True)
def settle_batch(due: int, slot: int) -> None:
    settle_some(due, slot)


def settle_some(due: int, slot: int) -> None:
    """Settle up to `METERS_PER_CALL` members, by meter address, each against the clearing account and the grid."""
    rules = rules_cell.get()
    totals = totals_of[slot]
    after = None
    if len(totals.cursor) > 0:
        after = totals.cursor
    rows = meters.items((), after=after, limit=METERS_PER_CALL)
    names = [item[0] for item in rows if item[1].from_slot <= slot]
    readings = view_call("metering", "measured", slot, names)
    moves = []
    sums = [0] * 11
    for index in range(len(names)):
        settle_meter(rules, slot, names[index], readings[index], moves, sums)
    moves.append([grid_account.get(), 0, sums[9] - sums[10]])
    moves.append([ctx.self_address, 0, sums[8] - sums[7]])
    call("token", "settle", moves)
    cursor = totals.cursor
    if len(rows) > 0:
        cursor = rows[len(rows) - 1][0]
    totals = totals.replace(
        cursor=cursor,
        meters=totals.meters + len(names),
        estimated=totals.estimated + sums[0],
        sold_wh=totals.sold_wh + sums[1],
        bought_wh=totals.bought_wh + sums[2],
        generation_wh=totals.generation_wh + sums[3],
        use_wh=totals.use_wh + sums[4],
        grid_buy_wh=totals.grid_buy_wh + sums[5],
        grid_sell_wh=totals.grid_sell_wh + sums[6],
        receipts=totals.receipts + sums[7],
        payments=totals.payments + sums[8],
        grid_cost=totals.grid_cost + sums[9],
        grid_income=totals.grid_income + sums[10],
    )
    totals_of[slot] = totals
    if len(rows) < METERS_PER_CALL:
        close_settlement(slot, totals)
    else:
        schedule(due, "settle_batch", slot, gas=GAS_STEP)


def lines(rules: Rules, sold: int, bought: int, generation: int, use: int) -> tuple:
    """Grid lines of one meter: Wh bought from and sold to the grid, their cost and income."""
    buy = max(0, sold - generation) + max(0, use - bought)
    sell = max(0, generation - sold) + max(0, bought - use)
    return (buy, sell, amount(rules.retail, buy), amount(rules.feed, sell))


def settle_meter(rules: Rules, slot: int, meter: Address, reading: list, moves: list, sums: list) -> None:
    key = (slot, meter)
    position = positions.get(key)
    sold = 0
    bought = 0
    receipts = 0
    payments = 0
    release = 0
    if position is None:
        account = meters[meter].account
    else:
        account = position.account
        release = position.escrow
        if position.side == ASKS:
            sold = position.wh
            receipts = position.money
        else:
            bought = position.wh
            payments = position.money
        del positions[key]
    generation = reading[1]
    use = reading[2]
    if reading[0] == 0:
        generation = sold
        use = bought
    grid = lines(rules, sold, bought, generation, use)
    net = receipts - payments + grid[3] - grid[2]
    estimated = reading[0] != 2
    settlements[key] = Settlement(
        account=account,
        sold_wh=sold,
        bought_wh=bought,
        generation_wh=generation,
        use_wh=use,
        grid_buy_wh=grid[0],
        grid_sell_wh=grid[1],
        trade_receipts=receipts,
        trade_payments=payments,
        grid_cost=grid[2],
        grid_income=grid[3],
        net=net,
        difference=net,
        estimated=estimated,
    )
    emit(
        Settled,
        slot=slot,
        meter=meter,
        account=account,
        sold_wh=sold,
        bought_wh=bought,
        generation_wh=generation,
        use_wh=use,
        grid_buy_wh=grid[0],
        grid_sell_wh=grid[1],
        trade_receipts=receipts,
        trade_payments=payments,
        grid_cost=grid[2],
        grid_income=grid[3],
        net=net,
        estimated=estimated,
    )
    moves.append([account, release, net])
    values = (int(estimated), sold, bought, generation, use, grid[0], grid[1], receipts, payments, grid[2], grid[3])
    for index in range(len(values)):
        sums[index] = sums[index] + values[index]


def close_settlement(slot: int, totals: Totals) -> None:
    """The laws of the slot: trades balance in energy and money, members + grid = 0, use - generation = sales - purchases."""
    members_net = totals.receipts - totals.payments + totals.grid_income - totals.grid_cost
    grid_net = totals.grid_cost - totals.grid_income
    require(totals.sold_wh == totals.bought_wh and totals.receipts == totals.payments, "TRADES_UNBALANCED")
    require(members_net + grid_net == 0, "MONEY_NOT_CONSERVED")
    require(
        totals.use_wh - totals.generation_wh == totals.grid_buy_wh - totals.grid_sell_wh, "ENERGY_NOT_CONSERVED"
    )
    states[slot] = states[slot].replace(phase=SETTLED)
    emit(
        SlotSettled,
        slot=slot,
        meters=totals.meters,
        estimated=totals.estimated,
        generation_wh=totals.generation_wh,
        use_wh=totals.use_wh,
        traded_wh=totals.sold_wh,
        grid_sales_wh=totals.grid_buy_wh,
        grid_purchases_wh=totals.grid_sell_wh,
        trade_money=totals.payments,
        grid_sales_money=totals.grid_cost,
        grid_purchases_money=totals.grid_income,
        members_net=members_net,
        grid_net=grid_net,
    )


@export
def on_reading(slot: int, meter: Address, generation_wh: int, use_wh: int, complete: bool) -> None:
    """A reading after the grace time: settle the slot if it was the last one, re-settle the meter if it is settled."""
    require(ctx.sender == contract_address("metering"), "NOT_ALLOWED")
    entry = settlements.get((slot, meter))
    if entry is not None:
        correct(slot, meter, entry, generation_wh, use_wh)
    elif complete:
        state = states.get(slot)
        if state is not None and state.phase == CLEARED:
            schedule(ctx.market_time_ms, "settle_slot", slot, True, gas=GAS_STEP)


def correct(slot: int, meter: Address, entry: Settlement, generation: int, use: int) -> None:
    """Re-run the settlement of one meter and book the difference with the grid. Its trades are owed as before."""
    rules = rules_cell.get()
    earlier = corrections.items((slot, meter), limit=MAX_CORRECTIONS + 1)
    revision = len(earlier) + 1
    before = entry.net
    if revision > 1:
        before = earlier[revision - 2][1].net
    grid = lines(rules, entry.sold_wh, entry.bought_wh, generation, use)
    net = entry.trade_receipts - entry.trade_payments + grid[3] - grid[2]
    difference = net - before
    corrections[(slot, meter, revision)] = entry.replace(
        generation_wh=generation,
        use_wh=use,
        grid_buy_wh=grid[0],
        grid_sell_wh=grid[1],
        grid_cost=grid[2],
        grid_income=grid[3],
        net=net,
        difference=difference,
        estimated=False,
    )
    call("token", "settle", [[entry.account, 0, difference], [grid_account.get(), 0, -difference]])
    emit(
        Corrected,
        slot=slot,
        meter=meter,
        account=entry.account,
        revision=revision,
        generation_wh=generation,
        use_wh=use,
        grid_buy_wh=grid[0],
        grid_sell_wh=grid[1],
        grid_cost=grid[2],
        grid_income=grid[3],
        net=net,
        difference=difference,
    )


# Views


@view
def slot(number: u64) -> dict:
    """Phase, times and totals of a slot."""
    rules = rules_cell.get()
    start = start_of(rules, number)
    end = start + rules.slot_ms
    shown = {
        "phase": PHASES[0],
        "open_ms": start - rules.open_ms,
        "t1_ms": start - rules.t1_ms,
        "t2_ms": start - rules.t2_ms,
        "start_ms": start,
        "end_ms": end,
        "settle_ms": end + rules.grace_ms,
        "late_ms": end + rules.late_ms,
        "trades": 0,
        "traded_wh": 0,
        "traded_money": 0,
        "pa": None,
    }
    state = states.get(number)
    if state is not None:
        shown["phase"] = PHASES[state.phase]
        shown["trades"] = state.trades
        shown["traded_wh"] = state.traded_wh
        shown["traded_money"] = state.traded_money
        shown["pa"] = pa_or_none(state)
    return shown


@view
def book_of(slot: u64, side: str, limit: int) -> list:
    """The best orders left, in rank order, of the stage that is next."""
    base = ASKS
    if side == "buy":
        base = BIDS
    rows = []
    for queue in (base, STAGE_TWO + base):
        for item in book.items((slot, queue), limit=min(limit, MAX_PAGE)):
            key = item[0]
            order = item[1]
            price = key[2]
            if base == BIDS:
                price = RANK_TOP - price
            rows.append({"seq": key[3], "meter": order.meter, "wh": order.wh, "left_wh": order.left, "price": price})
    return rows


def shown_settlement(entry: Settlement) -> dict:
    return {
        "account": entry.account,
        "sold_wh": entry.sold_wh,
        "bought_wh": entry.bought_wh,
        "generation_wh": entry.generation_wh,
        "use_wh": entry.use_wh,
        "grid_buy_wh": entry.grid_buy_wh,
        "grid_sell_wh": entry.grid_sell_wh,
        "trade_receipts": entry.trade_receipts,
        "trade_payments": entry.trade_payments,
        "grid_cost": entry.grid_cost,
        "grid_income": entry.grid_income,
        "net": entry.net,
        "difference": entry.difference,
        "estimated": entry.estimated,
    }


@view
def settlement(slot: u64, meter: Address) -> dict | None:
    """The first settlement of a meter in a slot; corrections are entries of their own."""
    entry = settlements.get((slot, meter))
    if entry is None:
        return None
    return shown_settlement(entry)


@view
def corrections_of(slot: u64, meter: Address) -> list:
    rows = []
    for item in corrections.items((slot, meter), limit=MAX_CORRECTIONS + 1):
        rows.append(shown_settlement(item[1]))
    return rows


@view
def parameters() -> dict:
    rules = rules_cell.get()
    return {
        "slot_ms": rules.slot_ms,
        "slot0_ms": rules.slot0_ms,
        "first_slot": rules.first_slot,
        "last_slot": rules.last_slot,
        "open_ms": rules.open_ms,
        "reveal_ms": rules.reveal_ms,
        "t1_ms": rules.t1_ms,
        "t2_ms": rules.t2_ms,
        "grace_ms": rules.grace_ms,
        "late_ms": rules.late_ms,
        "feed": rules.feed,
        "retail": rules.retail,
        "max_price": rules.max_price,
        "two_stages": rules.two_stages,
        "hardened_pa": rules.hardened_pa,
        "self_trade": rules.self_trade,
        "sealed": rules.sealed,
        "deposit": rules.deposit,
        "grid": grid_account.get(),
    }
