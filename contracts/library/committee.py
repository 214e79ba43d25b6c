"""The committee of engine `bft`: its members change it by vote, and who signed twice loses the seat.

A change names a validator and its weight from the next epoch on; 0 ends its seat. It is agreed when the yes of seats that
hold the quorum of the chain is in, and takes effect in the last block of the epoch: so a third of the committee never leaves
without a quorum's word. Keys and their proofs of possession are checked by the engine before `propose` runs, evidence before
`evidence` does. The engine's calls come from an address that nobody has the key of.
"""

MAX_TEXT = 64
MAX_PAGE = 256
MAX_WEIGHT = 2**32
MAX_VALIDATORS = 1024
MAX_NUMBER = 2**53

Seat = record("Seat", name=str, key=bytes, account=Address, weight=u64)
Rules = record("Rules", engine=Address, voting_ms=u64)
Change = record(
    "Change", name=str, key=bytes, account=Address, weight=u64, proposer=str, term=u64, closes_ms=u64, yes=u64, no=u64,
    status=str, code=str,
)

rules_cell = Var(Rules)
term_cell = Var(u64, default=1)
names_cell = Var(list[str])
seats = Map(str, Seat)
name_of_account = Map(Address, str)
agreed_names = Var(list[str], default=[])
agreed = Map(str, Seat)
convicted_in = Map(bytes, u64)
last_number = Var(u64, default=0)
changes = Map(u64, Change)
ballots = Map((u64, str), bool)

Proposed = event(
    "Proposed", indexed=("number", "name"), number=u64, name=str, key=bytes, account=Address, weight=u64, by=str, closes_ms=u64
)
Voted = event("Voted", indexed=("number", "by"), number=u64, by=str, yes=bool)
Decided = event("Decided", indexed=("number", "status"), number=u64, status=str, code=str)
EvidenceGiven = event("EvidenceGiven", indexed=("by",), by=str)
Convicted = event("Convicted", indexed=("name",), name=str, key=bytes, epoch=u64)
Changed = event("Changed", indexed=("epoch",), epoch=u64, names=list[str], weights=list[u64])


@init
def setup(engine: Address, voting_ms: u64, names: list[str], keys: list[bytes], accounts: list[Address], weights: list[u64]) -> None:
    """The committee of genesis, in its order. `accounts` speak for the validators."""
    count = len(names)
    require(0 < count <= MAX_VALIDATORS and count == len(keys) == len(accounts) == len(weights), "BAD_VALIDATORS")
    require(len(set(names)) == count and len(set(keys)) == count and len(set(accounts)) == count, "BAD_VALIDATORS")
    require(0 < voting_ms <= MAX_NUMBER, "BAD_RULES")
    rules_cell.set(Rules(engine=engine, voting_ms=voting_ms))
    names_cell.set(names)
    for index in range(count):
        require(len(keys[index]) == 32 and 0 < weights[index], "BAD_VALIDATORS")
        seats[names[index]] = Seat(name=names[index], key=keys[index], account=accounts[index], weight=weights[index])
        name_of_account[accounts[index]] = names[index]


def speaker() -> str:
    """The validator that the sender speaks for."""
    name = name_of_account.get(ctx.sender)
    if name is None:
        revert("NOT_VALIDATOR")
    return name


def by_engine() -> None:
    require(ctx.sender == rules_cell.get().engine, "NOT_ENGINE")


# changes


@export
def propose(name: str, key: bytes, possession: bytes, account: Address, weight: u64) -> u64:
    """Propose a validator's weight from the next epoch on, 0 to end its seat (key, possession and account are empty or its own
    then). Another key or account for a known name replaces the old one."""
    by = speaker()
    require(0 < len(name) <= MAX_TEXT and weight <= MAX_WEIGHT, "BAD_VALIDATOR")
    if weight == 0:
        require(name in seats, "UNKNOWN_VALIDATOR", {"name": name})
    else:
        require(len(key) == 32 and len(possession) == 64, "BAD_VALIDATOR")
        code = clash(name, key, account)
        require(code == "", code, {"name": name})
    number = last_number.get() + 1
    last_number.set(number)
    closes = ctx.block_time_ms + rules_cell.get().voting_ms
    changes[number] = Change(
        name=name, key=key, account=account, weight=weight, proposer=by, term=term_cell.get(), closes_ms=closes, yes=0, no=0,
        status="open", code="",
    )
    emit(Proposed, number=number, name=name, key=key, account=account, weight=weight, by=by, closes_ms=closes)
    return number


def clash(name: str, key: bytes, account: Address) -> str:
    """Why this name cannot have this key and account; "" if it can. One who holds a seat, or is to get one, blocks others."""
    if key in convicted_in:
        return "CONVICTED"
    for other in names_cell.get() + agreed_names.get():
        if other != name:
            for found in [seats.get(other), agreed.get(other)]:
                if found is not None and found.weight > 0 and found.key == key:
                    return "KEY_TAKEN"
                if found is not None and found.weight > 0 and found.account == account:
                    return "ACCOUNT_TAKEN"
    return ""


@export
def vote(number: u64, yes: bool) -> str:
    """Vote once; returns the status. The vote that reaches the quorum makes the change agreed, or failed with a code."""
    by = speaker()
    change = changes.get(number)
    if change is None:
        revert("NO_CHANGE")
    require(status_of(change) == "open", "NOT_OPEN", status_of(change))
    require((number, by) not in ballots, "ALREADY_VOTED")
    ballots[number, by] = yes
    emit(Voted, number=number, by=by, yes=yes)
    weight = seats[by].weight
    if yes:
        change = change.replace(yes=change.yes + weight)
    else:
        change = change.replace(no=change.no + weight)
    total = total_weight()
    quorum = view_call("lifecycle", "quorum", total)
    if change.yes >= quorum:
        code = agree(change)
        change = change.replace(status="agreed" if code == "" else "failed", code=code)
    elif total - change.no < quorum:
        change = change.replace(status="rejected")
    changes[number] = change
    if change.status != "open":
        emit(Decided, number=number, status=change.status, code=change.code)
    return change.status


def total_weight() -> u64:
    return sum([seats[name].weight for name in names_cell.get()])


def status_of(change: Change) -> str:
    if change.status == "open" and change.term != term_cell.get():
        return "lapsed"
    if change.status == "open" and ctx.block_time_ms > change.closes_ms:
        return "expired"
    return change.status


def agree(change: Change) -> str:
    name = change.name
    seat = Seat(name=name, key=change.key, account=change.account, weight=change.weight)
    if change.weight == 0:
        if name not in seats:
            return "UNKNOWN_VALIDATOR"
        seat = seats[name].replace(weight=0)
    else:
        code = clash(name, change.key, change.account)
        if code != "":
            return code
    after = following(name, seat)
    if len(after) == 0 or len(after) > MAX_VALIDATORS:
        return "BAD_COMMITTEE"
    put_agreed(seat)
    return ""


def put_agreed(seat: Seat) -> None:
    names = agreed_names.get()
    if seat.name not in names:
        agreed_names.set(names + [seat.name])
    agreed[seat.name] = seat


def following(name: str, seat: Seat | None) -> list:
    """Names of the next committee in order, if `name` gets this seat besides what is agreed ("" and None: only that)."""
    kept = []
    known = names_cell.get()
    newcomers = [one for one in agreed_names.get() if one not in known]
    if seat is not None and name not in known and name not in newcomers:
        newcomers.append(name)
    for one in known + newcomers:
        found = agreed.get(one)
        if found is None:
            found = seats.get(one)
        if seat is not None and one == name:
            found = seat
        if found is not None and found.weight > 0:
            kept.append(one)
    return kept


# evidence


@export
def evidence(proof: bytes) -> None:
    """Two votes of one validator that exclude each other; the engine has checked them, and convicts."""
    emit(EvidenceGiven, by=speaker())


@export
def convict(key: bytes, epoch: u64) -> None:
    """The engine's: this key signed twice in an epoch. Its seat ends with the epoch, unless it is the only one."""
    by_engine()
    require(key not in convicted_in, "CONVICTED")
    convicted_in[key] = epoch
    holder = ""
    for name in names_cell.get():
        if seats[name].key == key:
            holder = name
    for name in agreed_names.get():
        found = agreed.get(name)
        if found is not None and found.key == key:
            put_agreed(found.replace(weight=0))
    if holder != "" and (holder not in agreed or agreed[holder].key == key):
        leaving = seats[holder].replace(weight=0)
        if len(following(holder, leaving)) > 0:
            put_agreed(leaving)
    emit(Convicted, name=holder, key=key, epoch=epoch)


# the end of an epoch


@export
def turn(epoch: u64) -> list:
    """The engine's, in the last block of an epoch: what was agreed takes effect for `epoch`. Returns names, keys and weights of
    the committee, empty if it stays as it is."""
    by_engine()
    pending = agreed_names.get()
    if len(pending) == 0:
        return []
    after = following("", None)
    for name in pending:
        seat = agreed[name]
        before = seats.get(name)
        if before is not None:
            del name_of_account[before.account]
            del seats[name]
        if seat.weight > 0:
            seats[name] = seat
        del agreed[name]
    for name in after:
        name_of_account[seats[name].account] = name
    agreed_names.set([])
    names_cell.set(after)
    term_cell.set(term_cell.get() + 1)
    weights = [seats[name].weight for name in after]
    emit(Changed, epoch=epoch, names=after, weights=weights)
    return [after, [seats[name].key for name in after], weights]


# views


@view
def validators() -> list:
    """The committee in its order: name, key, account, weight."""
    return [shown(seats[name]) for name in names_cell.get()]


@view
def upcoming() -> list:
    """What is agreed for the next epoch, in the order of agreement; weight 0 leaves."""
    return [shown(agreed[name]) for name in agreed_names.get()]


def shown(seat: Seat) -> dict:
    return {"name": seat.name, "key": seat.key, "account": seat.account, "weight": seat.weight}


@view
def change(number: u64) -> dict | None:
    """A change with its status as of now: open, agreed, failed, rejected, expired or lapsed."""
    found = changes.get(number)
    if found is None:
        return None
    return described(number, found)


@view
def all_changes(after: u64, limit: u64) -> list:
    """Changes by number, those above `after`."""
    rows = changes.items((), after=after, limit=min(limit, MAX_PAGE))
    return [described(number, found) for number, found in rows]


def described(number: u64, found: Change) -> dict:
    return {
        "number": number,
        "name": found.name,
        "key": found.key,
        "account": found.account,
        "weight": found.weight,
        "proposer": found.proposer,
        "closes_ms": found.closes_ms,
        "yes": found.yes,
        "no": found.no,
        "quorum": view_call("lifecycle", "quorum", total_weight()),
        "status": status_of(found),
        "code": found.code,
    }


@view
def convicted(key: bytes) -> u64 | None:
    """The epoch in which a key signed twice; None if it did not."""
    return convicted_in.get(key)
