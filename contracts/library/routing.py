"""Lines of the grid, the way of every trade over them, and the path queue L of a slot.

The grid company posts the grid: buses with their voltage level, lines with an integer weight (micro-ohm: the loss-minimising
way), capacity in W and length in m, valid from a slot on. The way of a trade is the lightest path from the seller's bus;
equal weights are decided by (weight, bus, line), so it is one path on every node. In a tree it is the only path.

L holds the trades of a slot in the order (weight of the path, seller, buyer, seq). Each takes capacity on its lines in that
order; opposite trades cancel on a line. What does not fit is curtailed and said so. With `NO_GRID` (nothing posted for the
slot) every path is direct and nothing is curtailed, and L is in the order of the publication: (seller, buyer, seq).
"""

HOUR_MS = 3_600_000
MAX_BUSES = 256
MAX_LINES = 512
MAX_MESHED_BUSES = 32
MAX_WEIGHT = 2**40
MAX_LEVEL = 7
MAX_NAME = 32
MAX_VERSIONS = 64
MAX_TRADES = 512
MAX_PAGE = 256
MAX_BANDS = 32
MAX_FEE = 10**12
NO_LINE = 2**32
NO_GRID = 2**32

Rules = record("Rules", slot_ms=u64, slot0_ms=u64, lead_ms=u64)
Grid = record(
    "Grid", from_slot=u64, root=u64, buses=list[str], levels=list[u64], lines=list[str], heads=list[u64], tails=list[u64],
    weights=list[u64], capacities=list[u64], lengths=list[u64], radial=bool, via=list[u64], order=list[u64],
)
Hop = record(
    "Hop", market=Address, seq=u64, seller=Address, buyer=Address, wh=u64, granted=u64, weight=u64, path=list[u64],
)
Fees = record("Fees", levels=list[u64], bounds_m=list[u64], bands=list[u64])
Queue = record("Queue", trades=u64, curtailed_wh=u64, flows=list[int], digest=bytes)

rules_cell = Var(Rules)
grid_account = Var(Address)
markets = Map(Address, bool)
starts = Var(list[u64], default=[])
grids = Map(u64, Grid)
fee_starts = Var(list[u64], default=[])
fee_tables = Map(u64, Fees)
queues = Map(u64, Queue)
hops = Map((u64, u64), Hop)
last_queued = Var(u64, default=NO_GRID)

GridPosted = event("GridPosted", indexed=("version",), version=u64, from_slot=u64, buses=u64, lines=u64)
FeesPosted = event(
    "FeesPosted", indexed=("from_slot",), from_slot=u64, levels=list[u64], bounds_m=list[u64], bands=list[u64],
)
TradeRouted = event(
    "TradeRouted", indexed=("slot", "seller", "buyer"), slot=u64, position=u64, market=Address, seq=u64, seller=Address,
    buyer=Address, wh=u64, granted=u64, path=list[u64],
)
PathQueue = event("PathQueue", indexed=("slot",), slot=u64, trades=u64, curtailed_wh=u64, digest=bytes)


@init
def setup(grid: Address, slot_ms: u64, slot0_ms: u64, lead_slots: u64, market_names: list[str]) -> None:
    """`lead_slots`: a grid is posted that long before its first slot, so that no order that was taken loses its bus."""
    grid_account.set(grid)
    rules_cell.set(Rules(slot_ms=slot_ms, slot0_ms=slot0_ms, lead_ms=lead_slots * slot_ms))
    for name in market_names:
        markets[contract_address(name)] = True


# The grid


@export
def post_grid(
    from_slot: u64, root: u64, buses: list[str], levels: list[u64], lines: list[str], ends: list[list], figures: list[list]
) -> u64:
    """The grid from a slot on whose orders are not taken yet. `root`: the bus towards the upstream grid; `ends`: [from, to] of each
    line, positions in `buses`; `figures`: [weight, capacity W, length m]. Returns its version."""
    require(ctx.sender == grid_account.get(), "NOT_ALLOWED")
    known = starts.get()
    version = len(known)
    check_start(known, from_slot)
    check_names(buses, MAX_BUSES, "BAD_BUS")
    check_names(lines, MAX_LINES, "BAD_LINE")
    require(len(levels) == len(buses) and root < len(buses) and max(levels) <= MAX_LEVEL, "BAD_BUS")
    require(len(ends) == len(lines) and len(figures) == len(lines), "BAD_LINE")
    for index in range(len(lines)):
        end = ends[index]
        figure = figures[index]
        require(len(end) == 2 and len(figure) == 3, "BAD_LINE")
        require(end[0] != end[1] and 0 <= min(end) and max(end) < len(buses), "BAD_LINE")
        require(0 <= min(figure) and max(figure) <= MAX_WEIGHT, "BAD_LINE")
    grid = Grid(
        from_slot=from_slot, root=root, buses=buses, levels=levels, lines=lines, heads=[end[0] for end in ends],
        tails=[end[1] for end in ends], weights=[row[0] for row in figures], capacities=[row[1] for row in figures],
        lengths=[row[2] for row in figures], radial=len(lines) + 1 == len(buses), via=[], order=[],
    )
    require(grid.radial or len(buses) <= MAX_MESHED_BUSES, "TOO_MANY_BUSES")
    found = lightest_from(grid, root)
    require(len(found[1]) == len(buses), "NOT_CONNECTED")
    grid = grid.replace(via=found[0], order=found[1])
    grids[version] = grid
    starts.set(known + [from_slot])
    emit(GridPosted, version=version, from_slot=from_slot, buses=len(buses), lines=len(lines))
    return version


def check_start(known: list, from_slot: int) -> None:
    rules = rules_cell.get()
    require(rules.slot0_ms + from_slot * rules.slot_ms - rules.lead_ms > ctx.market_time_ms, "SLOT_BEGUN")
    require(len(known) < MAX_VERSIONS, "TOO_MANY_VERSIONS")
    require(len(known) == 0 or known[len(known) - 1] < from_slot, "NOT_AFTER_LAST")


def check_names(names: list[str], most: int, code: str) -> None:
    require(0 < len(names) <= most and len(set(names)) == len(names), code)
    for name in names:
        require(0 < len(name) <= MAX_NAME, code)


def version_of(slot: int) -> int:
    """The version of the grid that holds in a slot, or `NO_GRID`."""
    found = NO_GRID
    known = starts.get()
    for version in range(len(known)):
        if known[version] <= slot:
            found = version
    return found


def grid_in(slot: int) -> Grid | None:
    version = version_of(slot)
    if version == NO_GRID:
        return None
    return grids[version]


def bus_number(grid: Grid, name: str) -> int:
    buses = grid.buses
    if name not in buses:
        revert("UNKNOWN_BUS", {"bus": name})
    return buses.index(name)


@export
def post_fees(from_slot: u64, levels: list[u64], bounds_m: list[u64], bands: list[u64]) -> None:
    """The grid-fee table from a slot on, micro-currency per kWh: by the higher voltage level of the two buses, and by the
    length of the path: band b while it is not above `bounds_m[b]`, the last band beyond all bounds."""
    require(ctx.sender == grid_account.get(), "NOT_ALLOWED")
    known = fee_starts.get()
    check_start(known, from_slot)
    require(0 < len(levels) <= MAX_LEVEL + 1 and 0 < len(bands) <= MAX_BANDS, "BAD_FEES")
    require(len(bounds_m) + 1 == len(bands) and bounds_m == sorted(bounds_m), "BAD_FEES")
    require(max(levels) <= MAX_FEE and max(bands) <= MAX_FEE, "BAD_FEES")
    fee_tables[from_slot] = Fees(levels=levels, bounds_m=bounds_m, bands=bands)
    fee_starts.set(known + [from_slot])
    emit(FeesPosted, from_slot=from_slot, levels=levels, bounds_m=bounds_m, bands=bands)


# Ways


def lightest_from(grid: Grid, source: int) -> tuple:
    """Lightest paths from a bus: for each bus the line it is reached by, and the buses in the order of their distance."""
    heads = grid.heads
    tails = grid.tails
    weights = grid.weights
    count = len(grid.buses)
    near = [[] for _ in range(count)]
    for line in range(len(heads)):
        near[heads[line]].append(line)
        near[tails[line]].append(line)
    via = [NO_LINE] * count
    seen = [False] * count
    order = []
    frontier = [(0, source, NO_LINE)]
    while len(frontier) > 0:
        best = min(frontier)
        frontier.remove(best)
        bus = best[1]
        if not seen[bus]:
            seen[bus] = True
            via[bus] = best[2]
            order.append(bus)
            for line in near[bus]:
                other = heads[line] + tails[line] - bus
                if not seen[other]:
                    frontier.append((best[0] + weights[line], other, line))
    return (via, order)


def tree_from(grid: Grid, source: int) -> list:
    """For each bus the line by which the lightest path from `source` reaches it. In a tree those of the root turn round on
    the way from the source to the root."""
    if not grid.radial:
        return lightest_from(grid, source)[0]
    heads = grid.heads
    tails = grid.tails
    via = [line for line in grid.via]
    bus = source
    came = NO_LINE
    while via[bus] != NO_LINE:
        line = via[bus]
        via[bus] = came
        came = line
        bus = heads[line] + tails[line] - bus
    via[bus] = came
    return via


def path_in(grid: Grid, via: list, source: int, target: int) -> list:
    """Lines from `source` to `target`, as [line, direction]: 1 along the line, -1 against it."""
    heads = grid.heads
    tails = grid.tails
    found = []
    bus = target
    while bus != source:
        line = via[bus]
        other = heads[line] + tails[line] - bus
        direction = 1
        if tails[line] == other:
            direction = -1
        found.append([line, direction])
        bus = other
    found.reverse()
    return found


def weight_of(grid: Grid, path: list) -> int:
    weights = grid.weights
    return sum([weights[step[0]] for step in path])


# The path queue


def queue_order(grid: Grid | None, trades: list, strict: bool) -> list:
    """Rows [weight, seller, buyer, seq, position, path] in the order of L. A trade is [seq, seller, buyer, wh, seller's bus,
    buyer's bus]. An end that the grid does not know is refused if `strict`; else the path is direct, as without a grid."""
    rows = []
    trees = {}
    numbers = {}
    if grid is not None:
        buses = grid.buses
        for number in range(len(buses)):
            numbers[buses[number]] = number
    for position in range(len(trades)):
        trade = trades[position]
        path = []
        weight = 0
        if grid is not None and trade[4] in numbers and trade[5] in numbers:
            source = numbers[trade[4]]
            if source not in trees:
                trees[source] = tree_from(grid, source)
            path = path_in(grid, trees[source], source, numbers[trade[5]])
            weight = weight_of(grid, path)
        else:
            require(grid is None or not strict, "UNKNOWN_BUS")
        rows.append([weight, trade[1], trade[2], trade[0], position, path])
    return sorted(rows)


def capacity_wh(grid: Grid, rules: Rules) -> list:
    return [watts * rules.slot_ms // HOUR_MS for watts in grid.capacities]


def granted_on(path: list, limits: list, flows: list, wh: int) -> int:
    """What of `wh` the lines of a path still take, given the net flows of those before it."""
    free = wh
    for step in path:
        free = min(free, limits[step[0]] - step[1] * flows[step[0]])
    return max(0, free)


def walk_queue(grid: Grid | None, rules: Rules, flows: list, trades: list, strict: bool) -> list:
    """[granted Wh, weight, lines] of the trades in the order of L, behind their position: [position, granted, weight,
    lines]. `flows` is brought up to date."""
    limits = []
    if grid is not None:
        limits = capacity_wh(grid, rules)
    rows = []
    for row in queue_order(grid, trades, strict):
        path = row[5]
        granted = granted_on(path, limits, flows, trades[row[4]][3])
        for step in path:
            flows[step[0]] = flows[step[0]] + step[1] * granted
        rows.append([row[4], granted, row[0], [step[0] for step in path]])
    return rows


def hop_bytes(hop: Hop) -> bytes:
    """Canonical bytes of one entry of L: fixed widths, the path behind its length."""
    text = hop.market + hop.seller + hop.buyer
    for value in (hop.seq, hop.wh, hop.granted, hop.weight, len(hop.path)):
        text += value.to_bytes(8, "big")
    for line in hop.path:
        text += line.to_bytes(4, "big")
    return text


@export
def queue_trades(slot: u64, trades: list[list]) -> list:
    """A market queues the trades of a slot: [seq, seller, buyer, wh, seller's bus, buyer's bus] each. They stand behind
    what other markets queued before. Returns [granted Wh, lines] for each, in the order given."""
    require(ctx.sender in markets, "NOT_ALLOWED")
    require(len(trades) <= MAX_TRADES, "TOO_MANY_TRADES")
    rules = rules_cell.get()
    grid = grid_in(slot)
    queue = queues.get(slot)
    if queue is None:
        lines = 0
        if grid is not None:
            lines = len(grid.lines)
        queue = Queue(trades=0, curtailed_wh=0, flows=[0] * lines, digest=bytes(32))
    flows = queue.flows
    answer = [[] for _ in trades]
    position = queue.trades
    curtailed = queue.curtailed_wh
    digest = queue.digest
    for row in walk_queue(grid, rules, flows, trades, True):
        trade = trades[row[0]]
        hop = Hop(
            market=ctx.sender, seq=trade[0], seller=trade[1], buyer=trade[2], wh=trade[3], granted=row[1], weight=row[2],
            path=row[3],
        )
        hops[(slot, position)] = hop
        digest = sha256(digest + hop_bytes(hop))
        emit(
            TradeRouted, slot=slot, position=position, market=ctx.sender, seq=hop.seq, seller=hop.seller, buyer=hop.buyer,
            wh=hop.wh, granted=hop.granted, path=hop.path,
        )
        answer[row[0]] = [row[1], row[3]]
        position += 1
        curtailed += hop.wh - hop.granted
    last_queued.set(slot)
    queues[slot] = Queue(trades=position, curtailed_wh=curtailed, flows=flows, digest=digest)
    emit(PathQueue, slot=slot, trades=position, curtailed_wh=curtailed, digest=digest)
    return answer
