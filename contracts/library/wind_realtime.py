# The real-time floor: announcements and reserves until the gate of a slot, then one call ranks and matches


def floor_open(rules: Rules, slot: int) -> bool:
    """The floor of a slot opens with its day and closes T2 before delivery."""
    if not rules.first_slot <= slot <= rules.last_slot:
        return False
    start = start_of(rules, first_of(rules, day_of(rules, slot)))
    return start - ctx.market_time_ms <= rules.open_ms


def slot_desk(rules: Rules, slot: int) -> Desk:
    desk = active_desk()
    require(floor_open(rules, slot), "WINDOW_CLOSED")
    require(start_of(rules, slot) - ctx.market_time_ms > rules.t2_ms, "ORDER_LATE")
    return desk


@export
def post_prices(slot: int, prices: list[u64]) -> None:
    """Peer-to-peer prices for the slots from this one on, by the operator or, checked, by `wind_prices`, which no operator
    overrides; the last before each gate counts. Without one the middle of the balancing prices is taken."""
    rules = rules_cell.get()
    checked = ctx.sender == contract_address("wind_prices")
    require(checked or ctx.sender == houses.get().operator, "NOT_ALLOWED")
    require(0 < len(prices) <= rules.periods, "BAD_LENGTH")
    require(floor_open(rules, slot) and slot + len(prices) - 1 <= rules.last_slot, "WINDOW_CLOSED")
    require(start_of(rules, slot) - ctx.market_time_ms > rules.t2_ms, "ORDER_LATE")
    for at in range(len(prices)):
        require(prices[at] <= rules.worst, "BAD_PRICE")
        if checked:
            checked_lists[slot + at] = True
        else:
            require(slot + at not in checked_lists, "CHECKED_PRICE")
        price_lists[slot + at] = prices[at]
    emit(PricesPosted, slot=slot, prices=prices)


@export
def announce(slot: int, wh: int) -> None:
    """What a producer will really make in a slot. Its difference from what it sold is what prosumers are matched with;
    without an announcement there is none, and all of the metered deviation is balanced."""
    rules = rules_cell.get()
    desk = slot_desk(rules, slot)
    require(desk.kind == "producer", "NOT_PRODUCER")
    require(0 <= wh <= desk.cap_wh, "BAD_WH")
    announcements[(slot, desk.meter)] = wh
    emit(Announced, slot=slot, meter=desk.meter, wh=wh)


@export
def reserve(slot: int, up: int, down: int, charge: int, discharge: int, soc: int) -> None:
    """Declare what a prosumer can deliver and absorb in a slot (Wh), from which cost on (per kWh), and the state of charge
    (Wh) of its storage. The last one before the gate counts; the worst case is locked."""
    rules = rules_cell.get()
    desk = slot_desk(rules, slot)
    require(desk.kind == "prosumer", "NOT_PROSUMER")
    require(0 <= up < 2**40 and 0 <= down < 2**40 and 0 <= soc < 2**40, "BAD_WH")
    require(0 <= charge <= rules.max_price and 0 <= discharge <= rules.max_price, "BAD_PRICE")
    if rules.options.capped:
        require(up <= desk.cap_wh and down <= desk.cap_wh, "ABOVE_RATING")
        if desk.stores:
            view_call("vehicles", "reserve", slot, desk.meter, up, down, soc)
            holding = holdings.get(desk.meter)
            if holding is not None and holding.day == day_of(rules, slot):
                require(up <= holding.up and down <= holding.down and soc <= holding.soc, "ABOVE_RESERVE")
    key = (slot, desk.meter)
    before = reserves.get(key)
    entry = Reserve(up=up, down=down, charge=charge, discharge=discharge, soc=soc)
    escrow = reserve_cover(rules, entry)
    reserves[key] = entry
    if before is not None:
        call("token", "settle", [[desk.account, reserve_cover(rules, before), 0]])
    call("token", "lock", desk.account, escrow)
    emit(
        Reserved, slot=slot, meter=desk.meter, up=up, down=down, charge=charge, discharge=discharge, soc=soc,
        escrow=escrow,
    )


def reserve_cover(rules: Rules, entry: Reserve) -> int:
    return amount(rules.worst, max(entry.up, entry.down))


# Once a day: reputations of producers, and who is no longer ranked


@export(scheduled=True)
def begin_day(due: int, day: int) -> None:
    """Before the first match of a day: each producer's reputation from the hours that were settled since the last time, the
    reference volume of the day, and removals."""
    rules = rules_cell.get()
    options = rules.options
    for item in producers.items((), limit=MAX_PRODUCERS):
        wind = item[1]
        if wind.hours > 0:
            reputation = producer_reputation([wind.promised], [wind.promised + wind.missed], wind.efficiency, options.a1)
            producers[item[0]] = wind.replace(
                reputation=reputation, term=wind.term + 1, hours=0, promised=0, missed=0
            )
            emit(ReputationUpdated, day=day, meter=item[0], reputation=reputation)
    references[day] = options.reference
    if day > 0:
        references[day] = volumes[day - 1]
    if not options.removal:
        return
    for item in standings.items((), limit=MAX_METERS):
        standing = item[1]
        if standing.removed == "":
            if day >= max(standing.active_day, standing.from_day) + IDLE_DAYS:
                remove(item[0], standing, "IDLE")
            elif day >= standing.from_day + LOW_AFTER_DAYS and volumes[day - 1] > 0:
                if score_of(rules, day - 1, item[0]) < LOW_REPUTATION:
                    remove(item[0], standing, "LOW_REPUTATION")


def remove(meter: Address, standing: Standing, reason: str) -> None:
    standings[meter] = standing.replace(removed=reason)
    emit(Removed, meter=meter, reason=reason)


def count_of(day: int, meter: Address) -> Count:
    found = counts.get((day, meter))
    if found is None:
        return Count(trades=0, volume=0)
    return found


def score_of(rules: Rules, day: int, meter: Address) -> int:
    """The reputation of a prosumer in the window of a day, as far as it is known."""
    count = count_of(day, meter)
    reference = references.get(day, rules.options.reference)
    return prosumer_reputation(count.trades, rules.periods, count.volume, reference, rules.options.b1)


def credit(options: Options, offered: int, wh: int) -> list:
    """[trades, Wh] that a delivery of a slot counts for."""
    if wh <= 0:
        return [0, 0]
    if not options.tiny and (wh < SMALL_WH or wh * ONE < offered * SMALL_PPM):
        return [0, wh]
    return [1, wh]


def count_credit(day: int, meter: Address, trades: int, volume: int) -> None:
    if trades == 0 and volume == 0:
        return
    count = count_of(day, meter)
    counts[(day, meter)] = Count(trades=count.trades + trades, volume=count.volume + volume)


# The match of a slot: scheduled


@export(scheduled=True)
def match_slot(due: int, slot: int) -> None:
    rules = rules_cell.get()
    hour = hours[slot]
    queue = producer_queue(rules, slot, hour.da_price)
    for row in queue:
        balances[(slot, row[0])] = Balance(
            reputation=row[4], announced=row[5], deviation=row[1], buy=row[2], sell=row[3], rest=0,
        )
    low, high = price_range(rules, queue)
    posted = price_lists.get(slot)
    price = (low + high) // 2
    if posted is not None:
        price = posted
    if rules.options.clamp:
        price = max(low, min(high, price))
    if rules.options.netting:
        net_producers(rules, slot, queue)
    rows = ranked_rows(rules, slot)
    done = match_queue(rules, slot, price, queue, rows)
    for row in queue:
        key = (slot, row[0])
        balances[key] = balances[key].replace(rest=abs(row[1]))
    finish_match(rules, slot, rows)
    hours[slot] = hour.replace(
        phase=MATCHED, p2p_price=price, posted=posted is not None, matches=done[0], matched_wh=done[1],
    )
    day = day_of(rules, slot)
    volumes[day] = volumes[day] + done[1]
    emit(
        HourMatched, slot=slot, price=price, posted=posted is not None, matches=done[0], matched_wh=done[1],
        rest_wh=sum([abs(row[1]) for row in queue]),
    )


def producer_queue(rules: Rules, slot: int, da_price: int) -> list:
    """Producers by reputation descending, id ascending: [meter, deviation left, buys at, sells at, reputation, announced].
    Who has not offered for the day has no deviation to match: the floor is closed to it."""
    options = rules.options
    rows = []
    for item in producers.items((), limit=MAX_PRODUCERS):
        name = item[0]
        wind = item[1]
        prices = balancing_prices(da_price, wind.reputation, options.s0, options.kb, options.ks)
        position = positions.get((slot, name))
        deviation = 0
        announced = 0
        if position is not None:
            announced = announcements.get((slot, name), position.sold)
            deviation = announced - position.sold
        rows.append([name, deviation, prices[0], prices[1], wind.reputation, announced])
    return sorted(rows, key=lambda row: (-row[4], row[0]))


def price_range(rules: Rules, queue: list) -> tuple:
    """What lies within all balancing prices."""
    return (max([0] + [row[3] for row in queue]), min([rules.worst] + [row[2] for row in queue]))


@view
def floor(slot: u64) -> list | None:
    """A cleared slot before its match: [least, highest price, deviation, by rank [meter, up, down]]."""
    hour = hours.get(slot)
    if hour is None or hour.phase != CLEARED:
        return None
    rules = rules_cell.get()
    queue = producer_queue(rules, slot, hour.da_price)
    low, high = price_range(rules, queue)
    rows = sorted([row for row in ranked_rows(rules, slot) if row[6] == ""], key=lambda row: (-row[1], row[12]))
    return [low, high, sum([row[1] for row in queue]), [[row[0], row[2], row[3]] for row in rows]]


def net_producers(rules: Rules, slot: int, queue: list) -> None:
    """Opposite deviations of producers meet first, each pair at the middle of its balancing prices."""
    number = 0
    for giver in queue:
        for taker in queue:
            wh = min(max(0, giver[1]), max(0, -taker[1]))
            if wh > 0 and (rules.options.self_trade or desks[giver[0]].owner != desks[taker[0]].owner):
                giver[1] = giver[1] - wh
                taker[1] = taker[1] + wh
                price = (taker[2] + giver[3]) // 2
                nettings[(slot, number)] = Netting(seller=giver[0], buyer=taker[0], wh=wh, price=price)
                number += 1
                emit(Netted, slot=slot, seller=giver[0], buyer=taker[0], wh=wh, price=price)


def ranked_rows(rules: Rules, slot: int) -> list:
    """Who declared a reserve, by meter: [meter, reputation, up, down, cost to charge, to discharge, why not ranked, owner,
    taken (Wh), direction (0 none, 1 up, 2 down), account, reserve, rank]."""
    options = rules.options
    day = day_of(rules, slot)
    found = reserves.items((slot,), limit=MAX_METERS)
    known = view_call("metering", "forecasts_of", slot, [item[0][1] for item in found])
    rows = []
    for at in range(len(found)):
        name = found[at][0][1]
        entry = found[at][1]
        desk = desks[name]
        up = entry.up
        down = entry.down
        holding = holdings.get(name)
        if options.capped and desk.stores and holding is not None and holding.day == day:
            up = min(up, holding.up)
            down = min(down, holding.down)
        score = score_of(rules, day, name)
        reason = ""
        if not desk.active:
            reason = "SUSPENDED"
        elif options.removal and standings[name].removed != "":
            reason = standings[name].removed
        elif known[at] is None:
            reason = "NO_FORECAST"
        elif slot != first_of(rules, day) and score < options.r_min:
            reason = "BELOW_MINIMUM"
        rank = name
        if options.tie_hash:
            rank = sha256(slot.to_bytes(8, "big") + name) + name
        rows.append(
            [name, score, up, down, entry.charge, entry.discharge, reason, desk.owner, 0, 0, desk.account, entry, rank]
        )
    return rows


def match_queue(rules: Rules, slot: int, price: int, queue: list, rows: list) -> list:
    """Each producer in turn from the reserves that are left, by rule 2.4; a prosumer moves in one direction a slot.
    Returns [matches, Wh]."""
    places = {rows[at][12]: at for at in range(len(rows))}
    number = 0
    total = 0
    for producer in queue:
        if producer[1] != 0:
            owner = desks[producer[0]].owner
            way = 1
            if producer[1] > 0:
                way = 2
            open_rows = [
                [row[12], row[1], row[2], row[3], row[4], row[5]]
                for row in rows
                if row[6] == "" and (row[9] == 0 or row[9] == way) and (rules.options.self_trade or row[7] != owner)
            ]
            for found in rank_match(producer[1], open_rows, price, rules.retail)[0]:
                row = rows[places[found[0]]]
                wh = found[1]
                row[8] = row[8] + wh
                row[9] = way
                row[1 + way] = row[1 + way] - wh
                if way == 1:
                    producer[1] = producer[1] + wh
                else:
                    producer[1] = producer[1] - wh
                matches[(slot, number)] = Match(
                    producer=producer[0], prosumer=row[0], wh=wh, surplus=way == 2, price=price
                )
                number += 1
                total += wh
                emit(
                    Traded, slot=slot, producer=producer[0], prosumer=row[0], wh=wh, surplus=way == 2, price=price,
                )
    return [number, total]


def position_of(slot: int, meter: Address) -> Position:
    found = positions.get((slot, meter))
    if found is None:
        return Position(offered=0, sold=0, bought=0, escrow=0)
    return found


def finish_match(rules: Rules, slot: int, rows: list) -> None:
    """Reserves, states of charge, scores and escrow after the match; what each place in the ranking shows."""
    options = rules.options
    day = day_of(rules, slot)
    moves = []
    for row in rows:
        wh = row[8]
        kept = amount(rules.worst, wh)
        released = reserve_cover(rules, row[11]) - kept
        if released > 0:
            moves.append([row[10], released, 0])
        if wh > 0:
            key = (slot, row[0])
            position = position_of(slot, row[0])
            positions[key] = position.replace(escrow=position.escrow + kept)
            soc = row[11].soc
            if row[9] == 1:
                holdings[row[0]] = Holding(day=day, up=row[2], down=row[3] + wh, soc=max(0, soc - wh))
                offered = row[11].up
            else:
                holdings[row[0]] = Holding(day=day, up=row[2] + wh, down=row[3], soc=soc + wh)
                offered = row[11].down
            if not options.metered:
                counted = credit(options, offered, wh)
                count_credit(day, row[0], counted[0], counted[1])
                standings[row[0]] = standings[row[0]].replace(active_day=day)
    rankings[slot] = Ranking(
        meters=[row[0] for row in rows], reputations=[row[1] for row in rows], reasons=[row[6] for row in rows],
        taken=[row[8] for row in rows], left_up=[row[2] for row in rows], left_down=[row[3] for row in rows],
    )
    if len(moves) > 0:
        call("token", "settle", moves)
