# The day-ahead floor: orders for a whole day, sealed or plain, then one call clears each hour


def day_desk(rules: Rules, day: int, gate_ms: int) -> Desk:
    """The sender's desk, if it may order for this day: the floor is open and the gate has not passed."""
    desk = active_desk()
    require(day >= 0 and first_of(rules, day) <= rules.last_slot, "WINDOW_CLOSED")
    left = start_of(rules, first_of(rules, day)) - ctx.market_time_ms
    require(left <= rules.open_ms, "WINDOW_CLOSED")
    require(left > gate_ms, "ORDER_LATE")
    return desk


def hour_cover(rules: Rules, side: int, price: int, wh: int) -> int:
    """Worst case of an hour. Buyer: its limit, at most retail. Seller: delivers nothing, so retail above the ask, and the
    widest balancing spread."""
    if side == BUY:
        return amount(min(price, rules.retail), wh)
    return amount(max(0, rules.retail - price) + rules.worst - rules.retail, wh)


def day_cover(rules: Rules, side: int, wh: list, prices: list) -> int:
    return sum([hour_cover(rules, side, prices[hour], wh[hour]) for hour in range(len(wh))])


def admit_day(rules: Rules, desk: Desk, day: int, side: int, wh: list, prices: list) -> int:
    require(len(wh) == rules.periods and len(prices) == rules.periods, "BAD_LENGTH")
    for hour in range(rules.periods):
        require(0 <= wh[hour] <= desk.cap_wh, "BAD_WH")
        require(0 <= prices[hour] <= rules.max_price, "BAD_PRICE")
    if side == SELL:
        require(desk.kind == "producer", "NOT_PRODUCER")
    else:
        require(desk.kind != "producer", "NOT_LOAD")
    key = (day, desk.meter)
    require(key not in day_members, "ORDER_EXISTS")
    seq = next_seq.get()
    next_seq.set(seq + 1)
    day_members[key] = [side, seq]
    day_orders[(day, side, seq)] = DayOrder(meter=desk.meter, wh=wh, prices=prices)
    escrow = day_cover(rules, side, wh, prices)
    call("token", "lock", desk.account, escrow)
    emit(DayOrdered, day=day, seq=seq, meter=desk.meter, side=("sell", "buy")[side], escrow=escrow)
    return seq


def plain_day(day: int, side: int, wh: list, prices: list) -> int:
    rules = rules_cell.get()
    require(not rules.sealed, "SEALED")
    return admit_day(rules, day_desk(rules, day, rules.t1_ms), day, side, wh, prices)


@export
def offer_day(day: int, wh: list[u64], prices: list[u64]) -> int:
    """A producer's forecast for each slot of a day and the price from which it sells. Returns the seq."""
    return plain_day(day, SELL, wh, prices)


@export
def bid_day(day: int, wh: list[u64], prices: list[u64]) -> int:
    """A load's demand for each slot of a day and the price up to which it buys. Returns the seq."""
    return plain_day(day, BUY, wh, prices)


@export
def withdraw_day(day: int) -> int:
    """Take the own order of a day back, until orders close; returns the escrow released."""
    rules = rules_cell.get()
    desk = day_desk(rules, day, rules.close_ms)
    found = day_members.get((day, desk.meter))
    if found is None:
        revert("NO_ORDER")
    key = (day, found[0], found[1])
    order = day_orders[key]
    released = day_cover(rules, found[0], order.wh, order.prices)
    del day_orders[key]
    del day_members[(day, desk.meter)]
    call("token", "settle", [[desk.account, released, 0]])
    emit(DayWithdrawn, day=day, seq=found[1], meter=desk.meter, released=released)
    return released


@export
def commit_day(day: int, commitment: bytes) -> None:
    """Commit to an order by SHA-256(side 1 | Wh 8 each | prices 8 each | nonce 32 | sender 32 | day 8), big-endian."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = day_desk(rules, day, rules.close_ms)
    require(len(commitment) == 32, "BAD_COMMITMENT")
    require(len(commitments.keys((day, ctx.sender), limit=1)) == 0, "COMMITTED")
    commitments[(day, ctx.sender, commitment)] = rules.deposit
    call("token", "lock", desk.account, rules.deposit)
    emit(DayCommitted, day=day, meter=desk.meter, commitment=commitment, deposit=rules.deposit)


@export
def reveal_day(day: int, side: str, wh: list[u64], prices: list[u64], nonce: bytes) -> int:
    """Open a commitment between the closing of orders and T1; its deposit returns. Returns the seq of the order."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = day_desk(rules, day, rules.t1_ms)
    require(start_of(rules, first_of(rules, day)) - ctx.market_time_ms <= rules.close_ms, "WINDOW_CLOSED")
    require(len(nonce) == 32 and (side == "sell" or side == "buy"), "BAD_REVEAL")
    number = SELL
    if side == "buy":
        number = BUY
    text = number.to_bytes(1, "big")
    for value in wh + prices:
        text += value.to_bytes(8, "big")
    key = (day, ctx.sender, sha256(text + nonce + ctx.sender + day.to_bytes(8, "big")))
    require(key in commitments, "NO_COMMITMENT")
    deposit = commitments[key]
    del commitments[key]
    call("token", "settle", [[desk.account, deposit, 0]])
    return admit_day(rules, desk, day, number, wh, prices)


@export
def post_day(day: int, prices: list[u64]) -> None:
    """The operator's list of day-ahead prices, where the contract does not clear itself; the last one before T1 counts."""
    rules = rules_cell.get()
    require(ctx.sender == houses.get().operator, "NOT_ALLOWED")
    require(not rules.options.da_clearing, "CLEARED_HERE")
    require(day >= 0 and len(prices) == rules.periods, "BAD_LENGTH")
    for price in prices:
        require(price <= rules.retail, "BAD_PRICE")
    left = start_of(rules, first_of(rules, day)) - ctx.market_time_ms
    require(left > rules.t1_ms, "ORDER_LATE")
    day_lists[day] = prices
    emit(DayListPosted, day=day, prices=prices)


@export(scheduled=True)
def open_day(due: int, day: int) -> None:
    rules = rules_cell.get()
    first = first_of(rules, day)
    start = start_of(rules, first)
    emit(
        DayOpened, day=day, first_slot=first, close_ms=start - rules.close_ms, t1_ms=start - rules.t1_ms, start_ms=start,
    )
    schedule(start - rules.t1_ms, "close_day", day, gas=GAS_STEP)
    if first + rules.periods <= rules.last_slot:
        schedule(due + rules.periods * rules.slot_ms, "open_day", day + 1, gas=GAS_STEP)


@export(scheduled=True)
def close_day(due: int, day: int) -> None:
    """T1: deposits that were not revealed go to the community, in pages; then the hours are cleared one by one."""
    rows = commitments.items((day,), limit=PER_CALL)
    moves = []
    lost = 0
    for item in rows:
        key = item[0]
        desk = desks[key[1]]
        moves.append([desk.account, item[1], -item[1]])
        lost += item[1]
        del commitments[key]
        emit(DepositLost, day=day, meter=desk.meter, commitment=key[2], deposit=item[1])
    if lost > 0:
        moves.append([houses.get().community, 0, lost])
        call("token", "settle", moves)
    if len(rows) == PER_CALL:
        schedule(due, "close_day", day, gas=GAS_STEP)
    else:
        schedule(due, "clear_hour", first_of(rules_cell.get(), day), gas=GAS_STEP)


def posted_price(rules: Rules, slot: int, offered: int) -> list:
    """[price that does not follow from the book or None, whether it is yesterday's]."""
    day = day_of(rules, slot)
    if not rules.options.da_clearing:
        prices = day_lists.get(day)
        if prices is not None:
            return [prices[slot - first_of(rules, day)], False]
    elif offered > 0:
        return [None, False]
    if day == 0:
        return [rules.feed, True]
    return [hours[slot - rules.periods].da_price, True]


@export(scheduled=True)
def clear_hour(due: int, slot: int) -> None:
    """Sell what is offered for one slot; what loads do not take, the grid company takes at a posted price, else at feed.
    The escrow that the slot no longer needs returns. Then the slot's match, its delivery and the next hour are due."""
    rules = rules_cell.get()
    day = day_of(rules, slot)
    hour = slot - first_of(rules, day)
    offers = order_rows(day, SELL, hour)
    bids = order_rows(day, BUY, hour)
    found = posted_price(rules, slot, sum([row[1] for row in offers]))
    books = [[[row[0], row[1]] for row in rows] for rows in (offers, bids)]
    done = view_call("wind_rules", "clear", books[SELL], books[BUY], found[0], rules.feed, rules.retail)
    price = done[0]
    moves = []
    for side in (SELL, BUY):
        rows = (offers, bids)[side]
        for at in range(len(rows)):
            keep_position(rules, slot, side, rows[at], done[1 + side][at], moves)
    hours[slot] = Hour(
        phase=CLEARED, da_price=price, p2p_price=0, posted=False, flagged=found[1], matches=0, matched_wh=0,
    )
    if len(moves) > 0:
        call("token", "settle", moves)
    emit(
        HourCleared, slot=slot, price=price, flagged=found[1], sold_wh=sum(done[1]), bought_wh=sum(done[2]),
    )
    start = start_of(rules, slot)
    if hour == 0:
        schedule(start - rules.t2_ms, "begin_day", day, gas=GAS_STEP)
    schedule(start - rules.t2_ms, "match_slot", slot, gas=GAS_WHOLE)
    schedule(start + rules.slot_ms, "end_delivery", slot, gas=GAS_SIGNAL)
    schedule(start + rules.slot_ms + rules.grace_ms, "settle_slot", slot, False, gas=GAS_WHOLE)
    if hour + 1 < rules.periods and slot < rules.last_slot:
        schedule(due, "clear_hour", slot + 1, gas=GAS_STEP)
    elif hour + 1 < rules.periods:
        release_after(rules, day, hour + 1)


def order_rows(day: int, side: int, hour: int) -> list:
    """[price, Wh, meter] of an hour by seq."""
    orders = [item[1] for item in day_orders.items((day, side), limit=MAX_METERS)]
    return [[order.prices[hour], order.wh[hour], order.meter] for order in orders]


def keep_position(rules: Rules, slot: int, side: int, row: list, wh: int, moves: list) -> None:
    """Note what an order sold or bought for a slot; its escrow shrinks to what that may cost."""
    if row[1] == 0:
        return
    before = hour_cover(rules, side, row[0], row[1])
    kept = hour_cover(rules, side, row[0], wh)
    if side == SELL:
        position = Position(offered=row[1], sold=wh, bought=0, escrow=kept)
    else:
        position = Position(offered=0, sold=0, bought=wh, escrow=kept)
    positions[(slot, row[2])] = position
    if before > kept:
        moves.append([desks[row[2]].account, before - kept, 0])


def release_after(rules: Rules, day: int, hour: int) -> None:
    """The calendar ends inside this day: what was locked for hours that never come returns."""
    moves = []
    for side in (SELL, BUY):
        for item in day_orders.items((day, side), limit=MAX_METERS):
            order = item[1]
            moves.append([desks[order.meter].account, day_cover(rules, side, order.wh[hour:], order.prices[hour:]), 0])
    if len(moves) > 0:
        call("token", "settle", moves)
