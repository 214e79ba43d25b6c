"""Trade with other regions: what the market of a region could not match goes to the global chain, and its fills come back.

The market offers its rest when a slot is cleared (`offer`). A bid takes its money out of this chain, an ask commits energy of
that slot, at most what the seller's forecast leaves beside all its other sales, with cover for what it would cost to buy it.
Each is a lock: from then on only the global chain decides about it. The engine collects new locks when a record is closed
(`close`) and brings what the global chain has decided, each item once and in order (`consume`): a fill, or the release of
what is left. Nothing ends here by a clock; `expiry` of a lock is a height of the global chain.

What is bought or sold elsewhere is delivered first, as bilateral contracts are: `metering` takes it off the readings before
the market settles. So a seller that delivers less buys the rest from the grid of its own region, and the buyer is served in
any case. A fill that comes when its slot is settled already settles the meter again, as a late reading would.

Who wants a seat in a region, here or elsewhere, puts down its deposit here (`put_down`): the money leaves with the next
record, and the global chain keeps it for the voting key until that key takes it out.
"""

ONE = 1_000_000
BUY = 1
SELL = 2
DEPOSIT = 3
FILLED = 1
RELEASED = 2
FORCED = 3
PAID = 4
MAX_CLOSE = 512
LOCKS_PER_CALL = 128
MAX_PAGE = 256
GAS_STEP = 10_000_000
GAS_SIGNAL = 2_000_000

Rules = record("Rules", slot_ms=u64, slot0_ms=u64, late_ms=u64, blocks=u64, everybody=bool)
Lock = record(
    "Lock", id=bytes, slot=u64, meter=Address, account=Address, owner=Address, side=u64, wh=u64, limit=u64, left_wh=u64,
    left_money=u256, bond=u256, money=u256, ended=bool, closed=u64,
)
Sums = record("Sums", bought=u256, locked_wh=u256, waiting_money=u256, waiting_wh=u256)

rules_cell = Var(Rules)
engine_cell = Var(Address)
market_cell = Var(str)
sums_cell = Var(Sums)
next_number = Var(u64, default=0)
closed_to = Var(u64, default=0)
sequence = Var(u64, default=0)
consumed = Var(u64, default=0)
choices = Map(Address, bool)
locks = Map(u64, Lock)
numbers = Map(bytes, u64)
in_slot = Map((u64, u64), bool)
of_meter = Map((u64, Address, u64), bool)
committed = Map((u64, Address), u64, default=0)
freed = Map(u64, bool)
retelling = Map((u64, Address), bool)

Chosen = event("Chosen", indexed=("meter",), meter=Address, elsewhere=bool)
Locked = event(
    "Locked", indexed=("slot", "meter"), slot=u64, lock=bytes, meter=Address, account=Address, side=str, wh=u64, limit=u64,
    money=u256, bond=u256,
)
PutDown = event("PutDown", indexed=("account", "member"), account=Address, member=bytes, money=u256, lock=bytes)
Collected = event("Collected", indexed=("seq",), seq=u64, locks=u64, height=u64)
Elsewhere = event(
    "Elsewhere", indexed=("slot", "meter"), slot=u64, lock=bytes, meter=Address, account=Address, side=str, wh=u64,
    price=u64, money=u256, returned=u256, ended=bool,
)
Returned = event(
    "Returned", indexed=("slot", "meter"), slot=u64, lock=bytes, meter=Address, account=Address, side=str, wh=u64,
    money=u256, reason=str,
)
PaidOut = event("PaidOut", indexed=("account",), account=Address, money=u256, reason=str)
BondReleased = event("BondReleased", indexed=("slot",), slot=u64, lock=bytes, account=Address, amount=u256)


@init
def setup(engine: Address, market: str, calendar: list[u64], blocks: u64, everybody: bool) -> None:
    """`engine`: whom alone `close` and `consume` obey. `calendar`: slot_ms, slot0_ms, late slots after delivery. `blocks`: how
    many global blocks a lock may wait. `everybody`: whether members who did not choose trade elsewhere."""
    engine_cell.set(engine)
    market_cell.set(market)
    rules_cell.set(
        Rules(
            slot_ms=calendar[0], slot0_ms=calendar[1], late_ms=calendar[2] * calendar[0], blocks=blocks,
            everybody=everybody,
        )
    )
    sums_cell.set(Sums(bought=0, locked_wh=0, waiting_money=0, waiting_wh=0))


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def side_of(lock: Lock) -> str:
    if lock.side == DEPOSIT:
        return "deposit"
    return "buy" if lock.side == BUY else "sell"


# What members say


@export
def choose(elsewhere: bool) -> None:
    """Whether what the market does not match of the sender's orders goes to other regions, from the next clearing on."""
    member = view_call("registry", "member", ctx.sender)
    require(member is not None, "NOT_MEMBER")
    choices[member["meter"]] = elsewhere
    emit(Chosen, meter=member["meter"], elsewhere=elsewhere)


@export
def put_down(member: bytes, money: u256) -> bytes:
    """The sender's money becomes the deposit of a voting key, or more of it, with the next record. Only that key can take it
    out. Returns the name under which it travels; what is no voting key comes back by it."""
    require(len(member) == 32, "BAD_KEY")
    require(0 < money < 2**63, "BAD_AMOUNT")
    require(call("token", "depart", [[ctx.sender, money, 0]])[0], "INSUFFICIENT_FUNDS")
    number, name = next_lock()
    locks[number] = Lock(
        id=name, slot=0, meter=ctx.sender, account=ctx.sender, owner=member, side=DEPOSIT, wh=0, limit=0, left_wh=0,
        left_money=money, bond=0, money=0, ended=False, closed=0,
    )
    numbers[name] = number
    sums = sums_cell.get()
    sums_cell.set(sums.replace(waiting_money=sums.waiting_money + money))
    emit(PutDown, account=ctx.sender, member=member, money=money, lock=name)
    return name


# What the market hands over


@export
def offer(slot: u64, rest: list) -> None:
    """The market's unmatched orders of a cleared slot: `[meter, account, owner, buys, Wh, limit, Wh sold at home]`. Those whose
    member wants it, and that its forecast and its money carry, become locks."""
    require(ctx.sender == contract_address(market_cell.get()), "NOT_ALLOWED")
    rules = rules_cell.get()
    wanted = [row for row in rest if willing(rules, row[0])]
    forecasts = view_call("metering", "forecasts_of", slot, [row[0] for row in wanted])
    retail = view_call("tariffs", "prices", slot)[1]
    found = []
    needs = []
    for at in range(len(wanted)):
        row = wanted[at]
        wh = row[4]
        if row[3]:
            need = [row[1], amount(row[5], wh), 0]
        else:
            wh = min(wh, spare(slot, row, forecasts[at]))
            need = [row[1], 0, amount(max(0, retail - row[5]), wh)]
            committed[(slot, row[0])] = committed[(slot, row[0])] + wh
        if wh > 0:
            found.append([row, wh])
            needs.append(need)
    if len(found) == 0:
        return
    taken = call("token", "depart", needs)
    for at in range(len(found)):
        row, wh = found[at]
        if taken[at]:
            open_lock(slot, row, wh, needs[at])
        elif not row[3]:
            committed[(slot, row[0])] = committed[(slot, row[0])] - wh
    if slot not in freed:
        freed[slot] = False
        end = rules.slot0_ms + (slot + 1) * rules.slot_ms
        schedule(end + rules.late_ms + 1, "free_bonds", slot, 0, gas=GAS_STEP)


def willing(rules: Rules, meter: Address) -> bool:
    return choices.get(meter, rules.everybody)


def spare(slot: u64, row: list, forecast: list | None) -> int:
    """Wh that a seller's forecast leaves beside what it sells at home and has committed elsewhere; without one nothing."""
    if forecast is None:
        return 0
    return max(0, forecast[0] - row[6] - committed[(slot, row[0])])


def next_lock() -> tuple:
    """Number and name of a new lock."""
    number = next_number.get() + 1
    next_number.set(number)
    return number, sha256(ctx.chain_id.encode() + number.to_bytes(8, "big"))


def open_lock(slot: u64, row: list, wh: u64, need: list) -> None:
    number, name = next_lock()
    side = BUY if row[3] else SELL
    locks[number] = Lock(
        id=name, slot=slot, meter=row[0], account=row[1], owner=row[2], side=side, wh=wh, limit=row[5], left_wh=wh,
        left_money=need[1], bond=need[2], money=0, ended=False, closed=0,
    )
    numbers[name] = number
    in_slot[(slot, number)] = True
    of_meter[(slot, row[0], number)] = True
    sums = sums_cell.get()
    if side == BUY:
        sums_cell.set(sums.replace(waiting_money=sums.waiting_money + need[1]))
    else:
        sums_cell.set(sums.replace(waiting_wh=sums.waiting_wh + wh))
    emit(
        Locked, slot=slot, lock=name, meter=row[0], account=row[1], side="buy" if side == BUY else "sell", wh=wh,
        limit=row[5], money=need[1], bond=need[2],
    )


# What the engine does


@export
def close(seq: int, height: int) -> list:
    """Record `seq` is closed: the locks made since the last one, at most `MAX_CLOSE`, in their order, as `[lock id, side, owner,
    Wh, limit, locked, expiry, slot]`, deposits among them. From here on they are the global chain's. `height`: of the newest global block that
    this region knows."""
    require(ctx.sender == engine_cell.get(), "NOT_ALLOWED")
    require(seq == sequence.get() + 1, "BAD_SEQ", {"next": sequence.get() + 1})
    sequence.set(seq)
    blocks = rules_cell.get().blocks
    sums = sums_cell.get()
    money = 0
    wh = 0
    rows = []
    for number in range(closed_to.get() + 1, min(next_number.get(), closed_to.get() + MAX_CLOSE) + 1):
        lock = locks[number]
        held = lock.left_money
        if lock.side == SELL:
            held = lock.wh
            wh += lock.wh
        else:
            money += held
        rows.append([lock.id, lock.side, lock.owner, lock.wh, lock.limit, held, height + blocks, lock.slot])
        locks[number] = lock.replace(closed=seq)
    closed_to.set(closed_to.get() + len(rows))
    sums_cell.set(
        sums.replace(
            waiting_money=sums.waiting_money - money, waiting_wh=sums.waiting_wh - wh, locked_wh=sums.locked_wh + wh,
        )
    )
    if len(rows) > 0:
        emit(Collected, seq=seq, locks=len(rows), height=height)
    return rows


@export
def consume(
    kind: int, lock: bytes, owner: bytes, money: int, wh: int, ended: bool, reason: str, traded: int, price: int
) -> None:
    """The next item of the global chain: 1 a fill of `traded` Wh at `price`, 2 the release of what is left, 3 a forced transaction,
    which is only counted, 4 `money` for account `owner` that a member of a region or a centre took out. `money` and `wh` are
    what the lock's owner gets; `ended`: nothing is left of the lock."""
    require(ctx.sender == engine_cell.get(), "NOT_ALLOWED")
    consumed.set(consumed.get() + 1)
    if kind == FORCED:
        return
    if kind == PAID:
        call("token", "arrive", owner, money)
        emit(PaidOut, account=owner, money=money, reason=reason)
        return
    require(kind == FILLED or kind == RELEASED, "BAD_KIND")
    number = numbers.get(lock)
    require(number is not None, "NO_LOCK")
    entry = locks[number]
    require(entry.closed > 0 and not entry.ended, "LOCK_ENDED")
    require(owner == entry.owner, "BAD_OWNER")
    if kind == FILLED:
        fill(number, entry, money, wh, ended, traded, price)
    else:
        give_back(number, entry, money, wh, reason)


def fill(number: u64, entry: Lock, money: int, wh: int, ended: bool, traded: int, price: int) -> None:
    require(0 < traded <= entry.left_wh and ended == (traded == entry.left_wh), "BAD_FILL")
    worth = amount(price, traded)
    sums = sums_cell.get()
    left_money = entry.left_money
    returned = 0
    if entry.side == BUY:
        left_money -= worth
        require(price <= entry.limit and wh == traded and money == (left_money if ended else 0), "BAD_FILL")
        returned = money
        left_money -= returned
        sums_cell.set(sums.replace(bought=sums.bought + traded))
        call("metering", "exchange", entry.slot, entry.meter, 0, traded)
    else:
        require(price >= entry.limit and wh == 0 and 0 <= money <= worth, "BAD_FILL")
        worth = money
        committed[(entry.slot, entry.meter)] = committed[(entry.slot, entry.meter)] - traded
        call("metering", "exchange", entry.slot, entry.meter, traded, 0)
    if money > 0:
        call("token", "arrive", entry.account, money)
    entry = entry.replace(
        left_wh=entry.left_wh - traded, left_money=left_money, money=entry.money + worth, ended=ended,
    )
    locks[number] = entry
    emit(
        Elsewhere, slot=entry.slot, lock=entry.id, meter=entry.meter, account=entry.account, side=side_of(entry), wh=traded,
        price=price, money=worth, returned=returned, ended=ended,
    )
    after_end(number, entry)
    place = (entry.slot, entry.meter)
    end = rules_cell.get().slot0_ms + (entry.slot + 1) * rules_cell.get().slot_ms
    if ctx.market_time_ms >= end and place not in retelling:
        retelling[place] = True
        schedule(ctx.market_time_ms, "retell", entry.slot, entry.meter, gas=GAS_SIGNAL)


def give_back(number: u64, entry: Lock, money: int, wh: int, reason: str) -> None:
    left_wh = entry.left_wh if entry.side == SELL else 0
    require(money == entry.left_money and wh == left_wh, "BAD_RELEASE")
    if entry.side == SELL:
        sums = sums_cell.get()
        sums_cell.set(sums.replace(locked_wh=sums.locked_wh - wh))
        committed[(entry.slot, entry.meter)] = committed[(entry.slot, entry.meter)] - wh
    if money > 0:
        call("token", "arrive", entry.account, money)
    emit(
        Returned, slot=entry.slot, lock=entry.id, meter=entry.meter, account=entry.account, side=side_of(entry),
        wh=entry.left_wh, money=money, reason=reason,
    )
    entry = entry.replace(left_money=0, ended=True)
    locks[number] = entry
    after_end(number, entry)


def after_end(number: u64, entry: Lock) -> None:
    """Cover of what was not sold returns when the lock ends; all of it if the slot's time for late readings is over."""
    if not entry.ended or entry.bond == 0:
        return
    kept = entry.bond * (entry.wh - entry.left_wh) // entry.wh
    if freed.get(entry.slot, False):
        kept = 0
    free(number, entry, entry.bond - kept)


def free(number: u64, entry: Lock, released: int) -> None:
    if released > 0:
        call("token", "settle", [[entry.account, released, 0]])
        locks[number] = entry.replace(bond=entry.bond - released)
        emit(BondReleased, slot=entry.slot, lock=entry.id, account=entry.account, amount=released)


@export(scheduled=True)
def retell(due: int, slot: u64, meter: Address) -> None:
    """Fills of a meter came when its slot was over: if it is settled, it is settled again."""
    del retelling[(slot, meter)]
    call("metering", "retell", slot, meter)


@export(scheduled=True)
def free_bonds(due: int, slot: u64, after: u64) -> None:
    """The slot is settled at the latest now: cover of the locks that have ended returns."""
    freed[slot] = True
    keys = in_slot.keys((slot,), after=(slot, after), limit=LOCKS_PER_CALL)
    for key in keys:
        entry = locks[key[1]]
        if entry.ended:
            free(key[1], entry, entry.bond)
    if len(keys) == LOCKS_PER_CALL:
        schedule(due, "free_bonds", slot, keys[len(keys) - 1][1], gas=GAS_STEP)


# Views


@view
def totals() -> list:
    """[money, Wh] of this region: all money that circulates or waits to be collected; Wh bought elsewhere less Wh committed or
    sold there, below 0 for a region that sells more."""
    sums = sums_cell.get()
    return [view_call("token", "circulating") + sums.waiting_money, sums.bought - sums.locked_wh]


@view
def position() -> list:
    """[last closed record, items consumed]."""
    return [sequence.get(), consumed.get()]


def shown(lock: Lock) -> dict:
    """`filled_wh` for `money` so far; `closed`: the record that carried it, 0 while it waits."""
    return {
        "lock": lock.id, "slot": lock.slot, "meter": lock.meter, "account": lock.account, "side": side_of(lock), "wh": lock.wh,
        "limit": lock.limit, "filled_wh": lock.wh - lock.left_wh, "money": lock.money, "bond": lock.bond,
        "ended": lock.ended, "closed": lock.closed,
    }


@view
def lock_of(name: bytes) -> dict | None:
    number = numbers.get(name)
    if number is None:
        return None
    return shown(locks[number])


@view
def locks_in(slot: u64, after: u64, limit: u64) -> list:
    """Locks of a slot in the order in which they were made, those above number `after`, each with its `number`."""
    rows = []
    for key in in_slot.keys((slot,), after=(slot, after), limit=min(limit, MAX_PAGE)):
        row = shown(locks[key[1]])
        row["number"] = key[1]
        rows.append(row)
    return rows


@view
def trades_of(slot: u64, meter: Address) -> list:
    """What a meter bought and sold elsewhere in a slot: its locks with a fill."""
    rows = [shown(locks[key[2]]) for key in of_meter.keys((slot, meter), limit=MAX_PAGE)]
    return [row for row in rows if row["filled_wh"] > 0]


@view
def chosen(meter: Address) -> bool:
    """Whether the rest of a meter's orders goes to other regions."""
    return willing(rules_cell.get(), meter)


@view
def parameters() -> dict:
    rules = rules_cell.get()
    return {
        "market": market_cell.get(), "engine": engine_cell.get(), "blocks": rules.blocks, "everybody": rules.everybody,
        "late_ms": rules.late_ms,
    }
