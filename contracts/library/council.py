"""The council of engine `dpos`: who votes for whom, who has the chain's state, what validators report of each other, and
what each validator's trades come to.

The engine decides: it refuses what is no proof before these entries run, elects at the end of each epoch and publishes the
result here, so that views and proofs show it. Its calls come from an address that nobody has the key of. Validators are
named by their position in genesis.

A trade counts for the validator whose own account sold it, or whom the seller's account has appointed. Trades between
meters of one legal owner do not count, nor what a meter promises beyond its rated power. A slot is counted once: when its
last trade is settled, or at the end of the time for late readings. What is corrected later changes no score.
"""

NOBODY = 2**32
MAX_VALIDATORS = 1024
WH_MS = 3_600_000

Rules = record(
    "Rules", engine=Address, seats=u64, market=bool, slot_ms=u64, slot0_ms=u64, last_slot=u64, grace_ms=u64, late_ms=u64,
)
Traded = record("Traded", promised=u256, delivered=u256)

rules_cell = Var(Rules)
names_cell = Var(list[str])
keys_cell = Var(list[bytes])
floor_cell = Var(list[u64])
position_of = Map(Address, u64)
ballots = Map(u64, list[u64])
ready_in = Map(u64, u64, default=0)
appointed = Map(Address, u64)
next_slot = Var(u64)
counted_slot = Var(u64, default=NOBODY)
traded = Map(u64, Traded)
epoch_cell = Var(u64, default=1)
queue_cell = Var(list[u64])
bars_cell = Var(list[u64], default=[])
scores_cell = Var(list[u64], default=[])
votes_cell = Var(list[u64], default=[])

Balloted = event("Balloted", indexed=("validator",), validator=str, names=list[str])
Appointed = event("Appointed", indexed=("account", "validator"), account=Address, validator=str)
StateShown = event("StateShown", indexed=("validator",), validator=str, height=u64)
LeaderReported = event("LeaderReported", indexed=("by",), by=str)
EvidenceGiven = event("EvidenceGiven", indexed=("by",), by=str)
SlotCounted = event("SlotCounted", indexed=("slot",), slot=u64, trades=u64)
Elected = event("Elected", indexed=("epoch",), epoch=u64, queue=list[u64], barred=list[u64])


@init
def setup(
    engine: Address, seats: u64, names: list[str], keys: list[bytes], accounts: list[Address], floor: list[u64],
    calendar: list[u64],
) -> None:
    """Validators in the order of genesis, the first `seats` of them the first queue. `calendar`: slot_ms, slot0_ms, first and
    last slot, grace and late slots after delivery; empty where there is no market."""
    require(0 < len(names) <= MAX_VALIDATORS and len(names) == len(keys) == len(accounts), "BAD_VALIDATORS")
    market = len(calendar) > 0
    figures = [0, 0, 0, 0, 0, 0]
    if market:
        figures = calendar
    slot_ms = figures[0]
    rules_cell.set(
        Rules(
            engine=engine, seats=seats, market=market, slot_ms=slot_ms, slot0_ms=figures[1], last_slot=figures[3],
            grace_ms=figures[4] * slot_ms, late_ms=(figures[5] + 1) * slot_ms,
        )
    )
    next_slot.set(figures[2])
    names_cell.set(names)
    keys_cell.set(keys)
    floor_cell.set(floor)
    for position in range(len(accounts)):
        require(accounts[position] not in position_of, "BAD_VALIDATORS")
        position_of[accounts[position]] = position
    queue_cell.set([position for position in range(min(seats, len(names)))])
    scores_cell.set([0] * len(names))
    votes_cell.set([0] * len(names))


def validator() -> int:
    """The position of the sender."""
    position = position_of.get(ctx.sender)
    if position is None:
        revert("NOT_VALIDATOR")
    return position


def number_of(names: list, name: str) -> int:
    if name not in names:
        revert("UNKNOWN_VALIDATOR", {"name": name})
    return names.index(name)


# What validators and members say


@export
def ballot(names: list[str]) -> None:
    """Name up to as many candidates as there are seats; the ballot holds until another replaces it. An empty one is taken
    back: who names nobody counts as naming the highest scores."""
    voter = validator()
    known = names_cell.get()
    require(len(names) <= rules_cell.get().seats, "TOO_MANY_NAMES", {"seats": rules_cell.get().seats})
    require(len(set(names)) == len(names), "DUPLICATE_NAME")
    chosen = [number_of(known, name) for name in names]
    if len(chosen) == 0:
        del ballots[voter]
    else:
        ballots[voter] = chosen
    emit(Balloted, validator=known[voter], names=names)


@export
def appoint(name: str) -> None:
    """The trades of the sender's account count for this validator from now on."""
    require(ctx.sender not in position_of, "IS_VALIDATOR")
    appointed[ctx.sender] = number_of(names_cell.get(), name)
    emit(Appointed, account=ctx.sender, validator=name)


@export
def ready(height: u64, block: bytes) -> None:
    """The sender's node has the chain's state: height and hash of the block that the epoch stands on. The engine has checked
    them."""
    position = validator()
    ready_in[position] = epoch_cell.get()
    emit(StateShown, validator=names_cell.get()[position], height=height)


@export
def report_invalid(complaints: bytes) -> None:
    """Signed complaints of validators about one leader's block. The engine has checked them."""
    emit(LeaderReported, by=names_cell.get()[validator()])


@export
def evidence(votes: bytes) -> None:
    """Two votes of one validator that exclude each other. The engine has checked them."""
    emit(EvidenceGiven, by=names_cell.get()[validator()])


# What the engine does at the end of an epoch


def only_engine() -> Rules:
    rules = rules_cell.get()
    require(ctx.sender == rules.engine, "NOT_ALLOWED")
    return rules


def settled_at(rules: Rules, slot: int, after_ms: int) -> bool:
    return rules.slot0_ms + (slot + 1) * rules.slot_ms + after_ms <= ctx.market_time_ms


@view
def due() -> bool:
    """Whether the next slot's time to be counted may have come: it is delivered and its grace time is over."""
    rules = rules_cell.get()
    slot = next_slot.get()
    return rules.market and slot <= rules.last_slot and settled_at(rules, slot, rules.grace_ms)


@export
def collect() -> bool:
    """Count the trades of the next slot; False if it waits for readings."""
    rules = only_engine()
    slot = next_slot.get()
    require(due(), "NOT_DUE")
    rows = view_call("bills", "period_trades", slot)
    if not settled_at(rules, slot, rules.late_ms):
        for row in rows:
            if not row["settled"]:
                return False
    owners = {}
    sums = {}
    for row in rows:
        seller = row["seller"]
        if row["settled"] and not one_owner(owners, seller, row["buyer"]):
            if seller not in sums:
                sums[seller] = [0, 0]
            sums[seller][0] = sums[seller][0] + row["wh"]
            sums[seller][1] = sums[seller][1] + row["delivered_wh"]
    for meter in sorted(sums.keys()):
        count_meter(rules, owners[meter], sums[meter][0], sums[meter][1])
    passed(slot, len(rows))
    return True


@export
def pass_over() -> None:
    """Leave out a slot that cannot be counted."""
    only_engine()
    passed(next_slot.get(), 0)


def passed(slot: int, trades: int) -> None:
    next_slot.set(slot + 1)
    if trades > 0:
        counted_slot.set(slot)
        emit(SlotCounted, slot=slot, trades=trades)


def one_owner(known: dict, first: Address, second: Address) -> bool:
    """Whether two meters have one legal owner; `known` keeps the members asked for."""
    for meter in (first, second):
        if meter not in known:
            account = view_call("registry", "owner_of", meter)
            known[meter] = None
            if account is not None:
                known[meter] = view_call("registry", "member", account)
    if known[first] is None or known[second] is None:
        return True
    return known[first]["owner"] == known[second]["owner"]


def count_meter(rules: Rules, member: dict, promised: int, delivered: int) -> None:
    """Add what a meter sold in a slot to its validator, at most what its rated power gives."""
    account = member["account"]
    position = position_of.get(account)
    if position is None:
        position = appointed.get(account)
    most = member["rated_w"] * rules.slot_ms // WH_MS
    if position is None or promised == 0 or most == 0:
        return
    if promised > most:
        delivered = delivered * most // promised
        promised = most
    before = traded.get(position)
    if before is None:
        before = Traded(promised=0, delivered=0)
    traded[position] = Traded(promised=before.promised + promised, delivered=before.delivered + delivered)


@export
def close_period() -> list:
    """[[validator, promised Wh, delivered Wh], ..] of the slots counted since the last election, and the ballots, [[voter,
    [candidates]], ..]. The next period begins with nothing."""
    only_engine()
    rows = []
    named = []
    for position in range(len(names_cell.get())):
        found = traded.get(position)
        if found is not None:
            rows.append([position, found.promised, found.delivered])
            del traded[position]
        given = ballots.get(position)
        if given is not None:
            named.append([position, given])
    return [rows, named]


@export
def publish(epoch: u64, queue: list[u64], bars: list[u64], scores: list[u64], votes: list[u64]) -> None:
    """The result of an election: the epoch that begins, its queue, the bars that held (five figures each: validator, cause,
    epoch, view, elections left), scores in ppm and votes of all validators."""
    only_engine()
    epoch_cell.set(epoch)
    queue_cell.set(queue)
    bars_cell.set(bars)
    scores_cell.set(scores)
    votes_cell.set(votes)
    barred = sorted(set([bars[at] for at in range(0, len(bars), 5)]))
    emit(Elected, epoch=epoch, queue=queue, barred=barred)


# Views


@view
def queue() -> dict:
    """The running epoch and who leads its views, in this order, round and round: {epoch, seats, queue}."""
    names = names_cell.get()
    return {
        "epoch": epoch_cell.get(), "seats": rules_cell.get().seats,
        "queue": [names[position] for position in queue_cell.get()],
    }


@view
def bars() -> list:
    """The bars that held at the last election: {validator, cause, epoch, view, left}. Causes: `turn` lost, `invalid` block
    reported, `equivocation`; `left`: elections that the bar held for from this one on, 0 for good."""
    names = names_cell.get()
    found = bars_cell.get()
    causes = ("", "turn", "invalid", "equivocation")
    return [
        {
            "validator": names[found[at]], "cause": causes[found[at + 1]], "epoch": found[at + 2], "view": found[at + 3],
            "left": found[at + 4],
        }
        for at in range(0, len(found), 5)
    ]


@view
def validators() -> list:
    """All validators: {name, key, score (ppm), votes, ready (epoch in which it last showed the state), ballot, floor, elected}."""
    names = names_cell.get()
    keys = keys_cell.get()
    scores = scores_cell.get()
    votes = votes_cell.get()
    seated = queue_cell.get()
    floor = floor_cell.get()
    rows = []
    for position in range(len(names)):
        rows.append(
            {
                "name": names[position], "key": keys[position], "score": scores[position], "votes": votes[position],
                "ready": ready_in[position], "floor": position in floor, "elected": position in seated,
                "ballot": [names[named] for named in ballots.get(position, [])],
            }
        )
    return rows


@view
def validator_of(account: Address) -> str:
    """The validator that this account's trades count for, its own or the appointed one; "" if none."""
    position = position_of.get(account)
    if position is None:
        position = appointed.get(account)
    if position is None:
        return ""
    return names_cell.get()[position]


@view
def period() -> dict:
    """What the next election counts so far: {next_slot, counted (newest slot that had trades, or None), trades: {validator,
    promised_wh, delivered_wh} of those with any}."""
    names = names_cell.get()
    rows = []
    for item in traded.items((), after=None, limit=MAX_VALIDATORS):
        rows.append(
            {"validator": names[item[0]], "promised_wh": item[1].promised, "delivered_wh": item[1].delivered}
        )
    newest = counted_slot.get()
    if newest == NOBODY:
        newest = None
    return {"next_slot": next_slot.get(), "counted": newest, "trades": rows}


@view
def counted() -> u64 | None:
    """The newest slot that was counted and had trades: the path queue of blocks is that of its trades."""
    slot = counted_slot.get()
    if slot == NOBODY:
        return None
    return slot
