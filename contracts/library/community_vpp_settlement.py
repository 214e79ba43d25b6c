# Settlement


@export(scheduled=True)
def end_delivery(due: int, slot: int) -> None:
    """Delivery is over. Gateways wait for this committed event, never for a clock of their own, to post readings."""
    emit(SlotDelivered, slot=slot, end_ms=due)


@export
def settle(slot: int) -> None:
    """Settle a slot as soon as all its readings are in: anyone may ask, the result is the same. As published only the
    operator may, and nobody else ever does it. Corrections until the end of the grace time, of which `metering` does not
    tell, are taken up then."""
    rules = rules_cell.get()
    require(not rules.owner_settles or ctx.sender == operator_account.get(), "NOT_ALLOWED")
    state = states.get(slot)
    if state is None or state.phase != MATCHED:
        revert("NOT_MATCHED")
    require(view_call("metering", "complete", slot), "READINGS_MISSING")
    schedule(ctx.market_time_ms, "settle_slot", slot, True, gas=GAS_WHOLE)
    grace = start_of(rules, slot) + rules.slot_ms + rules.grace_ms
    if ctx.market_time_ms < grace and slot not in again:
        again[slot] = True
        schedule(grace, "settle_again", slot, gas=GAS_WHOLE)


@export(scheduled=True)
def settle_slot(due: int, slot: int, final: bool) -> None:
    """Settle if all readings are in or this is the final call; else wait until the late slots have passed."""
    state = states[slot]
    if state.phase != MATCHED:
        return
    if not final and not view_call("metering", "complete", slot):
        rules = rules_cell.get()
        late = start_of(rules, slot) + rules.slot_ms + rules.late_ms
        schedule(late, "settle_slot", slot, True, gas=GAS_WHOLE)
        return
    first_settlement(slot, state)


@export
def on_reading(slot: int, meter: Address, generation_wh: int, use_wh: int, complete: bool) -> None:
    """A reading after the grace time: settle the slot if it was the last one, settle it again if it is settled."""
    require(ctx.sender == contract_address("metering"), "NOT_ALLOWED")
    state = states.get(slot)
    if state is None:
        return
    if state.phase == SETTLED:
        if slot not in again:
            again[slot] = True
            schedule(ctx.market_time_ms, "settle_again", slot, gas=GAS_WHOLE)
    elif complete and state.phase == MATCHED and not rules_cell.get().owner_settles:
        schedule(ctx.market_time_ms, "settle_slot", slot, True, gas=GAS_WHOLE)


def trade_rows(slot: int) -> list:
    rows = []
    for item in trades.items((slot,), limit=MAX_BIDS + MAX_QUOTATIONS):
        trade = item[1]
        rows.append([trade.bid, trade.quotation, trade.seller, trade.buyer, trade.wh, trade.price])
    return rows


def totals_of(rows: list) -> tuple:
    """({meter: Wh sold}, {meter: Wh bought}) of trades."""
    sold = {}
    bought = {}
    for row in rows:
        sold[row[2]] = sold.get(row[2], 0) + row[4]
        bought[row[3]] = bought.get(row[3], 0) + row[4]
    return (sold, bought)


def readings_of(slot: int, names: list, sold: dict, bought: dict) -> tuple:
    """({meter: generation}, {meter: use}, {meter: whether estimated}). Without a reading the forecast stands in, without
    one the traded total."""
    rows = view_call("metering", "measured", slot, names)
    generation = {}
    use = {}
    estimated = {}
    for index in range(len(names)):
        name = names[index]
        row = rows[index]
        generation[name] = row[1]
        use[name] = row[2]
        if row[0] == 0:
            generation[name] = sold.get(name, 0)
            use[name] = bought.get(name, 0)
        estimated[name] = row[0] != 2
    return (generation, use, estimated)


def forecasts_of(slot: int, sold: dict) -> dict:
    names = sorted(sold.keys())
    rows = view_call("metering", "forecasts_of", slot, names)
    return {names[index]: rows[index][0] for index in range(len(names)) if rows[index] is not None}


def first_settlement(slot: int, state: State) -> None:
    """Settle all members of a slot at once, by the rules; book it, score who traded, check the laws of the slot."""
    options = tariffed(rules_cell.get(), slot).options
    rows = trade_rows(slot)
    totals = totals_of(rows)
    enrolled = [item for item in meters.items((), limit=MAX_METERS) if item[1].from_slot <= slot]
    names = [item[0] for item in enrolled]
    metered = readings_of(slot, names, totals[0], totals[1])
    good = {}
    waive = {}
    for name in names:
        score = scores.get(name)
        if score is not None:
            good[name] = score.good
            waive[name] = score.waive
    forecast = forecasts_of(slot, totals[0])
    done = settled(rows, metered[0], metered[1], forecast, good, waive, None, options)
    tell_deliveries(slot, rows, done[0], 0)
    for number in range(len(done[4])):
        move = done[4][number]
        pool_moves[(slot, number)] = PoolMove(giver=move[0], taker=move[1], wh=move[2])
    sums = [0] * LINE
    moves = []
    for item in enrolled:
        name = item[0]
        line = done[1][name]
        release_wh = 0
        position = positions.get((slot, name))
        if position is not None:
            release_wh = position.escrow
            del positions[(slot, name)]
        inside = NO_TRADE
        if name in done[2]:
            inside = OUTSIDE
            if done[2][name]:
                inside = INSIDE
            put_score(name, inside, done[3].get(name, False))
        net = net_of(line)
        entry = Settlement(
            account=item[1].account, sold_wh=totals[0].get(name, 0), bought_wh=totals[1].get(name, 0),
            generation_wh=metered[0][name], use_wh=metered[1][name], lines=line, net=net, difference=net,
            estimated=metered[2][name], performance=inside, good_before=good.get(name, 0),
            waive_before=waive.get(name, False),
        )
        settlements[(slot, name)] = entry
        emit(
            Settled, slot=slot, meter=name, account=entry.account, sold_wh=entry.sold_wh, bought_wh=entry.bought_wh,
            generation_wh=entry.generation_wh, use_wh=entry.use_wh, lines=line, net=net, estimated=entry.estimated,
        )
        moves.append([entry.account, release_wh, net])
        for at in range(LINE):
            sums[at] = sums[at] + line[at]
    moves.append([grid_account.get(), 0, sums[GRID_COST] - sums[GRID_INCOME]])
    moves.append([operator_account.get(), 0, sums[FEES]])
    call("token", "settle", moves)
    states[slot] = state.replace(phase=SETTLED)
    close_slot(slot, sums, metered)


def tell_deliveries(slot: int, rows: list, done: list, revision: int) -> None:
    for index in range(len(rows)):
        row = rows[index]
        result = done[index]
        emit(
            Delivered, slot=slot, quotation=row[1], bid=row[0], seller=row[2], buyer=row[3], wh=row[4],
            delivered_wh=result[0], paid=result[1], subsidy=result[2], consumer_fee=result[3], prosumer_fee=result[4],
            revision=revision,
        )


def put_score(meter: Address, inside: int, waive: bool) -> None:
    score = scores.get(meter)
    if score is None:
        score = Score(good=0, defaults=0, waive=False)
    if inside == INSIDE:
        score = score.replace(good=score.good + 1, waive=waive)
    else:
        score = score.replace(defaults=score.defaults + 1, waive=waive)
    scores[meter] = score


def close_slot(slot: int, sums: list, metered: tuple) -> None:
    """The laws of the slot: what is delivered is received, members + grid + operator = 0, use - generation = what the grid
    sold less what it bought."""
    generation = sum([metered[0][name] for name in metered[0].keys()])
    use = sum([metered[1][name] for name in metered[1].keys()])
    grid_net = sums[GRID_COST] - sums[GRID_INCOME]
    members_net = net_of(sums)
    require(sums[OUT_WH] == sums[IN_WH] and sums[POOL_OUT_WH] == sums[POOL_IN_WH], "TRADES_UNBALANCED")
    require(sums[RECEIVED] == sums[PAID] and sums[SUBSIDY] == sums[PENALTY], "TRADES_UNBALANCED")
    require(members_net + grid_net + sums[FEES] == 0, "MONEY_NOT_CONSERVED")
    require(use - generation == sums[GRID_BUY_WH] - sums[GRID_SELL_WH], "ENERGY_NOT_CONSERVED")
    estimated = sum([1 for name in metered[2].keys() if metered[2][name]])
    emit(
        SlotSettled, slot=slot, meters=len(metered[0]), estimated=estimated, generation_wh=generation, use_wh=use,
        delivered_wh=sums[OUT_WH], pool_wh=sums[POOL_OUT_WH], grid_sales_wh=sums[GRID_BUY_WH],
        grid_purchases_wh=sums[GRID_SELL_WH], members_net=members_net, grid_net=grid_net, operator_net=sums[FEES],
    )


@export(scheduled=True)
def settle_again(due: int, slot: int) -> None:
    """Run the rules once more on the readings as they are now, with scores and waivers as they were before the slot and
    the pool as it was settled, and book what differs. Good slots are counted anew; waivers of later slots stay."""
    del again[slot]
    options = tariffed(rules_cell.get(), slot).options
    rows = trade_rows(slot)
    totals = totals_of(rows)
    entries = {item[0][1]: item[1] for item in settlements.items((slot,), limit=MAX_METERS)}
    names = list(entries.keys())
    metered = readings_of(slot, names, totals[0], totals[1])
    good = {name: entries[name].good_before for name in names}
    waive = {name: True for name in names if entries[name].waive_before}
    moved = [
        [item[1].giver, item[1].taker, item[1].wh] for item in pool_moves.items((slot,), limit=2 * MAX_METERS)
    ]
    done = settled(rows, metered[0], metered[1], forecasts_of(slot, totals[0]), good, waive, moved, options)
    before = [0] * LINE
    after = [0] * LINE
    moves = []
    for name in names:
        revision = revisions[(slot, name)]
        entry = entries[name]
        if revision > 0:
            entry = corrections[(slot, name, revision)]
        measured = entry.generation_wh == metered[0][name] and entry.use_wh == metered[1][name]
        if entry.lines != done[1][name] or not measured or entry.estimated != metered[2][name]:
            revisions[(slot, name)] = revision + 1
            changed = corrected(slot, name, revision + 1, entry, done, metered)
            moves.append([entry.account, 0, changed.difference])
            for at in range(LINE):
                before[at] = before[at] + entry.lines[at]
                after[at] = after[at] + changed.lines[at]
    if len(moves) == 0:
        return
    moves.append([grid_account.get(), 0, after[GRID_COST] - after[GRID_INCOME] - before[GRID_COST] + before[GRID_INCOME]])
    moves.append([operator_account.get(), 0, after[FEES] - before[FEES]])
    call("token", "settle", moves)
    tell_deliveries(slot, rows, done[0], 1)


def corrected(slot: int, name: Address, revision: int, entry: Settlement, done: tuple, metered: tuple) -> Settlement:
    """Write the new entry of one member and count its good slots anew."""
    line = done[1][name]
    net = net_of(line)
    inside = entry.performance
    if name in done[2]:
        inside = OUTSIDE
        if done[2][name]:
            inside = INSIDE
    if inside != entry.performance:
        score = scores[name]
        if inside == INSIDE:
            scores[name] = score.replace(good=score.good + 1, defaults=score.defaults - 1)
        else:
            scores[name] = score.replace(good=score.good - 1, defaults=score.defaults + 1)
    changed = entry.replace(
        generation_wh=metered[0][name], use_wh=metered[1][name], lines=line, net=net, difference=net - entry.net,
        estimated=metered[2][name], performance=inside,
    )
    corrections[(slot, name, revision)] = changed
    emit(
        Corrected, slot=slot, meter=name, account=entry.account, revision=revision, generation_wh=changed.generation_wh,
        use_wh=changed.use_wh, lines=line, net=net, difference=changed.difference,
    )
    return changed
