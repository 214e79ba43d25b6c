# Views


@view
def cycle(number: u64) -> dict:
    """Phase, times, counts and result of a cycle."""
    rules = rules_cell.get()
    start = start_of(rules, number)
    end = end_of(rules, number)
    shown = {
        "phase": PHASES[0], "open_ms": start - rules.open_ms, "reveal_ms": start - rules.reveal_ms,
        "gate_ms": start - rules.gate_ms, "match_ms": start - rules.match_ms, "start_ms": start, "end_ms": end,
        "settle_ms": end + rules.grace_ms, "late_ms": end + rules.late_ms,
    }
    state = cycles.get(number)
    if state is not None:
        shown["phase"] = PHASES[state.phase]
        shown["rate"] = state.rate
        shown["offers"] = state.offers
        shown["requests"] = state.requests
        shown["by"] = state.by
        shown["served"] = state.served
        shown["served_bound"] = state.served_bound
        shown["sum_m"] = state.sum_m
        shown["m_bound"] = state.m_bound
        shown["first_order"] = state.first_order
        shown["orders"] = state.orders
    return shown


@view
def open_cycles() -> list:
    """The cycles that take requests and offers at this moment, ascending."""
    rules = rules_cell.get()
    now = ctx.market_time_ms - rules.slot0_ms
    first = max(rules.first, (now + rules.gate_ms) // rules.slot_ms + 1)
    last = min(rules.last, (now + rules.open_ms) // rules.slot_ms)
    return list(range(first, last + 1))


@view
def book(cycle: u64) -> dict:
    """What is placed before the match: offers and requests by meter, and their sums."""
    sides = []
    for side in (OFFER, REQUEST):
        rows = []
        for item in entries.items((cycle, side), limit=MAX_USERS):
            rows.append({"meter": item[0][2], "bus": item[1].bus, "wh": item[1].wh, "price": item[1].price})
        sides.append(rows)
    return {
        "offers": sides[0], "requests": sides[1], "supply_wh": sum([row["wh"] for row in sides[0]]),
        "demand_wh": sum([row["wh"] for row in sides[1]]),
    }


@view
def table(cycle: u64) -> dict | None:
    """What the assignment is made from: users and providers by meter, M and grid fee per kWh of every pair until the cycle
    is settled; M below 0: not allowed."""
    found = tables.get(cycle)
    if found is None:
        return None
    return {
        "users": found.users, "wh": found.wh, "providers": found.providers, "capacity": found.capacity,
        "prices": found.prices, "rcs": found.rcs, "m": degrees_in(cycle),
        "fees": [item[1] for item in fee_rows.items((cycle,), limit=MAX_USERS)],
    }


@view
def schedule_of(cycle: u64) -> dict:
    """What the match did: each user with its provider and order, or why it has none (`no pair`: no price within its limit, or
    its own only; `no room`), and the capacity that each provider has left, by position in `table`."""
    state = cycles.get(cycle)
    if state is None or state.phase < MATCHED:
        return {"users": [], "left": []}
    found = tables[cycle]
    providers = found.providers
    left = found.capacity
    numbers = {}
    for number in range(state.first_order, state.first_order + state.orders):
        numbers[orders[number].user] = number
    rows = []
    for user in range(len(found.wh)):
        row = {"user": found.users[user], "provider": None, "order": numbers.get(found.users[user]), "why": "no pair"}
        if row["order"] is not None:
            made = orders[row["order"]]
            row["provider"] = made.provider
            row["why"] = ""
            at = providers.index(made.provider)
            left[at] = left[at] - made.wh
        elif max(degrees.get((cycle, user), [0])) >= 0:
            row["why"] = "no room"
        rows.append(row)
    return {"users": rows, "left": left}


@view
def solution(cycle: u64) -> dict | None:
    """The best solution submitted so far."""
    found = solutions.get(cycle)
    if found is None:
        return None
    return {
        "by": found.by, "choice": found.choice, "served": found.served, "served_bound": found.served_bound,
        "sum_m": found.sum_m, "m_bound": found.m_bound,
    }


def state_name(rules: Rules, number: int, order: Order) -> str:
    now = ctx.market_time_ms
    if order.state == DONE:
        return "settled"
    if order.state == EXPIRED:
        return "expired"
    if order.state == DISPUTED or number in claims:
        return "disputed"
    if order.sent != NO_READING and order.received != NO_READING:
        return "delivered"
    if now >= start_of(rules, order.cycle):
        return "delivering"
    return "matched"


def reading_or_none(wh: int) -> int | None:
    if wh == NO_READING:
        return None
    return wh


@view
def order(number: u64) -> dict | None:
    """An electronic order; state: matched, delivering, delivered, settled, disputed, expired."""
    found = orders.get(number)
    if found is None:
        return None
    rules = rules_cell.get()
    return {
        "order": number, "cycle": found.cycle, "user": found.user, "provider": found.provider, "wh": found.wh,
        "price": found.price, "fee": found.fee, "rate": found.rate, "escrow": found.escrow, "reward": found.reward,
        "loss": found.loss, "path": found.path, "curtailed_wh": found.curtailed_wh,
        "deadline_ms": end_of(rules, found.cycle) + rules.late_ms, "state": state_name(rules, number, found),
        "sent": reading_or_none(found.sent), "received": reading_or_none(found.received),
        "estimated": found.estimated, "settled_sent": found.used_sent, "settled_received": found.used_received,
        "paid": found.paid, "fee_paid": found.fee_paid, "reward_paid": found.reward_paid, "held": found.held,
    }


@view
def orders_of(meter: Address, first: u64, limit: int) -> list:
    """Numbers of the orders of a meter from a number on, ascending."""
    after = None
    if first > 0:
        after = (meter, first - 1)
    return [key[1] for key in orders_by_meter.keys((meter,), after=after, limit=min(limit, MAX_PAGE))]


@view
def claim(number: u64) -> dict | None:
    """What is disputed about an order."""
    found = claims.get(number)
    if found is None:
        return None
    return {
        "by": found.by, "sent": found.sent, "received": found.received,
        "third_sent": reading_or_none(found.third_sent), "third_received": reading_or_none(found.third_received),
        "evidence": found.evidence,
    }


@view
def performance(meter: Address) -> dict:
    """Reputation of a provider: RC (ppm), cycles with settled orders, the last of them."""
    known = reputations.get(meter)
    if known is None:
        return {"rc": rules_cell.get().first_rc, "cycles": 0, "last_cycle": None}
    return {"rc": known.rc, "cycles": known.cycles, "last_cycle": known.last_cycle}


def shown_settlement(entry: Settlement) -> dict:
    return {
        "account": entry.account, "sent_wh": entry.sent_wh, "received_wh": entry.received_wh,
        "generation_wh": entry.generation_wh, "use_wh": entry.use_wh, "grid_buy_wh": entry.grid_buy_wh,
        "grid_sell_wh": entry.grid_sell_wh, "trade_receipts": entry.trade_receipts,
        "trade_payments": entry.trade_payments, "grid_fees": entry.grid_fees, "rewards": entry.rewards,
        "grid_cost": entry.grid_cost, "grid_income": entry.grid_income, "net": entry.net,
        "difference": entry.difference, "estimated": entry.estimated,
    }


@view
def settlement(slot: u64, meter: Address) -> dict | None:
    """The first settlement of a meter in a cycle; corrections are entries of their own."""
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
    return {
        "slot_ms": rules.slot_ms, "slot0_ms": rules.slot0_ms, "first": rules.first, "last": rules.last,
        "feed": rules.feed, "retail": rules.retail, "ceiling": rules.ceiling, "deposit": rules.deposit,
        "reward": rules.reward, "loss_ppm": rules.loss_ppm, "step_ppm": rules.step_ppm, "alpha": rules.alpha,
        "v_cap": rules.v_cap, "first_rc": rules.first_rc, "newcomers": rules.newcomers, "sealed": rules.sealed,
        "self_trade": rules.self_trade, "checked": rules.checked, "weighted": rules.weighted, "saving": rules.saving,
        "third_meter": rules.third_meter, "grid": houses.get().grid,
    }


# Rules by themselves: what a cycle would compute


@view
def rc_after(before: u64, trades: list[list], alpha: u64, cap: u64, weighted: bool) -> u64:
    """6.1: RC after a cycle of [actual, agreed] Wh."""
    values = 0
    weights = 0
    for row in trades:
        value = trade_value(row[0], row[1], cap, weighted)
        values += value[0]
        weights += value[1]
    return reputation_after(before, values, weights, alpha)


@view
def degree_of(price: u64, wh: u64, fee: u64, rc: u64) -> int:
    """6.2: M of a pair as published; below 0: not allowed."""
    return degree(price, wh, fee, rc, -1)


@view
def settlement_of(
    wh: u64, price: u64, sent: u64, received: u64, loss: u64, token: u64, rate: u64, fee: u64, checked: bool
) -> list:
    """6.4: [escrow, reward, deduction, paid, grid fee, refund] of an order."""
    return settled(wh, price, sent, received, loss, token, rate, fee, checked)
