# The gate and the match: scheduled


@export(scheduled=True)
def open_cycle(due: int, cycle: int) -> None:
    """The window of a cycle opens at the token rate of the cycle; all its later phases are scheduled."""
    rules = rules_cell.get()
    start = start_of(rules, cycle)
    rate = rate_of(cycle)
    cycles[cycle] = Cycle(
        phase=OPEN, rate=rate, offers=0, requests=0, by="", served=0, served_bound=0, sum_m=0, m_bound=0, first_order=0,
        orders=0, next_order=0, cursor=b"",
    )
    found = view_call("tariffs", "at", cycle)
    if found is not None:
        tariff_of[cycle] = found
    emit(
        CycleOpened, cycle=cycle, start_ms=start, gate_ms=start - rules.gate_ms, match_ms=start - rules.match_ms, rate=rate,
    )
    schedule(start - rules.gate_ms, "close_gate", cycle, gas=GAS_MATCH)
    schedule(start + rules.slot_ms, "end_delivery", cycle, gas=GAS_SIGNAL)
    if cycle < rules.last:
        schedule(due + rules.slot_ms, "open_cycle", cycle + 1, gas=GAS_SIGNAL)


@export(scheduled=True)
def close_gate(due: int, cycle: int) -> None:
    """Deposits of what was not revealed are lost; then the table of the cycle is fixed: who, how much, M of every pair."""
    rules = tariffed(rules_cell.get(), cycle)
    if forfeit(rules, cycle) == ROWS_PER_CALL:
        schedule(due, "close_gate", cycle, gas=GAS_MATCH)
        return
    offers = entries.items((cycle, OFFER), limit=MAX_PROVIDERS)
    requests = entries.items((cycle, REQUEST), limit=MAX_USERS)
    state = cycles[cycle].replace(phase=CLOSED)
    cycles[cycle] = state
    rcs = [rc_of(rules, item[0][2]) for item in offers]
    tables[cycle] = Table(
        users=[item[0][2] for item in requests], wh=[item[1].wh for item in requests],
        providers=[item[0][2] for item in offers], capacity=[item[1].wh for item in offers],
        prices=[item[1].price for item in offers], rcs=rcs,
    )
    fill_table(rules, cycle, offers, requests, rcs)
    emit(
        CycleClosed, cycle=cycle, users=len(requests), providers=len(offers), exact=len(requests) <= EXACT_USERS,
    )
    schedule(start_of(rules, cycle) - rules.match_ms, "match_cycle", cycle, gas=GAS_MATCH)


def forfeit(rules: Rules, cycle: int) -> int:
    rows = commitments.items((cycle,), limit=ROWS_PER_CALL)
    moves = []
    for item in rows:
        meter = item[0][1]
        moves.append([desks[meter].account, rules.deposit, -rules.deposit])
        del commitments[item[0]]
        emit(DepositLost, cycle=cycle, meter=meter, deposit=rules.deposit)
    if len(moves) > 0:
        moves.append([houses.get().community, 0, rules.deposit * len(moves)])
        call("token", "settle", moves)
    return len(rows)


def rc_of(rules: Rules, meter: Address) -> int:
    known = reputations.get(meter)
    if known is None:
        return rules.first_rc
    return known.rc


def fill_table(rules: Rules, cycle: int, offers: list, requests: list, rcs: list) -> None:
    """M and the grid fee per kWh of every pair, users by providers."""
    sources = [item[1].bus for item in offers]
    fees = view_call("routing", "fees", cycle, sources, [item[1].bus for item in requests])
    by_price = rules.newcomers > 0 and cycle % rules.newcomers == rules.newcomers - 1
    for user in range(len(requests)):
        asked = requests[user][1]
        row = []
        fee_row = []
        for at in range(len(offers)):
            offered = offers[at][1]
            fee = fees[at][user]
            fee_row.append(fee)
            own = offered.owner == asked.owner and not rules.self_trade
            if own or offered.price > asked.price:
                row.append(NOT_ALLOWED)
            else:
                row.append(pair_degree(rules, offered.price, asked.wh, fee, rcs[at], by_price))
        degrees[(cycle, user)] = row
        fee_rows[(cycle, user)] = fee_row


def pair_degree(rules: Rules, price: int, wh: int, fee: int, rc: int, by_price: bool) -> int:
    """M of a pair. In a cycle by price reputation does not count: M is what the user saves against the grid."""
    saved = amount(max(0, rules.retail - price), wh)
    benefit = -1
    if rules.saving:
        benefit = saved
    found = degree(price, wh, amount(fee, wh), rc, benefit)
    if by_price and found != NOT_ALLOWED:
        return saved
    return found


def degrees_in(cycle: int) -> list:
    return [item[1] for item in degrees.items((cycle,), limit=MAX_USERS)]


@export
def submit(cycle: u64, choice: list[u64], service: u64, multipliers: list[u64]) -> dict:
    """A solution from outside between gate and match: for each user of the table a provider, or their number for nobody.
    Refused if it is not feasible, not as good as the greedy one or no better than the best one known; `service` and
    `multipliers` bound what any other could reach. Members and institutions only. {choice, served, served_bound, sum_m,
    m_bound}."""
    state = cycles.get(cycle)
    if state is None or state.phase != CLOSED:
        revert("NOT_CLOSED")
    require(view_call("registry", "role_of", ctx.sender) != "", "NOT_MEMBER")
    table = tables[cycle]
    found = view_call(
        "assignment", "check", table.wh, table.capacity, degrees_in(cycle), choice, service, multipliers
    )
    digest = sha256(bytes(choice))
    best = solutions.get(cycle)
    if best is not None:
        better = (found["served"], found["sum_m"]) > (best.served, best.sum_m)
        same = found["served"] == best.served and found["sum_m"] == best.sum_m
        tighter = same and found["m_bound"] < best.m_bound
        require(better or tighter or (same and digest < best.digest), "NOT_BETTER")
        if same:
            found["m_bound"] = min(found["m_bound"], best.m_bound)
    solutions[cycle] = Solution(
        by=ctx.sender, choice=choice, served=found["served"], served_bound=found["served_bound"], sum_m=found["sum_m"],
        m_bound=found["m_bound"], digest=digest,
    )
    emit(
        Submitted, cycle=cycle, by=ctx.sender, served=found["served"], served_bound=found["served_bound"],
        sum_m=found["sum_m"], m_bound=found["m_bound"],
    )
    return found


def chosen(cycle: int, table: Table, m: list) -> dict:
    """The assignment of a cycle and where it comes from: `exact`, `submitted`, `partial` (branch and bound stopped at its
    steps) or `greedy`."""
    own = {}
    if len(table.users) <= EXACT_USERS:
        tried = view_call(
            "assignment", "solve", table.wh, table.capacity, m, EXACT_STEPS, gas=GAS_EXACT, on_fail="return"
        )
        if tried[0]:
            own = tried[1]
            own["by"] = "partial"
            if own["proven"]:
                own["by"] = "exact"
                return own
    if len(own) == 0:
        own = view_call("assignment", "fallback", table.wh, table.capacity, m)
        own["by"] = "greedy"
    best = solutions.get(cycle)
    if best is None or (best.served, best.sum_m) < (own["served"], own["sum_m"]):
        return own
    return {
        "by": "submitted", "choice": best.choice, "served": best.served, "served_bound": best.served_bound,
        "sum_m": best.sum_m, "m_bound": best.m_bound,
    }


@export(scheduled=True)
def match_cycle(due: int, cycle: int) -> None:
    """Assign, route, make the electronic orders; what is not needed of the escrow returns."""
    rules = rules_cell.get()
    state = cycles[cycle]
    table = tables[cycle]
    found = chosen(cycle, table, degrees_in(cycle))
    choice = found["choice"]
    users = table.users
    providers = table.providers
    needs = table.wh
    pairs = [user for user in range(len(choice)) if choice[user] < len(providers)]
    first = next_order.get()
    trades = []
    for number in range(len(pairs)):
        user = pairs[number]
        at = choice[user]
        buyer = entries[(cycle, REQUEST, users[user])]
        seller = entries[(cycle, OFFER, providers[at])]
        trades.append([first + number, providers[at], users[user], needs[user], seller.bus, buyer.bus])
    ways = call("routing", "queue_trades", cycle, trades)
    made = make_orders(rules, cycle, state.rate, table, choice, pairs, ways, first)
    next_order.set(first + len(pairs))
    gap = 0
    if found["m_bound"] > found["sum_m"]:
        gap = (found["m_bound"] - found["sum_m"]) * ONE // found["m_bound"]
    cycles[cycle] = state.replace(
        phase=MATCHED, by=found["by"], served=found["served"], served_bound=found["served_bound"], sum_m=found["sum_m"],
        m_bound=found["m_bound"], first_order=first, orders=len(pairs), next_order=first,
    )
    emit(
        CycleMatched, cycle=cycle, by=found["by"], served=found["served"], served_bound=found["served_bound"],
        sum_m=found["sum_m"], m_bound=found["m_bound"], gap_ppm=gap, orders=len(pairs), curtailed_wh=made,
    )
    schedule(end_of(rules, cycle) + rules.grace_ms, "settle_cycle", cycle, False, gas=GAS_STEP)


def make_orders(
    rules: Rules, cycle: int, rate: int, table: Table, choice: list, pairs: list, ways: list, first: int
) -> int:
    """Write the orders and the positions of all who placed something; release the rest of the escrow. Returns the Wh that
    the lines do not take."""
    rewards = lock_rewards(rules, [way[0] for way in ways])
    users = table.users
    providers = table.providers
    needs = table.wh
    prices = table.prices
    deadline = end_of(rules, cycle) + rules.late_ms
    kept = {}
    sold = [0] * len(providers)
    curtailed = 0
    for number in range(len(pairs)):
        user = pairs[number]
        at = choice[user]
        wh = ways[number][0]
        curtailed += needs[user] - wh
        sold[at] = sold[at] + wh
        price = prices[at]
        escrow = tokens_of(amount(price, wh), rate)
        kept[user] = (wh, escrow)
        order = Order(
            cycle=cycle, user=users[user], provider=providers[at], payer=desks[users[user]].account,
            payee=desks[providers[at]].account, wh=wh, price=price, fee=amount(fee_rows[(cycle, user)][at], wh), rate=rate,
            escrow=escrow, reward=rewards[number], loss=wh * rules.loss_ppm // ONE, path=ways[number][1],
            curtailed_wh=needs[user] - wh, state=MADE, sent=NO_READING, received=NO_READING, reported_ms=0,
            estimated=False, used_sent=0, used_received=0, paid=0, fee_paid=0, reward_paid=0, held=0,
        )
        orders[first + number] = order
        orders_by_meter[(order.user, first + number)] = True
        orders_by_meter[(order.provider, first + number)] = True
        emit(
            OrderMade, order=first + number, cycle=cycle, user=order.user, provider=order.provider, wh=wh, price=price,
            fee=order.fee, rate=rate, escrow=escrow, reward=order.reward, path=order.path,
            curtailed_wh=order.curtailed_wh, deadline_ms=deadline,
        )
    moves = []
    for user in range(len(users)):
        found = kept.get(user, (0, 0))
        moves.append(opened(cycle, REQUEST, users[user], found[0], found[1], 0))
    for at in range(len(providers)):
        cover = tokens_of(amount(cover_price(rules, OFFER, prices[at]), sold[at]), rate)
        moves.append(opened(cycle, OFFER, providers[at], sold[at], cover, cover))
    call("token", "settle", moves)
    return curtailed


def opened(cycle: int, side: int, meter: Address, wh: int, escrow: int, cover: int) -> list:
    """Delete an entry, write the position of its meter if it trades; the move that releases what is not kept."""
    entry = entries[(cycle, side, meter)]
    del entries[(cycle, side, meter)]
    if wh > 0:
        positions[(cycle, meter)] = Position(
            side=side, account=entry.account, wh=wh, escrow=cover, sent=0, received=0, receipts=0, payments=0, fees=0,
            rewards=0, values=0, weights=0,
        )
    return [entry.account, entry.escrow - escrow, 0]


def lock_rewards(rules: Rules, granted: list) -> list:
    """Rewards of orders of these Wh, by number, as far as the community's free balance goes; they are locked there."""
    community = houses.get().community
    left = view_call("token", "account", community)["balance"]
    rewards = []
    for wh in granted:
        reward = 0
        if wh > 0 and rules.reward <= left:
            reward = rules.reward
        left -= reward
        rewards.append(reward)
    locked = call("token", "lock", community, sum(rewards), on_fail="return")
    if not locked[0]:
        return [0] * len(granted)
    return rewards
