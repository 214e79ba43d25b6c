# Clearing: scheduled


@export(scheduled=True)
def open_slot(due: int, slot: int) -> None:
    """The window of a slot opens; the next slot's opening and this one's T1 are scheduled."""
    rules = rules_cell.get()
    start = start_of(rules, slot)
    states[slot] = State(
        phase=OPEN, ask_cursor=[], bid_cursor=[], trades=0, traded_wh=0, traded_money=0, price_sum=0, value=0, large_wh=0,
        large_value=0, pa=NO_PRICE, unsold_wh=0, unmet_wh=0,
    )
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
    ask_cursor = state.ask_cursor
    bid_cursor = state.bid_cursor
    asks = book.items((slot, queue), after=after_key(slot, queue, ask_cursor), limit=limit)
    bids = book.items((slot, queue + 1), after=after_key(slot, queue + 1, bid_cursor), limit=limit)
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
                own = not rules.self_trade and buyer[0].owner == seller[0].owner
                if bid_price < ask_price or (own and passed == MAX_PASSED):
                    crossing = False
                elif own:
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
                        Trade, slot=slot, stage=stage, seller=ask.meter, buyer=bid.meter, wh=wh, price=price,
                        money=money, sell_seq=ask_key[3], buy_seq=bid_key[3],
                    )
        while first < len(bids) and bid_left[first] == 0:
            first += 1
        if ask_left[index] > 0 and at == len(bids) and len(bids) == limit and crossing:
            break
        ask_cursor = [ask_key[2], ask_key[3]]
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
        state = after_match(rules, slot, stage, state.replace(ask_cursor=[], bid_cursor=[]))
    else:
        if first > 0:
            bid_key = bids[first - 1][0]
            bid_cursor = [bid_key[2], bid_key[3]]
        state = state.replace(ask_cursor=ask_cursor, bid_cursor=bid_cursor)
    return (state, index + first + 1)


def after_key(slot: int, queue: int, cursor: list) -> tuple | None:
    if len(cursor) == 0:
        return None
    return (slot, queue, cursor[0], cursor[1])


def counted(state: State, stage: int, sums: list) -> State:
    state = state.replace(
        trades=state.trades + sums[0], traded_wh=state.traded_wh + sums[1],
        traded_money=state.traded_money + sums[2],
    )
    if stage == 1:
        state = state.replace(
            price_sum=state.price_sum + sums[3], value=state.value + sums[4], large_wh=state.large_wh + sums[5],
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
        emit(OrderExpired, slot=slot, seq=key[3], meter=order.meter, side=side, left_wh=order.left, released=released)
    write_back(cache, slot)
    if len(moves) > 0:
        call("token", "settle", moves)
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
