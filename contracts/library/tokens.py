"""Settlement accounts: balance, escrow and debt of everyone, in one record each.

Money enters and leaves through the treasury only. A credit pays debt first; what a debit takes beyond the free balance
becomes debt, because consumption is never cut. So balance + escrow - debt over all accounts = minted - burned, always.
Markets that genesis allows may lock and release escrow and settle lists of moves that sum to zero.

Where genesis names a bridge, that contract moves money out of this chain and into it: what has left is with the global
chain or in another region, and `minted - burned - left + arrived` is what circulates here.
"""

MAX_AMOUNT = 10**24
MAX_REFERENCE = 64
MAX_PAGE = 256

Account = record("Account", balance=u256, escrow=u256, debt=u256, limit=u256)
Supply = record("Supply", minted=u256, burned=u256)

accounts = Map(Address, Account)
markets = Map(Address, bool)
references = Map(str, bool)
supply_cell = Var(Supply)
treasury = Var(Address)
grid_company = Var(Address)
default_limit = Var(u256)
bridges = Map(Address, bool)
left_cell = Var(u256, default=0)
arrived_cell = Var(u256, default=0)

Deposited = event("Deposited", indexed=("account",), account=Address, amount=u256, reference=str)
Withdrawn = event("Withdrawn", indexed=("account",), account=Address, amount=u256, reference=str)
Transferred = event("Transferred", indexed=("sender", "receiver"), sender=Address, receiver=Address, amount=u256)
DebtLimitSet = event("DebtLimitSet", indexed=("account",), account=Address, limit=u256)
Departed = event("Departed", indexed=("account",), account=Address, amount=u256)
Arrived = event("Arrived", indexed=("account",), account=Address, amount=u256)


@init
def setup(trading_center: Address, grid: Address, debt_limit: u256, market_names: list[str], bridge: str) -> None:
    """`bridge`: name of the contract that moves money between regions, "" for none."""
    treasury.set(trading_center)
    grid_company.set(grid)
    default_limit.set(debt_limit)
    supply_cell.set(Supply(minted=0, burned=0))
    for name in market_names:
        markets[contract_address(name)] = True
    if bridge != "":
        bridges[contract_address(bridge)] = True


def fresh() -> Account:
    """The account of somebody whom no money has reached yet."""
    return Account(balance=0, escrow=0, debt=0, limit=default_limit.get())


def load(address: Address) -> Account:
    entry = accounts.get(address)
    if entry is None:
        return fresh()
    return entry


def booked(entry: Account, delta: int) -> Account:
    free = entry.balance - entry.debt + delta
    if free >= 0:
        return entry.replace(balance=free, debt=0)
    return entry.replace(balance=0, debt=-free)


def check_funds(required: int, available: int) -> None:
    if required > available:
        revert("INSUFFICIENT_FUNDS", {"required": required, "available": available})


def use_reference(reference: str) -> None:
    require(0 < len(reference) <= MAX_REFERENCE, "BAD_REFERENCE")
    require(reference not in references, "REFERENCE_USED")
    references[reference] = True


@export
def deposit(account: Address, amount: int, reference: str) -> None:
    require(ctx.sender == treasury.get(), "NOT_ALLOWED")
    require(0 < amount <= MAX_AMOUNT, "BAD_AMOUNT")
    use_reference(reference)
    accounts[account] = booked(load(account), amount)
    supply = supply_cell.get()
    supply_cell.set(supply.replace(minted=supply.minted + amount))
    emit(Deposited, account=account, amount=amount, reference=reference)


@export
def withdraw(account: Address, amount: int, reference: str) -> None:
    require(ctx.sender == treasury.get(), "NOT_ALLOWED")
    require(0 < amount <= MAX_AMOUNT, "BAD_AMOUNT")
    use_reference(reference)
    entry = load(account)
    check_funds(amount, entry.balance)
    accounts[account] = entry.replace(balance=entry.balance - amount)
    supply = supply_cell.get()
    supply_cell.set(supply.replace(burned=supply.burned + amount))
    emit(Withdrawn, account=account, amount=amount, reference=reference)


@export
def transfer(receiver: Address, amount: int) -> None:
    require(0 < amount <= MAX_AMOUNT, "BAD_AMOUNT")
    require(receiver != ctx.sender, "BAD_RECEIVER")
    entry = load(ctx.sender)
    check_funds(amount, entry.balance)
    accounts[ctx.sender] = entry.replace(balance=entry.balance - amount)
    accounts[receiver] = booked(load(receiver), amount)
    emit(Transferred, sender=ctx.sender, receiver=receiver, amount=amount)


@export
def set_debt_limit(account: Address, limit: int) -> None:
    require(ctx.sender == grid_company.get(), "NOT_ALLOWED")
    require(0 <= limit <= MAX_AMOUNT, "BAD_AMOUNT")
    accounts[account] = load(account).replace(limit=limit)
    emit(DebtLimitSet, account=account, limit=limit)


@export
def lock(account: Address, amount: int) -> None:
    """Move `amount` from the free balance into escrow. Refused at the debt limit, whatever the amount."""
    require(ctx.sender in markets, "NOT_ALLOWED")
    require(0 <= amount <= MAX_AMOUNT, "BAD_AMOUNT")
    entry = accounts.get(account)
    if entry is None:
        entry = fresh()
    debt = entry.debt
    require(debt == 0 or debt < entry.limit, "DEBT_LIMIT", {"debt": debt, "limit": entry.limit})
    balance = entry.balance
    require(balance >= amount, "INSUFFICIENT_FUNDS", {"required": amount, "available": balance})
    if amount > 0:
        accounts[account] = Account(
            balance=balance - amount, escrow=entry.escrow + amount, debt=debt, limit=entry.limit,
        )


@export
def settle(moves: list) -> None:
    """Book `[account, release, delta]` in order: `release` leaves escrow, then `delta` is booked. Deltas sum to zero."""
    require(ctx.sender in markets, "NOT_ALLOWED")
    total = 0
    for move in moves:
        account = move[0]
        release = move[1]
        entry = load(account)
        require(0 <= release <= entry.escrow, "ESCROW_MISSING")
        total += move[2]
        accounts[account] = booked(entry.replace(escrow=entry.escrow - release), release + move[2])
    require(total == 0, "NOT_ZERO_SUM")


# Between regions


@export
def depart(rows: list) -> list:
    """Of each `[account, amount, bond]` take the amount out of this chain and lock the bond; for each whether it could:
    free money for both, and debt below the limit, as for any order."""
    require(ctx.sender in bridges, "NOT_ALLOWED")
    taken = []
    total = 0
    for row in rows:
        account = row[0]
        amount: u256 = row[1]
        bond: u256 = row[2]
        entry = load(account)
        able = entry.balance >= amount + bond and (entry.debt == 0 or entry.debt < entry.limit)
        if able:
            accounts[account] = entry.replace(balance=entry.balance - amount - bond, escrow=entry.escrow + bond)
            total += amount
            if amount > 0:
                emit(Departed, account=account, amount=amount)
        taken.append(able)
    left_cell.set(left_cell.get() + total)
    return taken


@export
def arrive(account: Address, amount: u256) -> None:
    """Money comes in for an account; debt is paid first."""
    require(ctx.sender in bridges, "NOT_ALLOWED")
    accounts[account] = booked(load(account), amount)
    arrived_cell.set(arrived_cell.get() + amount)
    emit(Arrived, account=account, amount=amount)


@view
def circulating() -> u256:
    """All money on this chain: balances + escrows - debts."""
    cell = supply_cell.get()
    return cell.minted + arrived_cell.get() - cell.burned - left_cell.get()


@view
def account(address: Address) -> dict:
    entry = load(address)
    return {"balance": entry.balance, "escrow": entry.escrow, "debt": entry.debt, "limit": entry.limit}


@view
def page(after: bytes, limit: int) -> list:
    """Accounts by address: `[address, balance, escrow, debt]`, those above `after` (empty: from the first)."""
    rows = []
    start = None
    if len(after) > 0:
        start = after
    for item in accounts.items((), after=start, limit=min(limit, MAX_PAGE)):
        entry = item[1]
        rows.append([item[0], entry.balance, entry.escrow, entry.debt])
    return rows


@view
def supply() -> dict:
    cell = supply_cell.get()
    return {"minted": cell.minted, "burned": cell.burned, "left": left_cell.get(), "arrived": arrived_cell.get()}
