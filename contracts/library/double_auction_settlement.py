# Settlement: scheduled


@export(scheduled=True)
def end_delivery(due: int, slot: int) -> None:
    """Delivery is over. Gateways wait for this committed event, never for a clock of their own, to post readings."""
    emit(SlotDelivered, slot=slot, end_ms=due)


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
        cursor=b"", meters=0, estimated=0, sold_wh=0, bought_wh=0, generation_wh=0, use_wh=0, grid_buy_wh=0,
        grid_sell_wh=0, receipts=0, payments=0, grid_cost=0, grid_income=0,
    )
    settle_some(due, slot)


@export(scheduled=True)
def settle_batch(due: int, slot: int) -> None:
    settle_some(due, slot)


def settle_some(due: int, slot: int) -> None:
    """Settle up to `METERS_PER_CALL` members, by meter address, each against the clearing account and the grid."""
    rules = tariffed(rules_cell.get(), slot)
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
        cursor=cursor, meters=totals.meters + len(names), estimated=totals.estimated + sums[0],
        sold_wh=totals.sold_wh + sums[1], bought_wh=totals.bought_wh + sums[2],
        generation_wh=totals.generation_wh + sums[3], use_wh=totals.use_wh + sums[4],
        grid_buy_wh=totals.grid_buy_wh + sums[5], grid_sell_wh=totals.grid_sell_wh + sums[6],
        receipts=totals.receipts + sums[7], payments=totals.payments + sums[8], grid_cost=totals.grid_cost + sums[9],
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
        account=account, sold_wh=sold, bought_wh=bought, generation_wh=generation, use_wh=use, grid_buy_wh=grid[0],
        grid_sell_wh=grid[1], trade_receipts=receipts, trade_payments=payments, grid_cost=grid[2],
        grid_income=grid[3], net=net, difference=net, estimated=estimated,
    )
    emit(
        Settled, slot=slot, meter=meter, account=account, sold_wh=sold, bought_wh=bought, generation_wh=generation,
        use_wh=use, grid_buy_wh=grid[0], grid_sell_wh=grid[1], trade_receipts=receipts, trade_payments=payments,
        grid_cost=grid[2], grid_income=grid[3], net=net, estimated=estimated,
    )
    moves.append([account, release, net])
    values = (int(estimated), sold, bought, generation, use, grid[0], grid[1], receipts, payments, grid[2], grid[3])
    for index in range(len(values)):
        sums[index] = sums[index] + values[index]


def close_settlement(slot: int, totals: Totals) -> None:
    """The laws of the slot: trades balance in energy and money, members + grid + surplus = 0, use - generation = sales - purchases."""
    members_net = totals.receipts - totals.payments + totals.grid_income - totals.grid_cost
    grid_net = totals.grid_cost - totals.grid_income
    surplus = states[slot].surplus
    paid = totals.receipts + surplus
    require(totals.sold_wh == totals.bought_wh and totals.payments == paid, "TRADES_UNBALANCED")
    require(members_net + grid_net + surplus == 0, "MONEY_NOT_CONSERVED")
    require(
        totals.use_wh - totals.generation_wh == totals.grid_buy_wh - totals.grid_sell_wh, "ENERGY_NOT_CONSERVED"
    )
    if surplus > 0:
        call("token", "settle", [[ctx.self_address, 0, -surplus], [community_account.get(), 0, surplus]])
    states[slot] = states[slot].replace(phase=SETTLED)
    emit(
        SlotSettled, slot=slot, meters=totals.meters, estimated=totals.estimated, generation_wh=totals.generation_wh,
        use_wh=totals.use_wh, traded_wh=totals.sold_wh, grid_sales_wh=totals.grid_buy_wh,
        grid_purchases_wh=totals.grid_sell_wh, trade_money=totals.payments, grid_sales_money=totals.grid_cost,
        grid_purchases_money=totals.grid_income, members_net=members_net, grid_net=grid_net, surplus=surplus,
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
    rules = tariffed(rules_cell.get(), slot)
    earlier = corrections.items((slot, meter), limit=MAX_CORRECTIONS + 1)
    revision = len(earlier) + 1
    require(revision <= MAX_CORRECTIONS, "TOO_MANY_CORRECTIONS")
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
        estimated=entry.estimated and view_call("metering", "reading", slot, meter) is None,
    )
    call("token", "settle", [[entry.account, 0, difference], [grid_account.get(), 0, -difference]])
    emit(
        Corrected, slot=slot, meter=meter, account=entry.account, revision=revision, generation_wh=generation,
        use_wh=use, grid_buy_wh=grid[0], grid_sell_wh=grid[1], grid_cost=grid[2], grid_income=grid[3], net=net,
        difference=difference,
    )
