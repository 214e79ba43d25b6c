# Clearing: scheduled


@export(scheduled=True)
def open_slot(due: int, slot: int) -> None:
    """The window of a slot opens; its T1, the end of its delivery and the next slot's opening are scheduled."""
    rules = rules_cell.get()
    start = start_of(rules, slot)
    states[slot] = State(
        phase=OPEN, quotations=0, bids=0, trades=0, traded_wh=0, traded_money=0, unsold_wh=0, unmet_wh=0,
    )
    found = view_call("tariffs", "at", slot)
    if found is not None:
        tariff_of[slot] = found
        rules_cell.set(rules.replace(tariff_from=min(rules.tariff_from, slot)))
    emit(
        SlotOpened, slot=slot, start_ms=start, close_ms=start - rules.close_ms, t1_ms=start - rules.t1_ms,
        end_ms=start + rules.slot_ms,
    )
    schedule(start - rules.t1_ms, "advance", slot, gas=GAS_WHOLE)
    schedule(start + rules.slot_ms, "end_delivery", slot, gas=GAS_SIGNAL)
    if slot < rules.last_slot:
        schedule(due + rules.slot_ms, "open_slot", slot + 1, gas=GAS_STEP)


@export(scheduled=True)
def advance(due: int, slot: int) -> None:
    """T1: deposits of bids that were not revealed are lost, in pages; then, in a call of its own, the match."""
    rules = tariffed(rules_cell.get(), slot)
    state = states[slot]
    if state.phase == MATCH:
        match_slot(rules, slot, state)
        if not rules.owner_settles:
            schedule(start_of(rules, slot) + rules.slot_ms + rules.grace_ms, "settle_slot", slot, False, gas=GAS_WHOLE)
        return
    phase = FORFEIT
    if forfeit(slot, PER_CALL) < PER_CALL:
        phase = MATCH
    states[slot] = state.replace(phase=phase)
    schedule(due, "advance", slot, gas=GAS_WHOLE)


def forfeit(slot: int, budget: int) -> int:
    """Deposits of commitments that were not revealed go to the community."""
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
        moves.append([operator_account.get(), 0, lost])
        call("token", "settle", moves)
    return len(rows)


def match_slot(rules: Rules, slot: int, state: State) -> None:
    """Run both passes over the book of a slot, store the trades, return the escrow of what was not traded."""
    options = rules.options
    offered = [item for item in quotations.items((slot,), limit=MAX_QUOTATIONS) if item[1].valid]
    placed = [item for item in bids.items((slot,), limit=MAX_BIDS) if item[1].status == "created"]
    places = {offered[at][0][1]: at for at in range(len(offered))}
    quotes = [[item[1].wh, item[1].price, item[1].owner] for item in offered]
    rows = []
    for item in placed:
        key = item[0]
        bid = item[1]
        tier = 0
        if options.priority:
            tier = discount_of(good_of(bid.meter))
        rank = rank_of(tier, bid.price, bid.wh, key[2], options.by_unit)
        rows.append([bid.wh, bid.price, bid.owner, places[key[1]], rank])
    done = matched(quotes, rows, options)
    money = 0
    for number in range(len(done)):
        found = done[number]
        bid_key = placed[found[0]][0]
        bid = placed[found[0]][1]
        quotation = offered[found[1]]
        trade = Trade(
            quotation=quotation[0][1], bid=bid_key[2], seller=quotation[1].meter, buyer=bid.meter, wh=found[2],
            price=bid.price,
        )
        trades[(slot, number)] = trade
        money += amount(bid.price, found[2])
        emit(
            Traded, slot=slot, quotation=trade.quotation, bid=trade.bid, seller=trade.seller, buyer=trade.buyer,
            wh=found[2], price=bid.price, money=amount(bid.price, found[2]),
        )
    released = {}
    unsold = store_quotations(options, offered, quotes, released)
    unmet = store_bids(options, slot, placed, rows, released)
    release(slot, released)
    traded = sum([found[2] for found in done])
    states[slot] = state.replace(
        phase=MATCHED, trades=len(done), traded_wh=traded, traded_money=money, unsold_wh=unsold, unmet_wh=unmet,
    )
    emit(
        SlotMatched, slot=slot, trades=len(done), traded_wh=traded, traded_money=money, unsold_wh=unsold,
        unmet_wh=unmet,
    )


def good_of(meter: Address) -> int:
    score = scores.get(meter)
    if score is None:
        return 0
    return score.good


def store_quotations(options: Options, offered: list, quotes: list, released: dict) -> int:
    """Write what is left of each quotation; returns the Wh unsold."""
    unsold = 0
    for at in range(len(offered)):
        quotation = offered[at][1]
        left = quotes[at][0]
        unsold += left
        kept = quotation_cover(options, quotation.price, quotation.wh - left)
        quotations[offered[at][0]] = quotation.replace(left_wh=left, escrow=kept)
        released[quotation.meter] = released.get(quotation.meter, 0) + quotation.escrow - kept
    return unsold


def store_bids(options: Options, slot: int, placed: list, rows: list, released: dict) -> int:
    """Write status and rest of each bid; returns the Wh unmet."""
    unmet = 0
    for index in range(len(placed)):
        key = placed[index][0]
        bid = placed[index][1]
        left = rows[index][0]
        unmet += left
        status = status_of(bid.wh, left)
        kept = bid_cover(options, bid.price, bid.wh - left)
        bids[key] = bid.replace(left_wh=left, status=status, escrow=kept)
        released[bid.meter] = released.get(bid.meter, 0) + bid.escrow - kept
        emit(
            BidDecided, slot=slot, seq=key[2], meter=bid.meter, quotation=key[1], status=status, left_wh=left,
            released=bid.escrow - kept,
        )
    return unmet


def release(slot: int, released: dict) -> None:
    moves = []
    for meter in sorted(released.keys()):
        if released[meter] > 0:
            moves.append([meters[meter].account, released[meter], 0])
            free_position(slot, meter, released[meter])
    if len(moves) > 0:
        call("token", "settle", moves)
