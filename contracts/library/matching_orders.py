# Requests and offers: one a meter and cycle, plain or sealed


def cover_price(rules: Rules, side: int, price: int) -> int:
    """What a kWh may cost at worst: a user its limit, a provider what it buys dearer from the grid if it fails."""
    if side == REQUEST:
        return price
    return max(0, rules.retail - price)


def side_of(side: str) -> int:
    if side == "request":
        return REQUEST
    require(side == "offer", "BAD_SIDE")
    return OFFER


@export
def offer(cycle: u64, wh: u64, price: u64) -> None:
    """Offer up to `wh` at `price` per kWh."""
    place_plain(cycle, OFFER, wh, price)


@export
def request(cycle: u64, wh: u64, limit: u64) -> None:
    """Ask for `wh`, whole, from a provider whose price is not above `limit`."""
    place_plain(cycle, REQUEST, wh, limit)


def place_plain(cycle: int, side: int, wh: int, price: int) -> None:
    rules = rules_cell.get()
    require(not rules.sealed, "SEALED")
    check_window(rules, cycle)
    place(rules, desk_of(ctx.sender), cycle, side, wh, price)


def check_window(rules: Rules, cycle: int) -> None:
    left = start_of(rules, cycle) - ctx.market_time_ms
    require(left <= rules.open_ms and rules.first <= cycle <= rules.last and cycle in cycles, "WINDOW_CLOSED")
    require(left > rules.gate_ms, "ORDER_LATE")


def place(rules: Rules, desk: Desk, cycle: int, side: int, wh: int, price: int) -> None:
    require(desk.active, "SUSPENDED")
    rules = tariffed(rules, cycle)
    require(0 < wh <= desk.cap_wh, "BAD_WH")
    require(price <= rules.ceiling, "BAD_PRICE")
    meter = desk.meter
    require((cycle, OFFER, meter) not in entries and (cycle, REQUEST, meter) not in entries, "PLACED")
    require(view_call("routing", "knows", cycle, desk.bus), "UNKNOWN_BUS")
    state = cycles[cycle]
    if side == OFFER:
        require(state.offers < MAX_PROVIDERS, "CYCLE_FULL")
        cycles[cycle] = state.replace(offers=state.offers + 1)
        name = "offer"
    else:
        require(state.requests < MAX_USERS, "CYCLE_FULL")
        cycles[cycle] = state.replace(requests=state.requests + 1)
        name = "request"
    escrow = tokens_of(amount(cover_price(rules, side, price), wh), state.rate)
    entries[(cycle, side, meter)] = Entry(
        account=desk.account, owner=desk.owner, bus=desk.bus, wh=wh, price=price, escrow=escrow
    )
    call("token", "lock", desk.account, escrow)
    emit(Placed, cycle=cycle, meter=meter, side=name, wh=wh, price=price, escrow=escrow)


@export
def withdraw(cycle: u64, side: str) -> u256:
    """Take back one's own request or offer before the gate. Returns the escrow released."""
    rules = rules_cell.get()
    check_window(rules, cycle)
    desk = desk_of(ctx.sender)
    key = (cycle, side_of(side), desk.meter)
    entry = entries.get(key)
    if entry is None:
        revert("NO_ENTRY")
    del entries[key]
    state = cycles[cycle]
    if key[1] == OFFER:
        cycles[cycle] = state.replace(offers=state.offers - 1)
    else:
        cycles[cycle] = state.replace(requests=state.requests - 1)
    call("token", "settle", [[desk.account, entry.escrow, 0]])
    emit(Withdrawn, cycle=cycle, meter=desk.meter, side=side, released=entry.escrow)
    return entry.escrow


@export
def commit(cycle: u64, commitment: bytes) -> None:
    """Commit to SHA-256(side 1 (0 offer, 1 request) | wh 8 | price 8 | nonce 32 | sender 32 | cycle 8), big-endian; one a
    meter and cycle, before the reveal gate. Locks the deposit."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    check_window(rules, cycle)
    require(start_of(rules, cycle) - ctx.market_time_ms > rules.reveal_ms, "ORDER_LATE")
    desk = desk_of(ctx.sender)
    require(desk.active, "SUSPENDED")
    require(len(commitment) == 32, "BAD_COMMITMENT")
    require((cycle, desk.meter) not in commitments, "COMMITTED")
    commitments[(cycle, desk.meter)] = commitment
    call("token", "lock", desk.account, rules.deposit)
    emit(Committed, cycle=cycle, meter=desk.meter, commitment=commitment, deposit=rules.deposit)


@export
def reveal(cycle: u64, side: str, wh: u64, price: u64, nonce: bytes) -> None:
    """Open one's commitment between the reveal gate and the gate: the deposit returns, the request or offer is placed."""
    rules = rules_cell.get()
    desk = desk_of(ctx.sender)
    require(start_of(rules, cycle) - ctx.market_time_ms <= rules.reveal_ms, "WINDOW_CLOSED")
    check_window(rules, cycle)
    known = commitments.get((cycle, desk.meter))
    if known is None:
        revert("NO_COMMITMENT")
    at = side_of(side)
    require(len(nonce) == 32, "BAD_REVEAL")
    text = at.to_bytes(1, "big") + wh.to_bytes(8, "big") + price.to_bytes(8, "big")
    require(known == sha256(text + nonce + ctx.sender + cycle.to_bytes(8, "big")), "BAD_REVEAL")
    del commitments[(cycle, desk.meter)]
    call("token", "settle", [[desk.account, rules.deposit, 0]])
    place(rules, desk, cycle, at, wh, price)
