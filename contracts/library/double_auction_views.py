# Views


@view
def slot(number: u64) -> dict:
    """Phase, times and totals of a slot."""
    rules = rules_cell.get()
    start = start_of(rules, number)
    end = start + rules.slot_ms
    shown = {
        "phase": PHASES[0],
        "open_ms": start - rules.open_ms,
        "t1_ms": start - rules.t1_ms,
        "requote_ms": start - rules.requote_ms,
        "t2_ms": start - rules.t2_ms,
        "start_ms": start,
        "end_ms": end,
        "settle_ms": end + rules.grace_ms,
        "late_ms": end + rules.late_ms,
        "trades": 0,
        "traded_wh": 0,
        "traded_money": 0,
        "surplus": 0,
        "pa": None,
    }
    state = states.get(number)
    if state is not None:
        shown["phase"] = PHASES[state.phase]
        shown["trades"] = state.trades
        shown["traded_wh"] = state.traded_wh
        shown["traded_money"] = state.traded_money
        shown["surplus"] = state.surplus
        shown["pa"] = pa_or_none(state)
    return shown


@view
def open_slots() -> list:
    """The slots that take orders at this moment, ascending; the last one stays open longest."""
    rules = rules_cell.get()
    now = ctx.market_time_ms - rules.slot0_ms
    first = max(rules.first_slot, (now + rules.t1_ms) // rules.slot_ms + 1)
    last = min(rules.last_slot, (now + rules.open_ms) // rules.slot_ms)
    return list(range(first, last + 1))


def standing(slot: u64, queue: u64) -> list:
    """Orders left in a queue and in the same one of stage 2, in rank order."""
    rows = []
    for stage in (queue, STAGE_TWO + queue):
        for item in book.items((slot, stage)):
            rows.append(shown_order(item[0], item[1], queue))
    return rows


def shown_order(key, order: Order, queue: u64) -> dict:
    price = key[2]
    if queue == BIDS:
        price = RANK_TOP - price
    return {"seq": key[3], "meter": order.meter, "wh": order.wh, "left_wh": order.left, "price": price}


@view
def book_of(slot: u64, side: str, limit: int) -> list:
    """The best orders left, in rank order, of the stage that is next."""
    queue = BIDS if side == "buy" else ASKS
    rows = []
    for stage in (queue, STAGE_TWO + queue):
        for item in book.items((slot, stage), limit=min(limit, MAX_PAGE)):
            rows.append(shown_order(item[0], item[1], queue))
    return rows


@view
def orders_of(slot: u64, meter: Address) -> list:
    """The orders of a meter that still stand in a slot, asks before bids, in rank order."""
    rows = []
    for queue in (ASKS, BIDS):
        for row in standing(slot, queue):
            if row["meter"] == meter:
                row["side"] = "buy" if queue == BIDS else "sell"
                rows.append(row)
    return rows


@view
def depth(slot: u64) -> dict:
    """What was offered and asked for in a slot, Wh, without what was withdrawn; what of it is traded, and what is left:
    `unsold_wh` and `unmet_wh`."""
    left = [0, 0]
    for queue in (ASKS, BIDS):
        for row in standing(slot, queue):
            left[queue] += row["left_wh"]
    traded = 0
    state = states.get(slot)
    if state is not None:
        traded = state.traded_wh
        left = [left[0] + state.unsold_wh, left[1] + state.unmet_wh]
    return {
        "supply_wh": traded + left[0], "demand_wh": traded + left[1], "traded_wh": traded, "unsold_wh": left[0],
        "unmet_wh": left[1],
    }


@view
def trades_of(slot: u64) -> list:
    """Trades in match order: meters of seller and buyer, Wh, price, what the buyer pays beyond it. Kept a batch at a time."""
    rows = []
    for item in deals.items((slot,)):
        batch = item[1]
        sellers, buyers, wh, prices = batch.sellers, batch.buyers, batch.wh, batch.prices
        surplus = batch.surplus
        for at in range(len(wh)):
            rows.append(
                {
                    "seller": sellers[at], "buyer": buyers[at], "wh": wh[at], "price": prices[at],
                    "surplus": surplus[at],
                }
            )
    return rows


def shown_settlement(entry: Settlement) -> dict:
    return {
        "account": entry.account,
        "sold_wh": entry.sold_wh,
        "bought_wh": entry.bought_wh,
        "generation_wh": entry.generation_wh,
        "use_wh": entry.use_wh,
        "grid_buy_wh": entry.grid_buy_wh,
        "grid_sell_wh": entry.grid_sell_wh,
        "trade_receipts": entry.trade_receipts,
        "trade_payments": entry.trade_payments,
        "grid_cost": entry.grid_cost,
        "grid_income": entry.grid_income,
        "net": entry.net,
        "difference": entry.difference,
        "estimated": entry.estimated,
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
    rows = []
    for item in corrections.items((slot, meter), limit=MAX_CORRECTIONS + 2):
        rows.append(shown_settlement(item[1]))
    return rows


@view
def parameters() -> dict:
    rules = rules_cell.get()
    return {
        "slot_ms": rules.slot_ms,
        "slot0_ms": rules.slot0_ms,
        "first_slot": rules.first_slot,
        "last_slot": rules.last_slot,
        "open_ms": rules.open_ms,
        "reveal_ms": rules.reveal_ms,
        "t1_ms": rules.t1_ms,
        "t2_ms": rules.t2_ms,
        "grace_ms": rules.grace_ms,
        "late_ms": rules.late_ms,
        "feed": rules.feed,
        "retail": rules.retail,
        "max_price": rules.max_price,
        "margin_ppm": rules.margin_ppm,
        "two_stages": rules.two_stages,
        "hardened_pa": rules.hardened_pa,
        "self_trade": rules.self_trade,
        "sealed": rules.sealed,
        "deposit": rules.deposit,
        "pricing": PRICINGS[rules.pricing],
        "grid": grid_account.get(),
    }
