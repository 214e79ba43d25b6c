# Views


@view
def grid(slot: u64) -> dict | None:
    """The grid that holds in a slot, or None before the first."""
    found = grid_in(slot)
    if found is None:
        return None
    rows = []
    for line in range(len(found.lines)):
        rows.append(
            {
                "name": found.lines[line],
                "from": found.buses[found.heads[line]],
                "to": found.buses[found.tails[line]],
                "weight": found.weights[line],
                "capacity_w": found.capacities[line],
                "length_m": found.lengths[line],
            }
        )
    return {
        "version": version_of(slot),
        "from_slot": found.from_slot,
        "root": found.buses[found.root],
        "buses": found.buses,
        "levels": found.levels,
        "lines": rows,
    }


@view
def versions() -> list:
    """The first slots of all grids posted, ascending."""
    return starts.get()


@view
def path(slot: u64, source: str, target: str) -> dict | None:
    """The way between two buses: lines in order, weight, length, and the higher of the two voltage levels."""
    found = grid_in(slot)
    if found is None:
        return None
    start = bus_number(found, source)
    end = bus_number(found, target)
    steps = path_in(found, tree_from(found, start), start, end)
    return {
        "lines": [found.lines[step[0]] for step in steps],
        "weight": weight_of(found, steps),
        "length_m": sum([found.lengths[step[0]] for step in steps]),
        "level": max(found.levels[start], found.levels[end]),
    }


@view
def distances(slot: u64, sources: list[str], targets: list[str]) -> list:
    """For each source a row of the length in m of the path to each target; no grid: all 0."""
    found = grid_in(slot)
    if found is None:
        return [[0] * len(targets) for _ in sources]
    ends = [bus_number(found, target) for target in targets]
    rows = []
    for source in sources:
        start = bus_number(found, source)
        lengths = lengths_from(found, tree_from(found, start), start)
        rows.append([lengths[end] for end in ends])
    return rows


def fees_in(slot: int) -> Fees | None:
    found = None
    for start in fee_starts.get():
        if start <= slot:
            found = start
    if found is None:
        return None
    return fee_tables[found]


def fee_price(levels: list, bounds: list, bands: list, length_m: int, level: int) -> int:
    """Grid fee per kWh of a path; a level above the table's counts as its last."""
    band = 0
    beyond = len(bounds)
    while band < beyond:
        middle = (band + beyond) // 2
        if length_m > bounds[middle]:
            band = middle + 1
        else:
            beyond = middle
    return levels[min(level, len(levels) - 1)] + bands[band]


@view
def fees(slot: u64, sources: list[str], targets: list[str]) -> list:
    """For each source a row of the grid fee per kWh to each target; without a table all 0, without a grid those of length
    and level 0."""
    table = fees_in(slot)
    if table is None:
        return [[0] * len(targets) for _ in sources]
    found = grid_in(slot)
    levels = [level_of(found, target) for target in targets]
    bounds = table.bounds_m
    by_band = table.bands
    by_level = table.levels
    rows = distances(slot, sources, targets)
    for index in range(len(sources)):
        level = level_of(found, sources[index])
        row = rows[index]
        for at in range(len(targets)):
            row[at] = fee_price(by_level, bounds, by_band, row[at], max(level, levels[at]))
    return rows


def level_of(grid: Grid | None, bus: str) -> int:
    if grid is None:
        return 0
    return grid.levels[bus_number(grid, bus)]


@view
def fee_table(slot: u64) -> dict | None:
    """The grid-fee table that holds in a slot."""
    table = fees_in(slot)
    if table is None:
        return None
    return {"levels": table.levels, "bounds_m": table.bounds_m, "bands": table.bands}


def lengths_from(grid: Grid, via: list, source: int) -> list:
    """Length in m of the path of every bus from `source`, given the lines by which the buses are reached."""
    heads = grid.heads
    tails = grid.tails
    metres = grid.lengths
    lengths = [NO_LINE] * len(via)
    lengths[source] = 0
    trail = []
    for bus in range(len(via)):
        at = bus
        while lengths[at] == NO_LINE:
            trail.append(at)
            at = heads[via[at]] + tails[via[at]] - at
        total = lengths[at]
        while len(trail) > 0:
            at = trail.pop()
            total += metres[via[at]]
            lengths[at] = total
    return lengths


@view
def knows(slot: u64, bus: str) -> bool:
    """Whether trades of that bus can be routed in a slot; without a grid every bus is known."""
    found = grid_in(slot)
    return found is None or bus in found.buses


@view
def flows(slot: u64, injections: list[list]) -> list:
    """Net power of each line along its direction, in the unit of `injections`, [bus, power] each: feeding in positive. The
    rest comes from or goes to the root. Exact but for losses where the grid is a tree."""
    found = grid_in(slot)
    if found is None:
        return []
    via = found.via
    order = found.order
    heads = found.heads
    tails = found.tails
    sums = [0] * len(found.buses)
    for row in injections:
        bus = bus_number(found, row[0])
        sums[bus] = sums[bus] + row[1]
    result = [0] * len(found.lines)
    for index in range(len(order) - 1, 0, -1):
        bus = order[index]
        line = via[bus]
        other = heads[line] + tails[line] - bus
        if heads[line] == bus:
            result[line] = sums[bus]
        else:
            result[line] = -sums[bus]
        sums[other] = sums[other] + sums[bus]
    return result


@view
def route(slot: u64, trades: list[list]) -> list:
    """What L would be for these trades alone (as in `queue_trades`), in its order: {seq, seller, buyer, wh, granted, weight,
    path}. A trade with an end that the grid does not know takes the direct path."""
    found = grid_in(slot)
    lines = 0
    if found is not None:
        lines = len(found.lines)
    shown = []
    for row in walk_queue(found, rules_cell.get(), [0] * lines, trades, False):
        trade = trades[row[0]]
        shown.append(
            {
                "seq": trade[0],
                "seller": trade[1],
                "buyer": trade[2],
                "wh": trade[3],
                "granted": row[1],
                "weight": row[2],
                "path": row[3],
            }
        )
    return shown


@view
def queue(slot: u64, first: u64, limit: int) -> list:
    """L of a slot from a position on: {market, seq, seller, buyer, wh, granted, weight, path}."""
    after = None
    if first > 0:
        after = (slot, first - 1)
    rows = []
    for item in hops.items((slot,), after=after, limit=min(limit, MAX_PAGE)):
        hop = item[1]
        rows.append(
            {
                "market": hop.market,
                "seq": hop.seq,
                "seller": hop.seller,
                "buyer": hop.buyer,
                "wh": hop.wh,
                "granted": hop.granted,
                "weight": hop.weight,
                "path": hop.path,
            }
        )
    return rows


@view
def latest() -> dict | None:
    """Slot and digest of the path queue that was computed last: {slot, trades, digest}; None before the first."""
    slot = last_queued.get()
    if slot == NO_GRID:
        return None
    return {"slot": slot, "trades": queues[slot].trades, "digest": queues[slot].digest}


@view
def summary(slot: u64) -> dict:
    """Trades, curtailed Wh, net Wh on each line and the digest of L: SHA-256 chained over its entries from 32 zero bytes."""
    found = queues.get(slot)
    if found is None:
        return {"trades": 0, "curtailed_wh": 0, "flows": [], "digest": bytes(32)}
    return {
        "trades": found.trades,
        "curtailed_wh": found.curtailed_wh,
        "flows": found.flows,
        "digest": found.digest,
    }
