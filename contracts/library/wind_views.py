# Views


@view
def slot(number: u64) -> dict:
    """Phase, times, prices and totals of a slot."""
    rules = rules_cell.get()
    start = start_of(rules, number)
    end = start + rules.slot_ms
    hour = hours.get(number)
    if hour is None:
        hour = Hour(phase=0, da_price=0, p2p_price=0, posted=False, flagged=False, matches=0, matched_wh=0)
    return {
        "phase": PHASES[hour.phase], "day": max(0, day_of(rules, number)), "t2_ms": start - rules.t2_ms,
        "start_ms": start, "end_ms": end, "settle_ms": end + rules.grace_ms, "late_ms": end + rules.late_ms,
        "da_price": hour.da_price, "p2p_price": hour.p2p_price, "posted": hour.posted, "flagged": hour.flagged,
        "matches": hour.matches, "matched_wh": hour.matched_wh,
    }


@view
def open_slots() -> list:
    """The slots that take announcements and reserves at this moment, ascending."""
    rules = rules_cell.get()
    now = ctx.market_time_ms - rules.slot0_ms
    first = max(rules.first_slot, (now + rules.t2_ms) // rules.slot_ms + 1)
    last = min(rules.last_slot, first + 2 * rules.periods)
    return [number for number in range(first, last + 1) if floor_open(rules, number)]


@view
def open_days() -> list:
    """The days that take orders or commitments at this moment."""
    rules = rules_cell.get()
    now = ctx.market_time_ms - rules.slot0_ms - rules.first_slot * rules.slot_ms
    length = rules.periods * rules.slot_ms
    first = max(0, (now + rules.close_ms) // length + 1)
    if now + rules.close_ms < 0:
        first = 0
    last = (now + rules.open_ms) // length
    return [day for day in range(first, last + 1) if first_of(rules, day) <= rules.last_slot]


@view
def day_book(day: u64) -> dict:
    """Orders of a day by side and seq: meter, Wh and price of each slot."""
    return {
        ("offers", "bids")[side]: [
            {"seq": item[0][2], "meter": item[1].meter, "wh": item[1].wh, "prices": item[1].prices}
            for item in day_orders.items((day, side), limit=MAX_METERS)
        ]
        for side in (SELL, BUY)
    }


@view
def position(slot: u64, meter: Address) -> dict:
    found = position_of(slot, meter)
    return {"offered": found.offered, "sold": found.sold, "bought": found.bought, "escrow": found.escrow}


@view
def ranking(slot: u64) -> list:
    """Who declared a reserve for a matched slot, by rank: reputation, Wh taken and left, why not ranked."""
    found = rankings.get(slot)
    if found is None:
        return []
    names = found.meters
    scores = found.reputations
    reasons = found.reasons
    taken = found.taken
    left_up = found.left_up
    left_down = found.left_down
    order = sorted(list(range(len(names))), key=lambda at: (len(reasons[at]) > 0, -scores[at], names[at]))
    return [
        {
            "meter": names[at], "reputation": scores[at], "reason": reasons[at], "taken_wh": taken[at],
            "left_up_wh": left_up[at], "left_down_wh": left_down[at],
        }
        for at in order
    ]


@view
def balancing(slot: u64, meter: Address) -> dict | None:
    """A producer in a matched slot: reputation, announced output, deviation, balancing prices, Wh left for that floor."""
    found = balances.get((slot, meter))
    if found is None:
        return None
    return {
        "reputation": found.reputation, "announced": found.announced, "deviation": found.deviation, "buy": found.buy,
        "sell": found.sell, "rest_wh": found.rest,
    }


@view
def trades_of(slot: u64) -> list:
    """Matches of a slot in match order."""
    return [
        {
            "producer": item[1].producer, "prosumer": item[1].prosumer, "wh": item[1].wh, "surplus": item[1].surplus,
            "price": item[1].price,
        }
        for item in matches.items((slot,), limit=MAX_METERS * MAX_PRODUCERS)
    ]


@view
def performance(meter: Address, day: u64) -> dict:
    """A prosumer in the window of a day: counted trades, Wh, reputation, and why it is not ranked ("" if it is)."""
    rules = rules_cell.get()
    count = count_of(day, meter)
    removed = ""
    standing = standings.get(meter)
    if standing is not None:
        removed = standing.removed
    return {
        "trades": count.trades, "volume_wh": count.volume, "reputation": score_of(rules, day, meter), "removed": removed,
    }


@view
def provider(meter: Address) -> dict | None:
    """A producer: reputation, turbine efficiency, and the hours that its next reputation counts."""
    found = producers.get(meter)
    if found is None:
        return None
    return {
        "reputation": found.reputation, "efficiency": found.efficiency, "hours": found.hours,
        "promised_wh": found.promised, "missed_wh": found.missed,
    }


def shown_settlement(entry: Settlement) -> dict:
    line = entry.lines
    return {
        "account": entry.account, "generation_wh": entry.generation_wh, "use_wh": entry.use_wh,
        "da_sold_wh": line[DA_SOLD_WH], "da_bought_wh": line[DA_BOUGHT_WH], "p2p_sold_wh": line[P2P_SOLD_WH],
        "p2p_bought_wh": line[P2P_BOUGHT_WH], "bl_sold_wh": line[BL_SOLD_WH], "bl_bought_wh": line[BL_BOUGHT_WH],
        "grid_buy_wh": line[GRID_BUY_WH], "grid_sell_wh": line[GRID_SELL_WH], "da_money": line[DA_MONEY],
        "p2p_money": line[P2P_MONEY], "shortfall": line[SHORTFALL], "bl_money": line[BL_MONEY],
        "grid_money": line[GRID_MONEY], "net": entry.net, "difference": entry.difference, "estimated": entry.estimated,
        "flagged": entry.flagged,
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
    return [shown_settlement(item[1]) for item in corrections.items((slot, meter), limit=MAX_PAGE)]


@view
def parameters() -> dict:
    rules = rules_cell.get()
    options = rules.options
    found = houses.get()
    return {
        "slot_ms": rules.slot_ms, "slot0_ms": rules.slot0_ms, "first_slot": rules.first_slot,
        "last_slot": rules.last_slot, "open_ms": rules.open_ms, "close_ms": rules.close_ms, "t1_ms": rules.t1_ms,
        "t2_ms": rules.t2_ms, "grace_ms": rules.grace_ms, "late_ms": rules.late_ms, "periods": rules.periods,
        "feed": rules.feed, "retail": rules.retail, "max_price": rules.max_price, "deposit": rules.deposit,
        "worst": rules.worst, "sealed": rules.sealed, "a1": options.a1, "b1": options.b1, "s0": options.s0,
        "kb": options.kb, "ks": options.ks, "r_min": options.r_min, "da_clearing": options.da_clearing,
        "netting": options.netting, "removal": options.removal, "tiny": options.tiny, "capped": options.capped,
        "metered": options.metered, "clamp": options.clamp, "tie_hash": options.tie_hash,
        "one_sided": options.one_sided, "self_trade": options.self_trade, "grid": found.grid,
        "community": found.community, "operator": found.operator, "energy_bureau": found.bureau,
    }
