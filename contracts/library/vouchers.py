"""Consumption vouchers: who used which energy of which neighbour, from which source; transferable, retired once.

A voucher is claimed, not pushed: anyone claims the trades of a settled slot, the vouchers go to the meters' accounts that
bought. So settlement never pays for them and never fails by them, and the same rule serves every market: `bills` says what
of a trade was delivered, and this contract accounts for exactly that. What a meter has not measured waits (`estimated`).

Corrections: a trade that turns out larger gets a further voucher at the next claim. One that turns out smaller takes back
vouchers of that trade, the newest first; what was retired already is overdrawn, and the buyer's next claims pay it off.
Therefore always, and for each trade: Wh of its vouchers = delivered Wh accounted, and in sum
`issued = accounted + overdrawn`, where accounted is what markets settled and `overdrawn` was retired in excess.
A voucher is checked against its trade before it moves or is retired, so nobody is paid for energy that was corrected away.
"""

MAX_PAGE = 256
MAX_TEXT = 64

Voucher = record(
    "Voucher", holder=Address, slot=u64, trade=u64, part=u64, wh=u64, source=str, seller=Address, buyer=Address,
    retired=bool, purpose=str,
)
Account = record("Account", wh=u64, parts=u64, source=str, buyer=Address)
Sums = record("Sums", issued=u256, retired=u256, accounted=u256, overdrawn=u256)

next_number = Var(u64, default=0)
vouchers = Map(u64, Voucher)
held = Map((Address, u64), bool)
parts = Map((u64, u64, u64), u64)
accounts = Map((u64, u64), Account)
overdrafts = Map(Address, u64, default=0)
sums_cell = Var(Sums)

VoucherIssued = event(
    "VoucherIssued", indexed=("slot", "seller", "buyer"), voucher=u64, slot=u64, trade=u64, part=u64, wh=u64, source=str,
    seller=Address, buyer=Address, holder=Address,
)
VoucherReduced = event(
    "VoucherReduced", indexed=("voucher", "slot"), voucher=u64, slot=u64, trade=u64, wh=u64, before=u64,
)
VoucherMoved = event(
    "VoucherMoved", indexed=("voucher", "sender", "receiver"), voucher=u64, sender=Address, receiver=Address,
)
VoucherRetired = event("VoucherRetired", indexed=("voucher", "holder"), voucher=u64, holder=Address, wh=u64, purpose=str)
Overdrawn = event("Overdrawn", indexed=("buyer",), buyer=Address, slot=u64, trade=u64, wh=u64)


@init
def setup() -> None:
    sums_cell.set(Sums(issued=0, retired=0, accounted=0, overdrawn=0))


@export
def claim(slot: u64, first: u64, limit: u64) -> u64:
    """Account for the trades of a slot whose number is `first` or above, at most `limit`: issue what is missing, take back
    what is too much. Anyone may. Returns how many trades changed."""
    changed = 0
    rows = [row for row in view_call("bills", "period_trades", slot) if row["trade"] >= first]
    for row in rows[: min(limit, MAX_PAGE)]:
        if account_for(slot, row):
            changed += 1
    return changed


def account_for(slot: int, row: dict) -> bool:
    """Bring the vouchers of a trade to what was delivered of it. What is not settled, or only estimated, stays as it is."""
    key = (slot, row["trade"])
    before = accounts.get(key)
    if not row["settled"] or row["estimated"]:
        return False
    known = 0
    if before is not None:
        known = before.wh
    wh = row["delivered_wh"]
    if wh == known:
        return False
    if before is None:
        before = Account(
            wh=0, parts=0, source=view_call("registry", "sources_of", row["seller"]), buyer=row["buyer"]
        )
    if wh > known:
        before = issue(key, before, row, wh - known)
    else:
        take_back(key, before, known - wh)
    accounts[key] = before.replace(wh=wh)
    sums = sums_cell.get()
    sums_cell.set(sums.replace(accounted=sums.accounted + wh - known))
    return True


def issue(key: tuple, account: Account, row: dict, wh: int) -> Account:
    """A voucher for `wh`, less what its buyer has overdrawn."""
    owed = overdrafts[row["buyer"]]
    withheld = min(owed, wh)
    sums = sums_cell.get()
    sums_cell.set(sums.replace(issued=sums.issued + wh - withheld, overdrawn=sums.overdrawn - withheld))
    if withheld > 0:
        overdrafts[row["buyer"]] = owed - withheld
    if wh == withheld:
        return account
    holder = view_call("registry", "owner_of", row["buyer"])
    number = next_number.get() + 1
    next_number.set(number)
    vouchers[number] = Voucher(
        holder=holder, slot=key[0], trade=key[1], part=account.parts, wh=wh - withheld, source=account.source,
        seller=row["seller"], buyer=row["buyer"], retired=False, purpose="",
    )
    held[(holder, number)] = True
    parts[(key[0], key[1], account.parts)] = number
    emit(
        VoucherIssued, voucher=number, slot=key[0], trade=key[1], part=account.parts, wh=wh - withheld,
        source=account.source, seller=row["seller"], buyer=row["buyer"], holder=holder,
    )
    return account.replace(parts=account.parts + 1)


def take_back(key: tuple, account: Account, wh: int) -> None:
    """Reduce the vouchers of a trade that are not retired, the newest first; the rest is the buyer's to make up for."""
    left = wh
    part = account.parts
    while part > 0 and left > 0:
        part -= 1
        number = parts[(key[0], key[1], part)]
        found = vouchers[number]
        cut = 0
        if not found.retired:
            cut = min(found.wh, left)
        if cut > 0:
            vouchers[number] = found.replace(wh=found.wh - cut)
            left -= cut
            emit(VoucherReduced, voucher=number, slot=key[0], trade=key[1], wh=found.wh - cut, before=found.wh)
    sums = sums_cell.get()
    sums_cell.set(sums.replace(issued=sums.issued + left - wh, overdrawn=sums.overdrawn + left))
    if left > 0:
        overdrafts[account.buyer] = overdrafts[account.buyer] + left
        emit(Overdrawn, buyer=account.buyer, slot=key[0], trade=key[1], wh=left)


def own_voucher(number: int) -> Voucher:
    """The sender's voucher, after its trade was looked up: it may be smaller than it was, and then nothing has moved yet."""
    found = vouchers.get(number)
    if found is None:
        revert("NO_VOUCHER")
    require(found.holder == ctx.sender, "NOT_YOURS")
    require(not found.retired, "RETIRED")
    row = view_call("bills", "trade", found.slot, found.trade)
    if row is not None:
        account_for(found.slot, row)
    found = vouchers[number]
    require(found.wh > 0, "EMPTY_VOUCHER")
    return found


@export
def transfer(number: u64, receiver: Address) -> None:
    """Give a voucher to another member or institution."""
    found = own_voucher(number)
    role = view_call("registry", "role_of", receiver)
    require(role != "" and role != "meter" and receiver != ctx.sender, "BAD_RECEIVER")
    vouchers[number] = found.replace(holder=receiver)
    del held[(ctx.sender, number)]
    held[(receiver, number)] = True
    emit(VoucherMoved, voucher=number, sender=ctx.sender, receiver=receiver)


@export
def retire(number: u64, purpose: str) -> u64:
    """Use a voucher up, once and for ever; it stays readable. Returns its Wh."""
    found = own_voucher(number)
    require(0 < len(purpose) <= MAX_TEXT, "BAD_TEXT")
    vouchers[number] = found.replace(retired=True, purpose=purpose)
    sums = sums_cell.get()
    sums_cell.set(sums.replace(retired=sums.retired + found.wh))
    emit(VoucherRetired, voucher=number, holder=ctx.sender, wh=found.wh, purpose=purpose)
    return found.wh


def shown(number: int, found: Voucher) -> dict:
    return {
        "voucher": number, "holder": found.holder, "slot": found.slot, "trade": found.trade, "part": found.part,
        "wh": found.wh, "source": found.source, "seller": found.seller, "buyer": found.buyer, "retired": found.retired,
        "purpose": found.purpose,
    }


@view
def voucher(number: u64) -> dict | None:
    found = vouchers.get(number)
    if found is None:
        return None
    return shown(number, found)


@view
def vouchers_of(holder: Address, after: u64, limit: u64) -> list:
    """Vouchers of an account with numbers above `after` (0: from the first), ascending, retired ones too."""
    rows = []
    for key in held.keys((holder,), after=(holder, after), limit=min(limit, MAX_PAGE)):
        rows.append(shown(key[1], vouchers[key[1]]))
    return rows


@view
def vouchers_for(slot: u64, trade: u64) -> list:
    """Every voucher of a trade, in the order in which they were issued."""
    rows = []
    for item in parts.items((slot, trade), limit=MAX_PAGE):
        rows.append(shown(item[1], vouchers[item[1]]))
    return rows


@view
def claimable(slot: u64) -> list:
    """Trades of a slot whose vouchers differ from what is settled: {trade, wh, accounted_wh}."""
    rows = []
    for row in view_call("bills", "period_trades", slot):
        known = accounts.get((slot, row["trade"]))
        wh = 0
        if known is not None:
            wh = known.wh
        if row["settled"] and not row["estimated"] and row["delivered_wh"] != wh:
            rows.append({"trade": row["trade"], "wh": row["delivered_wh"], "accounted_wh": wh})
    return rows


@view
def overdraft(buyer: Address) -> u64:
    """Wh that were retired for a meter beyond what it was settled on; withheld from its next vouchers."""
    return overdrafts[buyer]


@view
def supply() -> dict:
    """`issued_wh` (all vouchers as they are, retired ones too) = `accounted_wh` + `overdrawn_wh`."""
    sums = sums_cell.get()
    return {
        "issued_wh": sums.issued, "retired_wh": sums.retired, "accounted_wh": sums.accounted,
        "overdrawn_wh": sums.overdrawn,
    }
