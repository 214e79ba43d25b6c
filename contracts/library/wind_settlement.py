# Settlement of a slot: scheduled, and again when a reading comes late or is corrected


@export(scheduled=True)
def end_delivery(due: int, slot: int) -> None:
    """Delivery is over: gateways wait for this event to post readings."""
    emit(SlotDelivered, slot=slot, end_ms=due)


@export(scheduled=True)
def settle_slot(due: int, slot: int, final: bool) -> None:
    """Settle if all readings are in or at the final call; else wait for the late slots."""
    hour = hours[slot]
    if hour.phase != MATCHED:
        return
    if not final and not view_call("metering", "complete", slot):
        rules = rules_cell.get()
        late = start_of(rules, slot) + rules.slot_ms + rules.late_ms
        schedule(late, "settle_slot", slot, True, gas=GAS_WHOLE)
        return
    hours[slot] = hour.replace(phase=SETTLED)
    settle_all(slot, [item[0] for item in meters.items((), limit=MAX_METERS) if item[1] <= slot], True)


@export(scheduled=True)
def settle_again(due: int, slot: int) -> None:
    """Settle once more on the readings as they are now, and book what differs."""
    del again[slot]
    settle_all(slot, [item[0][1] for item in settlements.items((slot,), limit=MAX_METERS)], False)


@export
def on_reading(slot: int, meter: Address, generation_wh: int, use_wh: int, complete: bool) -> None:
    """A late reading: settle if it was the last one, settle again what is settled."""
    require(ctx.sender == contract_address("metering"), "NOT_ALLOWED")
    hour = hours.get(slot)
    if hour is None:
        return
    if hour.phase == SETTLED:
        if slot not in again:
            again[slot] = True
            schedule(ctx.market_time_ms, "settle_again", slot, gas=GAS_WHOLE)
    elif complete and hour.phase == MATCHED:
        schedule(ctx.market_time_ms, "settle_slot", slot, True, gas=GAS_WHOLE)


def book_for(slot: int, names: list) -> dict:
    """{meter: [sold day-ahead, bought, None or the balancing prices of a producer]}."""
    held = {item[0][1]: item[1] for item in positions.items((slot,), limit=MAX_METERS)}
    prices = {item[0][1]: [item[1].buy, item[1].sell] for item in balances.items((slot,), limit=MAX_PRODUCERS)}
    book = {}
    for name in names:
        entry = [0, 0, prices.get(name)]
        if name in held:
            entry[0] = held[name].sold
            entry[1] = held[name].bought
        book[name] = entry
    return book


def metered_for(slot: int, names: list) -> tuple:
    """({meter: generation}, {meter: use}, {meter: forecast generation less use}, {meter: whether estimated}). A silent
    producer is taken to have made what it announced, at most what it sold; others what they forecast, or to have used what
    they bought."""
    rows = view_call("metering", "measured", slot, names)
    forecasts = view_call("metering", "forecasts_of", slot, names)
    said = {item[0][1]: item[1].announced for item in balances.items((slot,), limit=MAX_PRODUCERS)}
    held = {item[0][1]: item[1] for item in positions.items((slot,), limit=MAX_METERS)}
    generation = {}
    use = {}
    expected = {}
    estimated = {}
    for at in range(len(names)):
        name = names[at]
        generation[name] = rows[at][1]
        use[name] = rows[at][2]
        estimated[name] = rows[at][0] != 2
        if estimated[name] and name in said:
            generation[name] = 0
            use[name] = 0
            if name in held:
                generation[name] = min(said[name], held[name].sold)
        elif rows[at][0] == 0 and name in held:
            use[name] = held[name].bought
        if forecasts[at] is not None:
            expected[name] = forecasts[at][0] - forecasts[at][1]
    return (generation, use, expected, estimated)


@view
def nettings_of(slot: u64) -> list:
    """[seller, buyer, Wh, price] of netted producers."""
    return [
        [item[1].seller, item[1].buyer, item[1].wh, item[1].price]
        for item in nettings.items((slot,), limit=MAX_PRODUCERS * MAX_PRODUCERS)
    ]


def settle_all(slot: int, names: list, first: bool) -> None:
    """Settle a slot on the readings as they are, book it, count deliveries, check the laws."""
    rules = rules_cell.get()
    hour = hours[slot]
    book = book_for(slot, names)
    metered = metered_for(slot, names)
    rows = [item[1] for item in matches.items((slot,), limit=MAX_METERS * MAX_PRODUCERS)]
    taken = [[row.producer, row.prosumer, row.wh, row.surplus, row.price] for row in rows]
    terms = [hour.da_price, rules.feed, rules.retail, rules.options.metered]
    done = settled_hour(terms, book, taken, nettings_of(slot), metered)
    check_laws(slot, names, done[0], metered, first, sum([row[0] for row in done[1]]))
    given = deliveries(slot, rows, done[1])
    moves = []
    grid = 0
    for name in names:
        entry = entry_for(rules, slot, name, book, metered, done[0][name], given, hour.flagged)
        before = None
        if not first:
            before = last_entry(slot, name)
        if before is None or changed(before, entry):
            released = 0
            if before is None:
                released = take_escrow(slot, name)
                settlements[(slot, name)] = entry
                tell_first(slot, name, entry)
            else:
                entry = entry.replace(difference=entry.net - before.net, term=before.term)
                keep_correction(slot, name, entry)
            moves.append([entry.account, released, entry.difference])
            grid -= entry.difference
            count_change(rules, slot, name, before, entry, book[name])
    if len(moves) == 0:
        return
    moves.append([houses.get().grid, 0, grid])
    call("token", "settle", moves)
    revision = 0
    if not first:
        revision = 1
    for at in range(len(rows)):
        emit(
            Delivered, slot=slot, producer=rows[at].producer, prosumer=rows[at].prosumer, wh=rows[at].wh,
            delivered_wh=done[1][at][0], surplus=rows[at].surplus, paid=done[1][at][1], shortfall=done[1][at][2],
            revision=revision,
        )
    if first and rules.options.removal:
        judge_deliveries(rules, slot, given, metered)


def check_laws(slot: int, names: list, lines: dict, metered: tuple, first: bool, delivered: int) -> None:
    """What is sold peer-to-peer is bought; use - generation = what the grid sold less what it bought; all members and the
    grid sum to zero, because the grid is the other side of everything that is not between members."""
    sums = [0] * LINE
    for name in names:
        line = lines[name]
        for at in range(LINE):
            sums[at] = sums[at] + line[at]
    generation = sum([metered[0][name] for name in names])
    use = sum([metered[1][name] for name in names])
    sales = sums[GRID_BUY_WH] + sums[BL_BOUGHT_WH] + sums[DA_BOUGHT_WH]
    purchases = sums[GRID_SELL_WH] + sums[BL_SOLD_WH] + sums[DA_SOLD_WH]
    members = net_of(sums)
    grid = -sums[DA_MONEY] - sums[BL_MONEY] - sums[GRID_MONEY]
    require(sums[P2P_SOLD_WH] == sums[P2P_BOUGHT_WH], "TRADES_UNBALANCED")
    require(members + grid == 0, "MONEY_NOT_CONSERVED")
    require(use - generation == sales - purchases, "ENERGY_NOT_CONSERVED")
    if first:
        emit(
            SlotSettled, slot=slot, meters=len(names), estimated=sum([1 for name in names if metered[3][name]]),
            generation_wh=generation, use_wh=use, delivered_wh=delivered, grid_sales_wh=sales,
            grid_purchases_wh=purchases, members_net=members, grid_net=grid,
        )


def deliveries(slot: int, rows: list, done: list) -> dict:
    """{prosumer: [Wh matched, Wh delivered, Wh that it had offered in that direction]}."""
    given = {}
    for at in range(len(rows)):
        name = rows[at].prosumer
        if name not in given:
            entry = reserves[(slot, name)]
            offered = entry.up
            if rows[at].surplus:
                offered = entry.down
            given[name] = [0, 0, offered]
        given[name] = [given[name][0] + rows[at].wh, given[name][1] + done[at][0], given[name][2]]
    return given


def entry_for(
    rules: Rules, slot: int, name: Address, book: dict, metered: tuple, line: list, given: dict, flagged: bool,
) -> Settlement:
    """The entry of one member, with what it counts for: a prosumer's trade and volume, a producer's missed Wh. An hour that
    a producer does not report counts as missed whole."""
    trades = 0
    volume = 0
    missed = 0
    term = 0
    if name in given:
        counted = credit(rules.options, given[name][2], given[name][1])
        trades = counted[0]
        volume = counted[1]
    if book[name][2] is not None:
        term = producers[name].term
        position = positions.get((slot, name))
        if position is not None:
            missed = position.offered - metered[0][name]
            if metered[3][name]:
                missed = position.offered
            elif rules.options.one_sided:
                missed = max(0, missed)
    net = net_of(line)
    return Settlement(
        account=desks[name].account, generation_wh=metered[0][name], use_wh=metered[1][name], lines=line, net=net,
        difference=net, estimated=metered[3][name], flagged=flagged, trades=trades, volume=volume, term=term,
        missed=abs(missed),
    )


def last_entry(slot: int, name: Address) -> Settlement:
    revision = revisions[(slot, name)]
    if revision > 0:
        return corrections[(slot, name, revision)]
    return settlements[(slot, name)]


def changed(before: Settlement, entry: Settlement) -> bool:
    measured = before.generation_wh == entry.generation_wh and before.use_wh == entry.use_wh
    return not measured or before.lines != entry.lines or before.estimated != entry.estimated


def take_escrow(slot: int, name: Address) -> int:
    """The escrow that the slot still held. The position stays: corrections need it."""
    position = positions.get((slot, name))
    if position is None:
        return 0
    positions[(slot, name)] = position.replace(escrow=0)
    return position.escrow


def tell_first(slot: int, name: Address, entry: Settlement) -> None:
    emit(
        Settled, slot=slot, meter=name, account=entry.account, generation_wh=entry.generation_wh, use_wh=entry.use_wh,
        lines=entry.lines, net=entry.net, estimated=entry.estimated, flagged=entry.flagged,
    )


def keep_correction(slot: int, name: Address, entry: Settlement) -> None:
    revision = revisions[(slot, name)] + 1
    revisions[(slot, name)] = revision
    corrections[(slot, name, revision)] = entry
    emit(
        Corrected, slot=slot, meter=name, account=entry.account, revision=revision, generation_wh=entry.generation_wh,
        use_wh=entry.use_wh, lines=entry.lines, net=entry.net, difference=entry.difference,
    )


def count_change(
    rules: Rules, slot: int, name: Address, before: Settlement | None, entry: Settlement, booked: list
) -> None:
    """Count what an entry adds to the reputations, or what a correction changes: a prosumer's window is that of the slot, a
    producer's the hours since its last renewal; an hour renewed before is history."""
    trades = entry.trades
    volume = entry.volume
    if before is not None:
        trades -= before.trades
        volume -= before.volume
    if rules.options.metered:
        count_credit(day_of(rules, slot), name, trades, volume)
    position = positions.get((slot, name))
    if booked[2] is None or position is None or position.offered == 0 and entry.missed == 0:
        return
    wind = producers[name]
    if before is None:
        producers[name] = wind.replace(
            hours=wind.hours + 1, promised=wind.promised + position.offered, missed=wind.missed + entry.missed
        )
    elif before.term == wind.term:
        producers[name] = wind.replace(missed=wind.missed + entry.missed - before.missed)


def judge_deliveries(rules: Rules, slot: int, given: dict, metered: tuple) -> None:
    """Who delivered under half in three matches running is removed; a removed prosumer that moved its meter by half of a
    declared reserve, and by no less than a counted trade, is back."""
    day = day_of(rules, slot)
    for name in given.keys():
        standing = standings[name]
        if not metered[3][name]:
            standing = standing.replace(failures=standing.failures + 1)
            if 2 * given[name][1] >= given[name][0]:
                standing = standing.replace(failures=0)
            if given[name][1] > 0:
                standing = standing.replace(active_day=max(day, standing.active_day))
            standings[name] = standing
            if standing.failures >= FAILURES and standing.removed == "":
                remove(name, standing, "UNDELIVERED")
    for item in reserves.items((slot,), limit=MAX_METERS):
        name = item[0][1]
        if standings[name].removed != "" and name not in given and not metered[3].get(name, True):
            surplus = item[1].up == 0
            offered = max(item[1].up, item[1].down)
            if not surplus:
                offered = item[1].up
            moved = 0
            if name in metered[2]:
                moved = change_of(metered, name, surplus)
            if moved >= SMALL_WH and 2 * moved >= offered:
                take_back(name, "TEST_DELIVERY")
