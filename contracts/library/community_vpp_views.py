# Views


@view
def slot(number: u64) -> dict:
    """Phase, times and totals of a slot."""
    rules = rules_cell.get()
    start = start_of(rules, number)
    end = start + rules.slot_ms
    shown = {
        "phase": PHASES[0], "open_ms": start - rules.open_ms, "close_ms": start - rules.close_ms,
        "t1_ms": start - rules.t1_ms, "start_ms": start, "end_ms": end, "settle_ms": end + rules.grace_ms,
        "late_ms": end + rules.late_ms, "quotations": 0, "bids": 0, "trades": 0, "traded_wh": 0, "traded_money": 0,
        "unsold_wh": 0, "unmet_wh": 0,
    }
    state = states.get(number)
    if state is not None:
        shown["phase"] = PHASES[state.phase]
        shown["quotations"] = state.quotations
        shown["bids"] = state.bids
        shown["trades"] = state.trades
        shown["traded_wh"] = state.traded_wh
        shown["traded_money"] = state.traded_money
        shown["unsold_wh"] = state.unsold_wh
        shown["unmet_wh"] = state.unmet_wh
    return shown


@view
def open_slots() -> list:
    """The slots that take quotations at this moment, ascending; the last one stays open longest."""
    rules = rules_cell.get()
    now = ctx.market_time_ms - rules.slot0_ms
    first = max(rules.first_slot, (now + rules.close_ms) // rules.slot_ms + 1)
    last = min(rules.last_slot, (now + rules.open_ms) // rules.slot_ms)
    return list(range(first, last + 1))


def shown_quotation(seq: int, quotation: Quotation) -> dict:
    return {
        "seq": seq, "meter": quotation.meter, "wh": quotation.wh, "left_wh": quotation.left_wh,
        "price": quotation.price, "time_ms": quotation.time_ms, "valid": quotation.valid,
    }


def shown_bid(number: int, seq: int, bid: Bid) -> dict:
    return {
        "seq": seq, "quotation": number, "meter": bid.meter, "wh": bid.wh, "left_wh": bid.left_wh, "price": bid.price,
        "status": bid.status,
    }


@view
def quotation(slot: u64, seq: u64) -> dict | None:
    found = quotations.get((slot, seq))
    if found is None:
        return None
    return shown_quotation(seq, found)


@view
def bid(slot: u64, quotation: u64, seq: u64) -> dict | None:
    found = bids.get((slot, quotation, seq))
    if found is None:
        return None
    return shown_bid(quotation, seq, found)


@view
def orders_of(slot: u64, meter: Address) -> dict:
    """Quotations and revealed bids of a meter in a slot, by seq."""
    book = book_of(slot)
    return {
        "quotations": [item for item in book["quotations"] if item["meter"] == meter],
        "bids": [item for item in book["bids"] if item["meter"] == meter],
    }


@view
def book_of(slot: u64) -> dict:
    """All quotations by seq and all revealed bids by (quotation, seq), with supply, demand and what is unsold (Wh)."""
    offered = [shown_quotation(item[0][1], item[1]) for item in quotations.items((slot,), limit=MAX_QUOTATIONS)]
    placed = [shown_bid(item[0][1], item[0][2], item[1]) for item in bids.items((slot,), limit=MAX_BIDS)]
    return {
        "quotations": offered,
        "bids": placed,
        "supply_wh": sum([item["wh"] for item in offered if item["valid"]]),
        "demand_wh": sum([item["wh"] for item in placed if item["status"] != "rejected" or item["left_wh"] > 0]),
        "unsold_wh": sum([item["left_wh"] for item in offered]),
    }


@view
def trades_of(slot: u64) -> list:
    """Trades in match order: quotation, bid, meters of seller and buyer, Wh, price."""
    return [
        {
            "quotation": item[1].quotation, "bid": item[1].bid, "seller": item[1].seller, "buyer": item[1].buyer,
            "wh": item[1].wh, "price": item[1].price,
        }
        for item in trades.items((slot,), limit=MAX_BIDS + MAX_QUOTATIONS)
    ]


@view
def pool_of(slot: u64) -> dict:
    """What the excess pool moved in a slot, as first settled: giver, taker, Wh, and its price."""
    options = tariffed(rules_cell.get(), slot).options
    moves = [
        {"giver": item[1].giver, "taker": item[1].taker, "wh": item[1].wh}
        for item in pool_moves.items((slot,), limit=2 * MAX_METERS)
    ]
    return {"price": (options.sbp + options.ssp) // 2, "moves": moves}


@view
def performance_of(meter: Address) -> dict:
    """Good slots, slots outside the band, the fee discount in ppm, and whether a waiver is held for the next trade."""
    score = scores.get(meter)
    if score is None:
        return {"good": 0, "defaults": 0, "discount": 0, "waive": False}
    return {
        "good": score.good, "defaults": score.defaults, "discount": discount_of(score.good), "waive": score.waive,
    }


def shown_settlement(entry: Settlement) -> dict:
    line = entry.lines
    return {
        "account": entry.account, "sold_wh": entry.sold_wh, "bought_wh": entry.bought_wh,
        "generation_wh": entry.generation_wh, "use_wh": entry.use_wh, "delivered_wh": line[OUT_WH],
        "received_wh": line[IN_WH], "pool_out_wh": line[POOL_OUT_WH], "pool_in_wh": line[POOL_IN_WH],
        "grid_buy_wh": line[GRID_BUY_WH], "grid_sell_wh": line[GRID_SELL_WH], "receipts": line[RECEIVED],
        "payments": line[PAID], "subsidy": line[SUBSIDY], "penalty": line[PENALTY], "fees": line[FEES],
        "grid_cost": line[GRID_COST], "grid_income": line[GRID_INCOME], "net": entry.net,
        "difference": entry.difference, "estimated": entry.estimated,
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
    return {
        "slot_ms": rules.slot_ms, "slot0_ms": rules.slot0_ms, "first_slot": rules.first_slot,
        "last_slot": rules.last_slot, "open_ms": rules.open_ms, "close_ms": rules.close_ms, "t1_ms": rules.t1_ms,
        "grace_ms": rules.grace_ms, "late_ms": rules.late_ms, "sbp": options.sbp, "ssp": options.ssp,
        "fee": options.fee, "band": options.band, "subsidy": options.subsidy, "cap": options.cap,
        "max_price": rules.max_price, "deposit": rules.deposit, "sealed": rules.sealed,
        "owner_settles": rules.owner_settles, "check_ask": options.check_ask, "priority": options.priority,
        "by_unit": options.by_unit, "self_trade": options.self_trade, "fee_guard": options.fee_guard,
        "pool": options.pool, "grid": grid_account.get(), "operator": operator_account.get(),
    }
