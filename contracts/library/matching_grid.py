# Every meter of the slot against the grid, by what its orders do not explain; reputations; corrections


def settle_meters(rules: Rules, due: int, cycle: int, state: Cycle) -> None:
    """Up to `METERS_PER_CALL` members by meter address; after the last one the laws of the cycle are checked."""
    after = None
    if len(state.cursor) > 0:
        after = state.cursor
    rows = meters.items((), after=after, limit=METERS_PER_CALL)
    names = [item[0] for item in rows if item[1].from_slot <= cycle]
    readings = view_call("metering", "measured", cycle, names)
    moves = []
    sums = totals_of[cycle]
    cost = sums[11] - sums[12]
    for index in range(len(names)):
        settle_meter(rules, state, cycle, names[index], readings[index], moves, sums)
    moves.append([houses.get().grid, 0, sums[11] - sums[12] - cost])
    call("token", "settle", moves)
    totals_of[cycle] = sums
    if len(rows) == METERS_PER_CALL:
        cycles[cycle] = state.replace(cursor=rows[len(rows) - 1][0])
        schedule(due, "settle_batch", cycle, gas=GAS_STEP)
    else:
        close_cycle(cycle, state, sums)


def empty_position(account: Address) -> Position:
    return Position(
        side=REQUEST, account=account, wh=0, escrow=0, sent=0, received=0, receipts=0, payments=0, fees=0, rewards=0,
        values=0, weights=0,
    )


def position_of(cycle: int, meter: Address) -> Position:
    found = positions.get((cycle, meter))
    if found is None:
        return empty_position(meters[meter].account)
    return found


def settlement_for(rules: Rules, rate: int, position: Position, reading: list, before: int) -> Settlement:
    """The lines of a meter. What its orders say was sent or received is explained; the rest is bought from or sold to the
    grid. Without a reading nothing else is assumed. `before`: the net booked so far."""
    generation = reading[1]
    use = reading[2]
    if reading[0] == 0:
        generation = position.sent
        use = position.received
    buy = max(0, position.sent - generation) + max(0, use - position.received)
    sell = max(0, generation - position.sent) + max(0, position.received - use)
    cost = tokens_of(amount(rules.retail, buy), rate)
    income = tokens_of(amount(rules.feed, sell), rate)
    net = position.receipts - position.fees + position.rewards - position.payments + income - cost
    return Settlement(
        account=position.account, sent_wh=position.sent, received_wh=position.received, generation_wh=generation,
        use_wh=use, grid_buy_wh=buy, grid_sell_wh=sell, trade_receipts=position.receipts,
        trade_payments=position.payments, grid_fees=position.fees, rewards=position.rewards, grid_cost=cost,
        grid_income=income, net=net, difference=net - before, estimated=reading[0] != 2,
    )


def settle_meter(
    rules: Rules, state: Cycle, cycle: int, meter: Address, reading: list, moves: list, sums: list
) -> None:
    position = position_of(cycle, meter)
    entry = settlement_for(rules, state.rate, position, reading, 0)
    settlements[(cycle, meter)] = entry
    moves.append([position.account, position.escrow, entry.grid_income - entry.grid_cost])
    if position.weights > 0:
        learn(rules, cycle, meter, position)
    emit(
        Settled, cycle=cycle, meter=meter, account=entry.account, sent_wh=entry.sent_wh, received_wh=entry.received_wh,
        generation_wh=entry.generation_wh, use_wh=entry.use_wh, grid_buy_wh=entry.grid_buy_wh,
        grid_sell_wh=entry.grid_sell_wh, trade_receipts=entry.trade_receipts, trade_payments=entry.trade_payments,
        grid_fees=entry.grid_fees, rewards=entry.rewards, grid_cost=entry.grid_cost, grid_income=entry.grid_income,
        net=entry.net, estimated=entry.estimated,
    )
    values = (
        1, int(entry.estimated), entry.generation_wh, entry.use_wh, entry.sent_wh, entry.received_wh, entry.grid_buy_wh,
        entry.grid_sell_wh, entry.trade_receipts, entry.trade_payments, entry.grid_fees, entry.grid_cost,
        entry.grid_income,
    )
    for index in range(len(values)):
        sums[index] = sums[index] + values[index]


def learn(rules: Rules, cycle: int, meter: Address, position: Position) -> None:
    """The reputation of a provider after a cycle with settled orders."""
    known = reputations.get(meter)
    if known is None:
        known = Reputation(rc=rules.first_rc, cycles=0, last_cycle=0)
    rc = reputation_after(known.rc, position.values, position.weights, rules.alpha)
    reputations[meter] = Reputation(rc=rc, cycles=known.cycles + 1, last_cycle=max(cycle, known.last_cycle))
    emit(ReputationUpdated, provider=meter, cycle=cycle, rc=rc, before=known.rc)


def close_cycle(cycle: int, state: Cycle, sums: list) -> None:
    """The laws of the cycle: what users paid is what providers and the grid got; use - generation + what was lost between
    the two devices = what the grid sold - what it bought."""
    require(sums[8] == sums[9], "TRADES_UNBALANCED")
    require(sums[3] - sums[2] + sums[4] - sums[5] == sums[6] - sums[7], "ENERGY_NOT_CONSERVED")
    for user in range(len(tables[cycle].users)):
        del degrees[(cycle, user)]
        del fee_rows[(cycle, user)]
    cycles[cycle] = state.replace(phase=SETTLED, cursor=b"")
    emit(
        CycleSettled, cycle=cycle, meters=sums[0], estimated=sums[1], generation_wh=sums[2], use_wh=sums[3],
        sent_wh=sums[4], received_wh=sums[5], grid_sales_wh=sums[6], grid_purchases_wh=sums[7], trade_money=sums[9],
        grid_fees=sums[10], grid_sales_money=sums[11], grid_purchases_money=sums[12],
    )


@export
def on_reading(slot: int, meter: Address, generation_wh: int, use_wh: int, complete: bool) -> None:
    """A reading after the grace time: settle the cycle if it was the last one, re-settle the meter if it is settled."""
    require(ctx.sender == contract_address("metering"), "NOT_ALLOWED")
    if (slot, meter) in settlements:
        correct(rules_cell.get(), slot, meter, [2, generation_wh, use_wh])
    elif complete:
        state = cycles.get(slot)
        if state is not None and state.phase == MATCHED:
            schedule(ctx.market_time_ms, "settle_cycle", slot, True, gas=GAS_STEP)


def correct_for_order(rules: Rules, cycle: int, meter: Address) -> None:
    """An order of a settled meter was booked again: its lines with the grid follow."""
    if (cycle, meter) in settlements:
        correct(rules, cycle, meter, view_call("metering", "measured", cycle, [meter])[0])


def correct(rules: Rules, cycle: int, meter: Address, reading: list) -> None:
    """Run the settlement of a meter again; the grid lines are booked here, those of orders are booked already."""
    rules = tariffed(rules, cycle)
    earlier = corrections.items((cycle, meter), limit=MAX_PAGE)
    last = settlements[(cycle, meter)]
    if len(earlier) > 0:
        last = earlier[len(earlier) - 1][1]
    revision = len(earlier) + 1
    entry = settlement_for(rules, cycles[cycle].rate, position_of(cycle, meter), reading, last.net)
    corrections[(cycle, meter, revision)] = entry
    change = entry.grid_income - entry.grid_cost - last.grid_income + last.grid_cost
    call("token", "settle", [[entry.account, 0, change], [houses.get().grid, 0, -change]])
    emit(
        Corrected, cycle=cycle, meter=meter, account=entry.account, revision=revision,
        generation_wh=entry.generation_wh, use_wh=entry.use_wh, grid_buy_wh=entry.grid_buy_wh,
        grid_sell_wh=entry.grid_sell_wh, net=entry.net, difference=entry.difference,
    )
