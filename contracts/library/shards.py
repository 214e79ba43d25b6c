"""The global chain of a sharded network: where regions' records arrive, and where everybody sees what came of them.

The rules are the engine's (consensus B.2, B.3): it reads the entries below out of each block, judges them, and tells this
contract what changed (`publish`). Nothing here decides anything; an entry that the engine refuses has its code as receipt.
Money in micro-units, energy in Wh, limits per kWh; members and centres by their voting keys, ratios in ppm.
"""

MAX_RAW = 90_000
MAX_POST = 8_192
MAX_PAGE = 256
LATEST = 64

Region = record(
    "Region", chain=str, epoch=u64, seq=u64, record=bytes, root=bytes, standing=str, lagging=bool, money=u256, wh=int,
    inbox=u64, consumed=u64, pending=u64, confirmed=u64,
)
Lock = record(
    "Lock", region=str, side=str, owner=bytes, wh=u64, limit=u64, locked=u256, expiry=u64, slot=u64,
)
Item = record(
    "Item", height=u64, kind=str, lock=bytes, owner=bytes, money=u256, wh=u64, ended=bool, reason=str, traded=u64, price=u64,
)
Member = record(
    "Member", deposit=u256, barred=int, removed=bool, accuracy=u64, reward=u256, served=u64, withdrawals=u64, fined=u256,
)
Head = record("Head", height=u64, round=u64, pool=u256)
Fix = record("Fix", region=str, seq=u64, record=bytes, kind=str, root=bytes)

engine_cell = Var(Address)
head_cell = Var(Head)
regions_map = Map(str, Region)
locks_map = Map(bytes, Lock)
items_map = Map((str, u64), Item)
members_map = Map(bytes, Member)
fixes = Map(u64, Fix)
fix_count = Var(u64, default=0)
fined_map = Map(str, u256, default=0)

Entered = event("Entered", indexed=("region",), region=str, seq=u64, record=bytes)
Confirmed = event("Confirmed", indexed=("region",), region=str, seq=u64, record=bytes)
Corrected = event("Corrected", indexed=("region",), region=str, seq=u64, record=bytes, kind=str, root=bytes)
Fined = event("Fined", indexed=("member", "region"), member=bytes, region=str, seq=u64, offence=str, fine=u256)
Withdrawn = event(
    "Withdrawn", indexed=("member", "region"), member=bytes, region=str, account=bytes, source=str, money=u256
)
Paid = event("Paid", indexed=("region",), region=str, account=bytes, money=u256, reason=str)
EpochOpened = event("EpochOpened", indexed=("region",), region=str, epoch=u64, reason=str)
Filled = event(
    "Filled", indexed=("region", "lock"), region=str, lock=bytes, owner=bytes, traded=u64, price=u64, money=u256, wh=u64,
    ended=bool,
)
Released = event(
    "Released", indexed=("region", "lock"), region=str, lock=bytes, owner=bytes, money=u256, wh=u64, reason=str
)
Refused = event("Refused", code=str)


@init
def setup(engine: Address) -> None:
    """`engine`: whom alone `publish` obeys."""
    engine_cell.set(engine)
    head_cell.set(Head(height=0, round=0, pool=0))


def check(raw: bytes) -> None:
    require(0 < len(raw) <= MAX_RAW, "BAD_SIZE", {"most": MAX_RAW})


# Entries: encoded objects, read by the engine


@export
def submit(publication: bytes) -> None:
    """A region's record with its proof, signed by a member of the region."""
    check(publication)


@export
def post(region: str, transaction: bytes) -> None:
    """A signed transaction for a region's chain that the region may be ignoring: it enters the region's inbox. Smaller than
    others: every node of the network keeps it until the region has answered."""
    require(0 < len(transaction) <= MAX_POST, "BAD_SIZE", {"most": MAX_POST})


@export
def conflict(evidence: bytes) -> None:
    """Two different records of one region and seq."""
    check(evidence)


@export
def attest(attestation: bytes) -> None:
    """What an assigned centre found of a record."""
    check(attestation)


@export
def members(change: bytes) -> None:
    """A new set of members of a region: agreed by a quorum of the centres, or the takeover of a suspended one."""
    check(change)


@export
def double_vote(evidence: bytes) -> None:
    """Two votes of one member on its region's chain that exclude each other."""
    check(evidence)


@export
def withdraw(order: bytes) -> None:
    """A member or centre, by its voting key, takes out what it has earned, or its deposit when it has no seat any more."""
    check(order)


# What the engine tells


@export
def publish(head: list, regions: list, locks: list, items: list, people: list, news: list) -> None:
    """What a global block changed. Rows: `regions` [name, fields of Region], `locks` [id, fields of Lock] or [id] for one that
    ended, `items` [region, number, fields of Item], `people` [key, fields of Member], `news` [event, its fields]."""
    require(ctx.sender == engine_cell.get(), "NOT_ALLOWED")
    head_cell.set(Head(height=head[0], round=head[1], pool=head[2]))
    for row in regions:
        regions_map[row[0]] = Region(
            chain=row[1], epoch=row[2], seq=row[3], record=row[4], root=row[5], standing=row[6], lagging=row[7],
            money=row[8], wh=row[9], inbox=row[10], consumed=row[11], pending=row[12], confirmed=row[13],
        )
    for row in locks:
        if len(row) == 1:
            if row[0] in locks_map:
                del locks_map[row[0]]
        else:
            locks_map[row[0]] = Lock(
                region=row[1], side=row[2], owner=row[3], wh=row[4], limit=row[5], locked=row[6], expiry=row[7],
                slot=row[8],
            )
    for row in items:
        items_map[(row[0], row[1])] = Item(
            height=row[2], kind=row[3], lock=row[4], owner=row[5], money=row[6], wh=row[7], ended=row[8], reason=row[9],
            traded=row[10], price=row[11],
        )
        tell_item(row)
    for row in people:
        known = members_map.get(row[0])
        members_map[row[0]] = Member(
            deposit=row[1], barred=row[2], removed=row[3], accuracy=row[4], reward=row[5], served=row[6],
            withdrawals=row[7], fined=0 if known is None else known.fined,
        )
    for row in news:
        tell(row)


def tell_item(row: list) -> None:
    if row[3] == "filled":
        emit(
            Filled, region=row[0], lock=row[4], owner=row[5], traded=row[10], price=row[11], money=row[6], wh=row[7],
            ended=row[8],
        )
    elif row[3] == "released":
        emit(Released, region=row[0], lock=row[4], owner=row[5], money=row[6], wh=row[7], reason=row[9])
    elif row[3] == "paid":
        emit(Paid, region=row[0], account=row[5], money=row[6], reason=row[9])


def tell(row: list) -> None:
    if row[0] == "entered":
        emit(Entered, region=row[1], seq=row[2], record=row[3])
    elif row[0] == "confirmed":
        emit(Confirmed, region=row[1], seq=row[2], record=row[3])
    elif row[0] == "corrected":
        count = fix_count.get()
        fixes[count] = Fix(region=row[1], seq=row[2], record=row[3], kind=row[4], root=row[5])
        fix_count.set(count + 1)
        emit(Corrected, region=row[1], seq=row[2], record=row[3], kind=row[4], root=row[5])
    elif row[0] == "fined":
        known = members_map[row[1]]
        members_map[row[1]] = known.replace(fined=known.fined + row[5])
        fined_map[row[2]] = fined_map[row[2]] + row[5]
        emit(Fined, member=row[1], region=row[2], seq=row[3], offence=row[4], fine=row[5])
    elif row[0] == "withdrawn":
        emit(Withdrawn, member=row[1], region=row[2], account=row[3], source=row[4], money=row[5])
    elif row[0] == "epoch":
        emit(EpochOpened, region=row[1], epoch=row[2], reason=row[3])
    else:
        emit(Refused, code=row[1])


# Views


@view
def head() -> dict:
    """Height and market round of the last global block, and the pool that the next split divides."""
    found = head_cell.get()
    return {"height": found.height, "round": found.round, "pool": found.pool}


@view
def regions() -> list:
    """Every region as last confirmed. `inbox`: items ever sent, `consumed`: how many of them the region has taken;
    `pending`: seq of a record that is entered and not confirmed, 0 if none; `confirmed`: height of the last that was;
    `fined`: money that its members have lost."""
    return [region(name) for name in regions_map.keys(limit=MAX_PAGE)]


@view
def region(name: str) -> dict | None:
    found = regions_map.get(name)
    if found is None:
        return None
    return {
        "region": name, "chain": found.chain, "epoch": found.epoch, "seq": found.seq, "record": found.record,
        "root": found.root, "standing": found.standing, "lagging": found.lagging, "money": found.money, "wh": found.wh,
        "inbox": found.inbox, "consumed": found.consumed, "pending": found.pending, "confirmed": found.confirmed,
        "fined": fined_map[name],
    }


@view
def locks(after: bytes, limit: u64) -> list:
    """Open locks in the order of their ids, those behind `after`."""
    rows = []
    for key in locks_map.keys(after=after, limit=min(limit, MAX_PAGE)):
        rows.append(shown_lock(key, locks_map[key]))
    return rows


@view
def lock(id: bytes) -> dict | None:
    """An open lock; None once it has ended."""
    found = locks_map.get(id)
    return None if found is None else shown_lock(id, found)


def shown_lock(key: bytes, found: Lock) -> dict:
    return {
        "lock": key, "region": found.region, "side": found.side, "owner": found.owner, "wh": found.wh, "limit": found.limit,
        "locked": found.locked, "expiry": found.expiry, "slot": found.slot,
    }


@view
def inbox(region: str, first: u64, limit: u64) -> list:
    """Items that were sent to a region, from number `first` on, consumed or not."""
    rows = []
    for number in range(first, first + min(limit, MAX_PAGE)):
        found = items_map.get((region, number))
        if found is None:
            return rows
        rows.append(
            {
                "number": number, "height": found.height, "kind": found.kind, "lock": found.lock, "owner": found.owner,
                "money": found.money, "wh": found.wh, "ended": found.ended, "reason": found.reason,
                "traded": found.traded, "price": found.price,
            }
        )
    return rows


@view
def people(after: bytes, limit: u64) -> list:
    """Members of regions and centres by their voting keys: deposit, the last round of a bar (-1 for none), whether removed for
    good, accuracy, reward that it has not taken out yet, blocks finalised in the running epoch of the pool, how often it took
    money out, and what it was fined in all."""
    return [member(key) for key in members_map.keys(after=after, limit=min(limit, MAX_PAGE))]


@view
def member(key: bytes) -> dict | None:
    found = members_map.get(key)
    if found is None:
        return None
    return {
        "key": key, "deposit": found.deposit, "barred": found.barred, "removed": found.removed, "accuracy": found.accuracy,
        "reward": found.reward, "served": found.served, "withdrawals": found.withdrawals, "fined": found.fined,
    }


@view
def pool() -> int:
    """Fees, fines and lost deposits that are not split yet."""
    return head_cell.get().pool


@view
def corrections() -> list:
    """The latest corrections, oldest first."""
    count = fix_count.get()
    rows = []
    for number in range(max(0, count - LATEST), count):
        found = fixes[number]
        rows.append(
            {
                "region": found.region, "seq": found.seq, "record": found.record, "kind": found.kind, "root": found.root,
            }
        )
    return rows
