"""What the grid pays and asks, with validity: the grid company posts a tariff from a slot on, never for a slot whose window
has opened, so that nobody has ordered under another one. Before the first posting the prices of genesis hold.

Markets B, C and D take the tariff of a slot when they open it, and settle and correct that slot by it for ever. Market A, which
opens whole days and derives its floors' bounds from the retail price, keeps the prices of genesis (ADR 0160).
"""

MAX_VERSIONS = 1024
MAX_PAGE = 256

Rules = record(
    "Rules", slot_ms=u64, slot0_ms=u64, first_slot=u64, open_ms=u64, feed=u64, retail=u64, max_price=u64,
    fixed=bool,
)
Tariff = record("Tariff", feed=u64, retail=u64)

rules_cell = Var(Rules)
grid_account = Var(Address)
starts = Var(list[u64], default=[])
posted = Map(u64, Tariff)

TariffPosted = event("TariffPosted", indexed=("from_slot",), from_slot=u64, feed=u64, retail=u64)


@init
def setup(grid: Address, calendar: list[u64], prices: list[u64], fixed: bool) -> None:
    """`calendar`: slot_ms, slot0_ms, first slot, slots that a window opens before delivery.
    `prices`: feed and retail of genesis, highest price. `fixed`: they hold for ever."""
    grid_account.set(grid)
    rules_cell.set(
        Rules(
            slot_ms=calendar[0], slot0_ms=calendar[1], first_slot=calendar[2], open_ms=calendar[3] * calendar[0],
            feed=prices[0], retail=prices[1], max_price=prices[2], fixed=fixed,
        )
    )


@export
def post(from_slot: u64, feed: u64, retail: u64) -> None:
    """The tariff from a slot on, micro-currency per kWh: what the grid pays, and what it asks."""
    require(ctx.sender == grid_account.get(), "NOT_ALLOWED")
    rules = rules_cell.get()
    require(not rules.fixed, "FIXED_TARIFF")
    known = starts.get()
    require(feed <= retail <= rules.max_price, "BAD_PRICE")
    require(from_slot >= rules.first_slot, "SLOT_UNKNOWN")
    require(rules.slot0_ms + from_slot * rules.slot_ms - rules.open_ms > ctx.market_time_ms, "SLOT_BEGUN")
    require(len(known) < MAX_VERSIONS, "TOO_MANY_VERSIONS")
    require(len(known) == 0 or known[len(known) - 1] < from_slot, "NOT_AFTER_LAST")
    posted[from_slot] = Tariff(feed=feed, retail=retail)
    starts.set(known + [from_slot])
    emit(TariffPosted, from_slot=from_slot, feed=feed, retail=retail)


@view
def at(slot: u64) -> list | None:
    """[feed, retail] posted for a slot, or None while the prices of genesis hold."""
    found = None
    for start in starts.get():
        if start <= slot:
            found = start
    if found is None:
        return None
    return [posted[found].feed, posted[found].retail]


@view
def prices(slot: u64) -> list:
    """[feed, retail] of a slot."""
    found = at(slot)
    if found is None:
        rules = rules_cell.get()
        return [rules.feed, rules.retail]
    return found


@view
def tariffs(after: u64, limit: u64) -> list:
    """Postings from slots above `after` on: {from_slot, feed, retail}."""
    return [
        {"from_slot": item[0], "feed": item[1].feed, "retail": item[1].retail}
        for item in posted.items((), after=after, limit=min(limit, MAX_PAGE))
    ]
