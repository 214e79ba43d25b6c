# Orders


@export
def submit_order(slot: int, side: str, wh: int, price: int, requote: str) -> int:
    """Place an order for a slot; its worst case is locked in escrow. Returns its seq."""
    rules = rules_cell.get()
    require(not rules.sealed, "SEALED")
    desk = desks.get(ctx.sender)
    require(desk is not None, "NOT_MEMBER")
    require(rules.first_slot <= slot <= rules.last_slot, "WINDOW_CLOSED")
    left = rules.slot0_ms + slot * rules.slot_ms - ctx.market_time_ms
    require(left <= rules.open_ms, "WINDOW_CLOSED")
    require(left > rules.t1_ms, "ORDER_LATE")
    return admit(rules, desk, slot, side, wh, price, requote)


def admit(rules: Rules, desk: Desk, slot: u64, side: str, wh: int, price: int, requote: str) -> int:
    require(desk.active, "SUSPENDED")
    require(0 < wh <= desk.cap_wh, "BAD_WH")
    require(0 <= price <= rules.max_price, "BAD_PRICE")
    reference = requote == "reference"
    require(reference or requote == "keep", "BAD_REQUOTE")
    moves = reference and rules.two_stages
    if slot >= rules.tariff_from:
        rules = tariffed(rules, slot)
    if side == "sell":
        queue = ASKS
        rank = price
        cover = max(0, rules.retail - (min(price, rules.feed) if moves else price))
    else:
        require(side == "buy", "BAD_SIDE")
        queue = BIDS
        rank = RANK_TOP - price
        cover = max(price, rules.retail) if moves else price
    meter = desk.meter
    position = positions.get((slot, meter))
    require(position is None or position.side == queue, "ONE_SIDE")
    seq = next_seq.get()
    next_seq.set(seq + 1)
    book[(slot, queue, rank, seq)] = Order(
        meter=meter, owner=desk.owner, wh=wh, left=wh, price=price, cover=cover, reference=reference, quote=NO_QUOTE,
    )
    escrow = cover * wh // 1000
    call("token", "lock", desk.account, escrow)
    emit(
        OrderAccepted, slot=slot, seq=seq, meter=meter, side=side, wh=wh, price=price, requote=requote,
        escrow=escrow,
    )
    if position is None:
        positions[(slot, meter)] = Position(side=queue, account=desk.account, wh=0, money=0, escrow=0)
    return seq


def own_order(slot: int, side: str, price: int, seq: int, desk: Desk | None) -> tuple:
    """Key and order of the sender in the stage 1 book."""
    if desk is None:
        revert("NOT_MEMBER")
    require(slot >= 0 and seq >= 0 and 0 <= price <= RANK_TOP, "NO_ORDER")
    if side == "sell":
        key = (slot, ASKS, price, seq)
    elif side == "buy":
        key = (slot, BIDS, RANK_TOP - price, seq)
    else:
        revert("BAD_SIDE")
    order = book.get(key)
    if order is None:
        revert("NO_ORDER")
    require(order.meter == desk.meter, "NOT_YOURS")
    return (key, order)


@export
def withdraw_order(slot: int, side: str, price: int, seq: int) -> int:
    """Take an order out of the book before T1. Returns the escrow released. Where orders are sealed this costs their
    deposit, as not to reveal them does: others' orders may be read by now, and looking must not be free."""
    rules = rules_cell.get()
    require(start_of(rules, slot) - ctx.market_time_ms > rules.t1_ms, "ORDER_LATE")
    desk = desks.get(ctx.sender)
    found = own_order(slot, side, price, seq, desk)
    order = found[1]
    del book[found[0]]
    released = amount(order.cover, order.wh)
    call("token", "settle", [[desk.account, released, 0]])
    lost = rules.deposit if rules.sealed else 0
    if lost > 0:
        call("token", "lock", desk.account, lost)
        call("token", "settle", [[desk.account, lost, -lost], [community_account.get(), 0, lost]])
    emit(OrderWithdrawn, slot=slot, seq=seq, meter=order.meter, wh=order.wh, released=released, deposit=lost)
    return released


@export
def requote_order(slot: int, side: str, price: int, seq: int, new_price: int) -> None:
    """Give an order left over from stage 1 its price for stage 2: once, between T1 and T2, with cover at that price."""
    rules = rules_cell.get()
    require(not rules.sealed, "SEALED")
    before_stage_two(rules, slot)
    apply_quote(rules, desks.get(ctx.sender), slot, side, price, seq, new_price)


def before_stage_two(rules: Rules, slot: int) -> int:
    """How long delivery is away, ms, if stage 2 of `slot` is still to come."""
    state = states.get(slot)
    if state is None or state.phase != BETWEEN:
        revert("NO_STAGE_TWO")
    left = start_of(rules, slot) - ctx.market_time_ms
    require(left > rules.t2_ms, "ORDER_LATE")
    return left


def apply_quote(rules: Rules, desk: Desk | None, slot: int, side: str, price: int, seq: int, new_price: int) -> None:
    require(0 <= new_price <= rules.max_price, "BAD_PRICE")
    found = own_order(slot, side, price, seq, desk)
    order = found[1]
    require(desk.active, "SUSPENDED")
    require(not order.reference and order.quote == NO_QUOTE, "REQUOTED")
    if side == "sell":
        cover = max(order.cover, tariffed(rules, slot).retail - new_price)
    else:
        cover = max(order.cover, new_price)
    extra = amount(cover, order.wh) - amount(order.cover, order.wh)
    book[found[0]] = order.replace(quote=new_price, cover=cover)
    call("token", "lock", desk.account, extra)
    emit(OrderRequoted, slot=slot, seq=seq, meter=order.meter, price=new_price, escrow=extra)


# Sealed orders: commit with a deposit, reveal after the commit phase has closed


@export
def commit_order(slot: int, commitment: bytes) -> None:
    """Commit to an order by SHA-256(side 1 | wh 8 | price 8 | requote 1 | nonce 32 | sender 32 | slot 8), big-endian."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(desk.active, "SUSPENDED")
    require(len(commitment) == 32, "BAD_COMMITMENT")
    left = start_of(rules, slot) - ctx.market_time_ms
    require(left <= rules.open_ms and rules.first_slot <= slot <= rules.last_slot, "WINDOW_CLOSED")
    require(left > rules.reveal_ms, "ORDER_LATE")
    keep_commitment(rules, desk, slot, commitment)


def keep_commitment(rules: Rules, desk: Desk, slot: int, commitment: bytes) -> None:
    key = (slot, ctx.sender, commitment)
    require(key not in commitments, "COMMITTED")
    commitments[key] = rules.deposit
    call("token", "lock", desk.account, rules.deposit)
    emit(OrderCommitted, slot=slot, meter=desk.meter, commitment=commitment, deposit=rules.deposit)


def open_commitment(desk: Desk, slot: int, text: bytes) -> None:
    """The sender showed what it committed to; its deposit returns."""
    key = (slot, ctx.sender, sha256(text))
    require(key in commitments, "NO_COMMITMENT")
    call("token", "settle", [[desk.account, commitments[key], 0]])
    del commitments[key]


@export
def reveal_order(slot: int, side: str, wh: int, price: int, requote: str, nonce: bytes) -> int:
    """Open a commitment between the reveal gate and T1; its deposit returns and the order is placed. Returns its seq."""
    rules = rules_cell.get()
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    left = start_of(rules, slot) - ctx.market_time_ms
    require(left <= rules.reveal_ms, "WINDOW_CLOSED")
    require(left > rules.t1_ms, "ORDER_LATE")
    require(len(nonce) == 32 and 0 < wh <= desk.cap_wh and 0 <= price <= rules.max_price, "BAD_REVEAL")
    flags = 0
    if side == "buy":
        flags = 1
    again = 0
    if requote == "reference":
        again = 1
    text = flags.to_bytes(1, "big") + wh.to_bytes(8, "big") + price.to_bytes(8, "big") + again.to_bytes(1, "big")
    open_commitment(desk, slot, text + nonce + ctx.sender + slot.to_bytes(8, "big"))
    return admit(rules, desk, slot, side, wh, price, requote)


@export
def commit_requote(slot: int, commitment: bytes) -> None:
    """Commit to a price for stage 2 by SHA-256(seq 8 | new price 8 | nonce 32 | sender 32 | slot 8), big-endian, in the
    first half of the time between T1 and T2."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(desk.active, "SUSPENDED")
    require(len(commitment) == 32, "BAD_COMMITMENT")
    require(before_stage_two(rules, slot) > rules.requote_ms, "ORDER_LATE")
    keep_commitment(rules, desk, slot, commitment)


@export
def reveal_requote(slot: int, side: str, price: int, seq: int, new_price: int, nonce: bytes) -> None:
    """Open a commitment to a price for stage 2 in the second half; its deposit returns, the order has that price."""
    rules = rules_cell.get()
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(before_stage_two(rules, slot) <= rules.requote_ms, "WINDOW_CLOSED")
    require(len(nonce) == 32 and 0 <= seq < 2**64 and 0 <= new_price <= rules.max_price, "BAD_REVEAL")
    text = seq.to_bytes(8, "big") + new_price.to_bytes(8, "big") + nonce + ctx.sender + slot.to_bytes(8, "big")
    open_commitment(desk, slot, text)
    apply_quote(rules, desk, slot, side, price, seq, new_price)
