"""Peer-to-peer prices of market A by the bilevel problem (rule 2.6): solved anywhere, checked here in integers.

The slots from one to the end of its window (at most a day) are one problem, the *sheet*, frozen once from what `wind`,
`metering` and the owners of storages say on the chain; the next slot may have a sheet of its own, with what is known
then. A solution names a price for each slot, how each follower (a prosumer with a declared storage) answers, and its
shadow prices. Primal feasibility, dual feasibility and the gap between both objectives are checked exactly, so that
nobody has to trust who computed it. The best one is posted to `wind` at once, until the gate of the first slot; without
one `wind` takes the middle of its balancing prices. No money passes through here.

Objectives are in price * Wh (micro-currency times 1,000). A state of charge is counted in Wh * ONE.
"""

ONE = 1_000_000
MAX_FOLLOWERS = 32
MAX_WH = 2**40
WATT_MS_PER_WH = 3_600_000
GAP_WEIGHT = 2

Rules = record(
    "Rules", operator=Address, slot_ms=u64, slot0_ms=u64, first_slot=u64, last_slot=u64, window=u64, gate_ms=u64,
    freeze_ms=u64, feed=u64, retail=u64, max_price=u64, tolerance=u64,
)
Storage = record(
    "Storage", meter=Address, capacity=u64, power=u64, efficiency=u64, charge=u64, discharge=u64, soc=u64,
)
Sheet = record(
    "Sheet", first=u64, low=list[u64], high=list[u64], deviation=list[int], followers=list[Address],
    stores=list[list[u64]], net=list[list[int]], quota=list[list[u64]],
)
Best = record("Best", score=int, leader=int, digest=bytes, account=Address, prices=list[u64])

rules_cell = Var(Rules)
solvers = Map(Address, bool)
storages = Map(Address, Storage)
sheets = Map(u64, Sheet)
best = Map(u64, Best)

SolverChanged = event("SolverChanged", indexed=("account",), account=Address, allowed=bool)
StorageDeclared = event(
    "StorageDeclared", indexed=("meter",), meter=Address, capacity=u64, power=u64, efficiency=u64, charge=u64,
    discharge=u64, soc=u64,
)
SheetOpened = event("SheetOpened", indexed=("first",), first=u64, slots=u64, followers=u64)
SolutionTaken = event(
    "SolutionTaken", indexed=("first", "account"), first=u64, account=Address, score=int, leader=int, digest=bytes,
    prices=list[u64],
)


@init
def setup(operator: Address, calendar: list[u64], prices: list[u64], tolerance: u64) -> None:
    """`calendar`: slot_ms, slot0_ms, first and last slot, slots of a window, gate and freeze in ms before a slot;
    `prices`: feed, retail, the highest price; `tolerance`: how far the objectives of a follower may be apart (ppm, see
    `allowed_gap`)."""
    rules_cell.set(
        Rules(
            operator=operator, slot_ms=calendar[0], slot0_ms=calendar[1], first_slot=calendar[2],
            last_slot=calendar[3], window=calendar[4], gate_ms=calendar[5], freeze_ms=calendar[6], feed=prices[0],
            retail=prices[1], max_price=prices[2], tolerance=tolerance,
        )
    )


def authorised(rules: Rules) -> bool:
    return ctx.sender == rules.operator or ctx.sender in solvers


@export
def authorise(account: Address, allowed: bool) -> None:
    """The operator says who else may open sheets and submit solutions."""
    require(ctx.sender == rules_cell.get().operator, "NOT_ALLOWED")
    if allowed:
        solvers[account] = True
    elif account in solvers:
        del solvers[account]
    emit(SolverChanged, account=account, allowed=allowed)


@export
def declare(capacity: u64, power: u64, efficiency: u64, charge: u64, discharge: u64, soc: u64) -> None:
    """A prosumer's storage: Wh, Wh a slot, ppm kept of what is charged, costs per kWh, state of charge (Wh) at the
    first slot of the next sheet. No capacity: it takes part no more. Later sheets count the last declaration."""
    rules = rules_cell.get()
    member = view_call("registry", "member", ctx.sender)
    require(member is not None and "prosumer" in member["roles"], "NOT_PROSUMER")
    require(member["status"] == "approved", "SUSPENDED")
    require(soc <= capacity < MAX_WH, "BAD_WH")
    require(power <= member["rated_w"] * rules.slot_ms // WATT_MS_PER_WH, "ABOVE_RATING")
    require(0 < efficiency <= ONE, "BAD_RATIO")
    require(charge <= rules.max_price and discharge <= rules.max_price, "BAD_PRICE")
    meter = member["meter"]
    if capacity == 0:
        if meter in storages:
            del storages[meter]
    else:
        if meter not in storages:
            require(len(storages.keys((), limit=MAX_FOLLOWERS)) < MAX_FOLLOWERS, "SHEET_FULL")
        storages[meter] = Storage(
            meter=meter, capacity=capacity, power=power, efficiency=efficiency, charge=charge, discharge=discharge,
            soc=soc,
        )
    emit(
        StorageDeclared, meter=meter, capacity=capacity, power=power, efficiency=efficiency, charge=charge,
        discharge=discharge, soc=soc,
    )


# The problem


@export
def open_sheet(first: u64) -> None:
    """Freeze the slots from this one to the end of its window, once, between its freeze time and its gate."""
    rules = rules_cell.get()
    require(authorised(rules), "NOT_ALLOWED")
    require(rules.first_slot <= first <= rules.last_slot, "WINDOW_CLOSED")
    require(first not in sheets, "SHEET_OPEN")
    left = rules.slot0_ms + first * rules.slot_ms - ctx.market_time_ms
    require(left <= rules.freeze_ms, "WINDOW_CLOSED")
    require(left > rules.gate_ms, "ORDER_LATE")
    found = [item[1] for item in storages.items((), limit=MAX_FOLLOWERS)]
    require(len(found) > 0, "NO_FOLLOWERS")
    names = [storage.meter for storage in found]
    places = {names[at]: at for at in range(len(names))}
    net = [[] for name in names]
    quota = [[] for name in names]
    low = []
    high = []
    deviation = []
    end = first + rules.window - (first - rules.first_slot) % rules.window
    for slot in range(first, min(end, rules.last_slot + 1)):
        floor = view_call("wind", "floor", slot)
        require(floor is not None, "NOT_CLEARED")
        low.append(floor[0])
        high.append(max(floor[0], floor[1]))
        deviation.append(floor[2])
        known = view_call("metering", "forecasts_of", slot, names)
        for at in range(len(names)):
            use = 0
            if known[at] is not None:
                use = known[at][1] - known[at][0]
            net[at].append(use)
            quota[at].append(0)
        share_out(floor[2], floor[3], places, quota)
    sheets[first] = Sheet(
        first=first, low=low, high=high, deviation=deviation, followers=names,
        stores=[
            [row.capacity, row.power, row.efficiency, row.charge, row.discharge, row.soc] for row in found
        ],
        net=net, quota=quota,
    )
    emit(SheetOpened, first=first, slots=len(low), followers=len(names))


def share_out(deviation: int, rows: list, places: dict, quota: list) -> None:
    """Quotas of a slot: the deviation, served by rank from the declared reserves, whoever else is ranked included."""
    left = abs(deviation)
    for row in rows:
        offered = row[1]
        if deviation > 0:
            offered = row[2]
        wh = min(left, offered)
        left -= wh
        if row[0] in places:
            mine = quota[places[row[0]]]
            mine[len(mine) - 1] = wh


# A solution


def plan_cost(rules: list, store: list, slots: list, plan: list) -> int:
    """What a follower pays by its plan; refused if it is not feasible. `rules`: feed,
    retail; `slots`: net, quota, price, deviation by slot; `plan`: Wh charged, discharged and traded by slot."""
    capacity = store[0] * ONE
    power = store[1]
    kept = store[2]
    level = store[5] * ONE
    cost = 0
    for at in range(len(slots)):
        slot = slots[at]
        charge = plan[0][at]
        discharge = plan[1][at]
        traded = plan[2][at]
        require(charge <= power and discharge <= power, "ABOVE_POWER")
        require(traded <= slot[1], "ABOVE_QUOTA")
        level += kept * charge - ONE * discharge
        require(0 <= level <= capacity, "STORAGE_RANGE")
        rest = slot[0] + charge - discharge
        if slot[3] < 0:
            rest += traded
            cost -= slot[2] * traded
        else:
            rest -= traded
            cost += slot[2] * traded
        if rest > 0:
            cost += rules[1] * rest
        else:
            cost += rules[0] * rest
        cost += store[3] * charge + store[4] * discharge
    require(level >= store[5] * ONE, "STORAGE_DRAINED")
    return cost


def dual_bound(rules: list, store: list, slots: list, dual: list) -> int:
    """No feasible plan costs less: the dual objective at a follower's shadow prices of energy at the meter and in the
    storage (per kWh, by slot), with the best multipliers of all bounds. Refused if they are not dual feasible: the grid
    sells at retail and buys at feed without bound, so energy is worth no more and no less; nothing stored is worth less
    than nothing."""
    count = len(slots)
    power = store[1]
    total = 0
    small = 0
    for at in range(count):
        slot = slots[at]
        worth = dual[0][at]
        stored = dual[1][at]
        require(rules[0] <= worth <= rules[1] and stored >= 0, "DUAL_INFEASIBLE")
        total += worth * slot[0]
        gain = worth - slot[2]
        if slot[3] < 0:
            gain = -gain
        if gain > 0:
            total -= slot[1] * gain
        gain = store[2] * stored - ONE * (store[3] + worth)
        if gain > 0:
            small -= power * gain
        gain = worth - store[4] - stored
        if gain > 0:
            total -= power * gain
        if at + 1 < count and dual[1][at + 1] > stored:
            total -= store[0] * (dual[1][at + 1] - stored)
    total += store[5] * (dual[1][count - 1] - dual[1][0])
    return total + small // ONE


def allowed_gap(rules: Rules, store: list, slots: list) -> int:
    """How far both objectives may be apart: the tolerance of all that a follower can move, at retail, and two Wh a slot,
    because volumes are whole: else one odd storage could make a sheet that nobody can solve."""
    moved = store[0] + sum([abs(slot[0]) + slot[1] for slot in slots])
    return rules.retail * (rules.tolerance * moved // ONE + 2 * len(slots))


def leader_value(sheet: Sheet, prices: list, plans: list) -> int:
    """What the producers get on the real-time and the balancing floor, if followers trade like this."""
    value = 0
    deviations = sheet.deviation
    lows = sheet.low
    highs = sheet.high
    for at in range(len(prices)):
        traded = sum([plan[2][at] for plan in plans])
        deviation = deviations[at]
        if deviation < 0:
            value -= prices[at] * traded + highs[at] * (-deviation - traded)
        else:
            value += prices[at] * traded + lows[at] * (deviation - traded)
    return value


def solution_digest(first: int, prices: list, plans: list, duals: list, claims: list, leader: int) -> bytes:
    """SHA-256 of all numbers of a solution in the order of `submit`, in decimal with commas between them."""
    numbers = [first] + prices
    for rows in plans + duals:
        for row in rows:
            numbers.extend(row)
    for row in claims:
        numbers.extend(row)
    numbers.append(leader)
    return sha256(",".join([str(number) for number in numbers]).encode())


def checked(
    rules: Rules, sheet: Sheet, prices: list, plans: list, duals: list, claims: list, leader: int
) -> int:
    """The sum of the followers' gaps; refused if this is not a solution of the sheet."""
    gaps = 0
    count = len(sheet.low)
    nets = sheet.net
    quotas = sheet.quota
    stores = sheet.stores
    deviations = sheet.deviation
    lows = sheet.low
    highs = sheet.high
    require(len(prices) == count, "BAD_LENGTH")
    require(len(plans) == len(nets) and len(duals) == len(nets) and len(claims) == len(nets), "BAD_LENGTH")
    for at in range(count):
        require(lows[at] <= prices[at] <= highs[at], "PRICE_BOUNDS")
    grid = [rules.feed, rules.retail]
    for at in range(len(nets)):
        require(len(plans[at]) == 3 and len(duals[at]) == 2 and len(claims[at]) == 2, "BAD_LENGTH")
        for row in plans[at] + duals[at]:
            require(len(row) == count, "BAD_LENGTH")
        net = nets[at]
        quota = quotas[at]
        slots = [[net[slot], quota[slot], prices[slot], deviations[slot]] for slot in range(count)]
        cost = plan_cost(grid, stores[at], slots, plans[at])
        bound = dual_bound(grid, stores[at], slots, duals[at])
        require(claims[at][0] == cost and claims[at][1] == bound, "WRONG_OBJECTIVE")
        most = allowed_gap(rules, stores[at], slots)
        require(cost - bound <= most, "GAP_TOO_WIDE", {"follower": at, "gap": cost - bound, "most": most})
        gaps += cost - bound
    require(leader == leader_value(sheet, prices, plans), "WRONG_OBJECTIVE")
    return gaps


@export
def submit(
    first: u64, prices: list[u64], plans: list[list[list[u64]]], duals: list[list[list[int]]],
    claims: list[list[int]], leader: int, digest: bytes,
) -> None:
    """A solution of the sheet of `first`, until the gate of that slot. By follower: `plans` [charged, discharged, traded],
    `duals` [worth of energy at the meter, in the storage], lists by slot; `claims` [cost of the plan, dual bound].
    The largest score counts, of two equal ones the smaller digest. The score is the leader's value less the gaps of the
    followers twice: who claims trades that followers would just not make, within the tolerance, gains nothing by it."""
    rules = rules_cell.get()
    require(authorised(rules), "NOT_ALLOWED")
    sheet = sheets.get(first)
    if sheet is None:
        revert("NO_SHEET")
    left = rules.slot0_ms + first * rules.slot_ms - ctx.market_time_ms
    require(left > rules.gate_ms, "ORDER_LATE")
    require(digest == solution_digest(first, prices, plans, duals, claims, leader), "WRONG_DIGEST")
    score = leader - GAP_WEIGHT * checked(rules, sheet, prices, plans, duals, claims, leader)
    before = best.get(first)
    if before is not None:
        require((-score, digest) < (-before.score, before.digest), "NOT_BETTER")
    best[first] = Best(score=score, leader=leader, digest=digest, account=ctx.sender, prices=prices)
    post(first, sheet.deviation, prices)
    emit(SolutionTaken, first=first, account=ctx.sender, score=score, leader=leader, digest=digest, prices=prices)


def post(first: int, deviation: list, prices: list) -> None:
    """Post the prices of slots with a deviation, each run of them in one call. In the others nothing is known by which
    one price would be better than another: they keep what holds without a solution."""
    run = []
    for at in range(len(prices) + 1):
        if at < len(prices) and deviation[at] != 0:
            run.append(prices[at])
        elif len(run) > 0:
            call("wind", "post_prices", first + at - len(run), run)
            run = []


# Views


@view
def sheet(first: u64) -> dict | None:
    """The frozen problem: everything that a solver needs, lists by slot or by follower and slot."""
    found = sheets.get(first)
    if found is None:
        return None
    rules = rules_cell.get()
    return {
        "first": found.first, "low": found.low, "high": found.high, "deviation": found.deviation,
        "followers": found.followers, "stores": found.stores, "net": found.net, "quota": found.quota,
        "feed": rules.feed, "retail": rules.retail, "tolerance": rules.tolerance,
    }


@view
def taken(first: u64) -> dict | None:
    """The best solution of a sheet so far."""
    found = best.get(first)
    if found is None:
        return None
    return {
        "score": found.score, "leader": found.leader, "digest": found.digest, "account": found.account,
        "prices": found.prices,
    }


@view
def storage(meter: Address) -> dict | None:
    found = storages.get(meter)
    if found is None:
        return None
    return {
        "capacity": found.capacity, "power": found.power, "efficiency": found.efficiency, "charge": found.charge,
        "discharge": found.discharge, "soc": found.soc,
    }


@view
def parameters() -> dict:
    rules = rules_cell.get()
    return {
        "operator": rules.operator, "window": rules.window, "gate_ms": rules.gate_ms, "freeze_ms": rules.freeze_ms,
        "first_slot": rules.first_slot, "last_slot": rules.last_slot, "slot_ms": rules.slot_ms,
        "slot0_ms": rules.slot0_ms, "feed": rules.feed, "retail": rules.retail, "tolerance": rules.tolerance,
        "most_followers": MAX_FOLLOWERS,
    }
