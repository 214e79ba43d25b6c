# Clearing: scheduled


@export(scheduled=True)
def open_slot(due: int, slot: int) -> None:
    """The window of a slot opens; the next slot's opening and this one's T1 are scheduled."""
    rules = rules_cell.get()
    start = start_of(rules, slot)
    states[slot] = State(
        phase=OPEN, ask_cursor=[], bid_cursor=[], trades=0, traded_wh=0, traded_money=0, price_sum=0, value=0, large_wh=0,
        large_value=0, pa=NO_PRICE, unsold_wh=0, unmet_wh=0, surplus=0, lefts=[], last=[], prices=[],
    )
    found = view_call("tariffs", "at", slot)
    if found is not None:
        tariff_of[slot] = found
        rules_cell.set(rules.replace(tariff_from=min(rules.tariff_from, slot)))
    emit(
        SlotOpened, slot=slot, start_ms=start, t1_ms=start - rules.t1_ms, t2_ms=start - rules.t2_ms,
        end_ms=start + rules.slot_ms,
    )
    schedule(start - rules.t1_ms, "advance", slot, gas=GAS_STEP)
    schedule(start + rules.slot_ms, "end_delivery", slot, gas=GAS_SIGNAL)
    if slot < rules.last_slot:
        schedule(due + rules.slot_ms, "open_slot", slot + 1, gas=GAS_STEP)


@export(scheduled=True)
def advance(due: int, slot: int) -> None:
    """Work through the phases of clearing, at most about `ORDERS_PER_CALL` orders of each side; go on in the next call."""
    rules = tariffed(rules_cell.get(), slot)
    state = states[slot]
    if state.phase == OPEN:
        state = state.replace(phase=FORFEIT)
    elif state.phase == BETWEEN:
        state = state.replace(phase=FORFEIT_TWO)
    budget = ORDERS_PER_CALL
    while budget > 0 and state.phase != BETWEEN and state.phase != CLEARED:
        if state.phase == FORFEIT or state.phase == FORFEIT_TWO:
            result = forfeit(slot, state, budget)
        elif state.phase == QUOTE:
            result = quote(rules, slot, state, budget)
        elif state.phase == MATCH_ONE or state.phase == MATCH_TWO:
            stage = 1 if state.phase == MATCH_ONE else 2
            if rules.pricing == MIDPOINT or len(state.prices) > 0:
                result = match(rules, slot, stage, state, budget)
            else:
                result = find(rules, slot, stage, state)
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
        state = state.replace(phase=MATCH_ONE if state.phase == FORFEIT else QUOTE)
    return (state, len(rows))


def find(rules: Rules, slot: u64, stage: u64, state: State) -> tuple:
    """Where the stage has one price for all: walk both queues as far as they cross, a page at a time and without a
    write. `lefts` is what is left of the orders at the heads, `last` the last crossing pair of two owners: ask rank and
    seq, bid rank and seq. Same-owner pairs cross, but set no price."""
    queue = ASKS if stage == 1 else STAGE_TWO
    asks = book.items((slot, queue), after=after_key(slot, queue, state.ask_cursor), limit=ORDERS_PER_CALL)
    bids = book.items((slot, queue + 1), after=after_key(slot, queue + 1, state.bid_cursor), limit=ORDERS_PER_CALL)
    if len(asks) == 0 or len(bids) == 0:
        return (priced(rules, slot, stage, state), 1)
    ask_left = asks[0][1].left
    bid_left = bids[0][1].left
    if len(state.lefts) > 0:
        ask_left = state.lefts[0] if state.lefts[0] > 0 else ask_left
        bid_left = state.lefts[1] if state.lefts[1] > 0 else bid_left
    last = state.last
    at = 0
    to = 0
    crossing = True
    while crossing and at < len(asks) and to < len(bids):
        ask_key, ask = asks[at]
        bid_key, bid = bids[to]
        crossing = ask_key[2] <= RANK_TOP - bid_key[2]
        if crossing:
            wh = min(ask_left, bid_left)
            ask_left -= wh
            bid_left -= wh
            if rules.self_trade or ask.owner != bid.owner:
                last = [ask_key[2], ask_key[3], bid_key[2], bid_key[3]]
            if ask_left == 0:
                at += 1
                ask_left = asks[at][1].left if at < len(asks) else 0
            if bid_left == 0:
                to += 1
                bid_left = bids[to][1].left if to < len(bids) else 0
    state = state.replace(last=last)
    ended = (at == len(asks) and at < ORDERS_PER_CALL) or (to == len(bids) and to < ORDERS_PER_CALL)
    if ended or not crossing:
        return (priced(rules, slot, stage, state), at + to + 1)
    state = state.replace(
        lefts=[ask_left, bid_left], ask_cursor=cursor_at(asks, at, state.ask_cursor),
        bid_cursor=cursor_at(bids, to, state.bid_cursor),
    )
    return (state, at + to + 1)


def priced(rules: Rules, slot: u64, stage: u64, state: State) -> State:
    """`prices` of the stage: what sellers get and buyers pay, and the place (rank, seq) of the first ask and of the first
    bid that stay out. Nothing crosses: the stage is over."""
    last = state.last
    state = state.replace(lefts=[], last=[], ask_cursor=[], bid_cursor=[])
    if len(last) == 0:
        return after_match(rules, slot, stage, state)
    ask_price = last[0]
    bid_price = RANK_TOP - last[2]
    prices = [(ask_price + bid_price) // 2, (ask_price + bid_price) // 2, last[0], last[1] + 1, last[2], last[3] + 1]
    if rules.pricing == MCAFEE:
        queue = ASKS if stage == 1 else STAGE_TWO
        asks = book.keys((slot, queue), after=(slot, queue, last[0], last[1]), limit=1)
        bids = book.keys((slot, queue + 1), after=(slot, queue + 1, last[2], last[3]), limit=1)
        middle = NO_PRICE
        if len(asks) > 0 and len(bids) > 0:
            middle = (asks[0][2] + RANK_TOP - bids[0][2]) // 2
        if ask_price <= middle <= bid_price:
            prices = [middle, middle, last[0], last[1] + 1, last[2], last[3] + 1]
        else:
            prices = [ask_price, bid_price, last[0], last[1], last[2], last[3]]
    emit(StagePriced, slot=slot, stage=stage, sell_price=prices[0], buy_price=prices[1])
    return state.replace(prices=prices)


def admitted(rows: list, rank: u64, seq: u64) -> int:
    """How many rows of a page stand before a place."""
    return len([item for item in rows if item[0][2] < rank or (item[0][2] == rank and item[0][3] < seq)])


def fill(slot: u64, key, order: Order, left: u64, money: int) -> None:
    """Of `order` `left` Wh are left now, the rest was traded for `money`. If nothing is left the order goes, and its
    escrow becomes its meter's position's. `key` has no annotation: so it is known to be a key of the book."""
    place = (slot, order.meter)
    position = positions[place]
    escrow = position.escrow
    if left == 0:
        del book[key]
        escrow += order.cover * order.wh // 1000
    else:
        book[key] = order.replace(left=left)
    positions[place] = Position(
        side=position.side, account=position.account, wh=position.wh + order.left - left, money=position.money + money,
        escrow=escrow,
    )


def match(rules: Rules, slot: u64, stage: u64, state: State, budget: int) -> tuple:
    """Asks by rank; each takes the bids by rank while they cross, passing at most `MAX_PASSED` of its own owner. Where
    the stage has prices, only what was admitted to them trades, and all of it crosses."""
    queue = ASKS if stage == 1 else STAGE_TWO
    asks = book.items((slot, queue), after=after_key(slot, queue, state.ask_cursor), limit=ORDERS_PER_CALL)
    bids = book.items((slot, queue + 1), after=after_key(slot, queue + 1, state.bid_cursor), limit=ORDERS_PER_CALL)
    offers = len(asks)
    count = len(bids)
    sell_price: u64 = 0
    buy_price: u64 = 0
    midpoint = len(state.prices) == 0
    if not midpoint:
        sell_price, buy_price, ask_rank, ask_seq, bid_rank, bid_seq = state.prices
        offers = admitted(asks, ask_rank, ask_seq)
        count = admitted(bids, bid_rank, bid_seq)
    more = count == ORDERS_PER_CALL
    finished = count == 0
    bid_left = [item[1].left for item in bids]
    bid_money = [0] * count
    trades = 0
    traded_wh = 0
    traded_money = 0
    surplus = 0
    price_sum = 0
    value = 0
    large_wh = 0
    large_value = 0
    sellers = []
    buyers = []
    volumes = []
    prices = []
    surpluses = []
    first = 0
    index = 0
    while index < offers and not finished:
        ask_key, ask = asks[index]
        left = ask.left
        income = 0
        at = first
        passed = 0
        crossing = True
        while crossing and left > 0 and at < count:
            if bid_left[at] == 0:
                at += 1
            else:
                bid_key, bid = bids[at]
                bid_price = RANK_TOP - bid_key[2]
                own = bid.owner == ask.owner and not rules.self_trade
                if bid_price < ask_key[2] or (own and passed == MAX_PASSED):
                    crossing = False
                elif own:
                    passed += 1
                    at += 1
                else:
                    wh: u64 = min(left, bid_left[at])
                    extra = 0
                    if midpoint:
                        price = (ask_key[2] + bid_price) // 2
                        worth = price * wh
                        money = worth // 1000
                    else:
                        price = sell_price
                        worth = (sell_price + buy_price) // 2 * wh
                        money = price * wh // 1000
                        extra = buy_price * wh // 1000 - money
                        surplus += extra
                    left -= wh
                    bid_left[at] -= wh
                    income += money
                    bid_money[at] += money + extra
                    trades += 1
                    traded_wh += wh
                    traded_money += money
                    price_sum += price if midpoint else (sell_price + buy_price) // 2
                    value += worth
                    large_wh += wh if wh >= SMALL_TRADE_WH else 0
                    large_value += worth if wh >= SMALL_TRADE_WH else 0
                    sellers.append(ask.meter)
                    buyers.append(bid.meter)
                    volumes.append(wh)
                    prices.append(price)
                    surpluses.append(extra)
                    emit(
                        Trade, slot=slot, stage=stage, seller=ask.meter, buyer=bid.meter, wh=wh, price=price,
                        money=money, surplus=extra, sell_seq=ask_key[3], buy_seq=bid_key[3],
                    )
        if left < ask.left:
            fill(slot, ask_key, ask, left, income)
        while first < count and bid_left[first] == 0:
            first += 1
        if more and crossing and left > 0 and at == count:
            break
        index += 1
        if more and first == count:
            break
        finished = first == count or (not crossing and passed == 0)
    for at in range(count):
        bid_key, bid = bids[at]
        if bid_left[at] < bid.left:
            fill(slot, bid_key, bid, bid_left[at], bid_money[at])
    if trades > 0:
        deals[(slot, state.trades)] = Deals(
            sellers=sellers, buyers=buyers, wh=volumes, prices=prices, surplus=surpluses,
        )
    sums = Sums(
        trades=trades, wh=traded_wh, money=traded_money, surplus=surplus, price_sum=price_sum, value=value,
        large_wh=large_wh, large_value=large_value,
    )
    state = counted(state, stage, sums)
    if finished or (index == offers and index < ORDERS_PER_CALL):
        state = after_match(rules, slot, stage, state.replace(ask_cursor=[], bid_cursor=[], prices=[]))
    else:
        state = state.replace(
            ask_cursor=cursor_at(asks, index, state.ask_cursor), bid_cursor=cursor_at(bids, first, state.bid_cursor),
        )
    return (state, index + first + 1)


def cursor_at(rows: list, done: int, before: list) -> list:
    """Rank and seq of the last row that is done with; where none is, those of the page before."""
    if done == 0:
        return before
    key = rows[done - 1][0]
    return [key[2], key[3]]


def counted(state: State, stage: int, sums: Sums) -> State:
    state = state.replace(
        trades=state.trades + sums.trades, traded_wh=state.traded_wh + sums.wh,
        traded_money=state.traded_money + sums.money, surplus=state.surplus + sums.surplus,
    )
    if stage == 1:
        state = state.replace(
            price_sum=state.price_sum + sums.price_sum, value=state.value + sums.value,
            large_wh=state.large_wh + sums.large_wh, large_value=state.large_value + sums.large_value,
        )
    return state


def after_key(slot: int, queue: int, cursor: list) -> tuple | None:
    if len(cursor) == 0:
        return None
    return (slot, queue, cursor[0], cursor[1])


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
    rows = book.items((slot, ASKS), after=after_key(slot, ASKS, state.ask_cursor), limit=budget)
    if len(rows) == 0:
        queue = BIDS
        rows = book.items((slot, BIDS), after=after_key(slot, BIDS, state.bid_cursor), limit=budget)
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
        return (state.replace(phase=MATCH_TWO, ask_cursor=[], bid_cursor=[]), len(rows))
    last = rows[len(rows) - 1][0]
    if queue == ASKS:
        return (state.replace(ask_cursor=[last[2], last[3]]), len(rows))
    return (state.replace(bid_cursor=[last[2], last[3]]), len(rows))


def expire(slot: int, state: State, budget: int) -> tuple:
    """Delete what is left in the book; the escrow of the energy that was not traded returns."""
    cursor = state.ask_cursor
    after = None
    if len(cursor) > 0:
        after = (slot, cursor[0], cursor[1], cursor[2])
    rows = book.items((slot,), after=after, limit=budget)
    moves = []
    rest = []
    unsold = 0
    unmet = 0
    for item in rows:
        key = item[0]
        order = item[1]
        place = (slot, order.meter)
        position = positions[place]
        kept = amount(order.cover, order.wh - order.left)
        released = amount(order.cover, order.wh) - kept
        if kept > 0:
            positions[place] = position.replace(escrow=position.escrow + kept)
        moves.append([position.account, released, 0])
        side = "sell"
        price = key[2]
        if key[1] == BIDS or key[1] == STAGE_TWO + BIDS:
            side = "buy"
            price = RANK_TOP - price
            unmet += order.left
        else:
            unsold += order.left
        rest.append([order.meter, position.account, order.owner, side == "buy", order.left, price, position.wh])
        del book[key]
        emit(OrderExpired, slot=slot, seq=key[3], meter=order.meter, side=side, left_wh=order.left, released=released)
    if len(moves) > 0:
        call("token", "settle", moves)
        bridge = bridge_cell.get()
        if bridge != "":
            call(bridge, "offer", slot, rest)
    state = state.replace(unsold_wh=state.unsold_wh + unsold, unmet_wh=state.unmet_wh + unmet)
    if len(rows) == budget:
        last = rows[len(rows) - 1][0]
        state = state.replace(ask_cursor=[last[1], last[2], last[3]])
    else:
        state = state.replace(phase=CLEARED, ask_cursor=[])
        emit(
            SlotCleared, slot=slot, trades=state.trades, traded_wh=state.traded_wh, traded_money=state.traded_money,
            pa=pa_or_none(state), unsold_wh=state.unsold_wh, unmet_wh=state.unmet_wh,
        )
    return (state, len(rows))


def pa_or_none(state: State) -> int | None:
    if state.pa == NO_PRICE:
        return None
    return state.pa
