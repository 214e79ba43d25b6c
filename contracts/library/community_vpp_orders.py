# Quotations and bids


def trading_desk(rules: Rules, slot: int, gate_ms: int) -> Desk:
    """The sender's desk, if it may order in this slot: the window is open and the gate has not passed."""
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(desk.active, "SUSPENDED")
    left = start_of(rules, slot) - ctx.market_time_ms
    require(left <= rules.open_ms and rules.first_slot <= slot <= rules.last_slot, "WINDOW_CLOSED")
    require(left > gate_ms, "ORDER_LATE")
    return desk


def take_position(slot: int, meter: Address, side: int, limit: int, escrow: int) -> None:
    """One more order of a meter: it has one side in a slot and a bounded number of orders."""
    key = (slot, meter)
    position = positions.get(key)
    if position is None:
        position = Position(side=side, orders=0, escrow=0)
    require(position.side == side, "ONE_SIDE")
    require(position.orders < limit, "TOO_MANY_ORDERS")
    positions[key] = position.replace(orders=position.orders + 1, escrow=position.escrow + escrow)


def free_position(slot: int, meter: Address, escrow: int) -> None:
    key = (slot, meter)
    position = positions[key]
    positions[key] = position.replace(escrow=position.escrow - escrow)


def new_seq() -> int:
    seq = next_seq.get()
    next_seq.set(seq + 1)
    return seq


def quotation_cover(options: Options, price: int, wh: int) -> int:
    """Worst case of a seller: what retail costs above the ask, and the highest penalty on a contract at retail."""
    if wh == 0:
        return 0
    penalty = options.cap * amount(max(price, options.ssp), wh) // ONE
    return amount(max(0, options.ssp - price), wh) + penalty + options.fee


def bid_cover(options: Options, price: int, wh: int) -> int:
    if wh == 0:
        return 0
    return amount(price, wh) + options.fee


@export
def offer(slot: int, wh: int, price: int) -> int:
    """Offer energy of a slot at an ask price; the worst case is locked in escrow. Returns the seq of the quotation."""
    rules = rules_cell.get()
    desk = trading_desk(rules, slot, rules.close_ms)
    require(0 < wh <= desk.cap_wh, "BAD_WH")
    require(0 <= price <= rules.max_price, "BAD_PRICE")
    state = states[slot]
    require(state.quotations < MAX_QUOTATIONS, "BOOK_FULL")
    states[slot] = state.replace(quotations=state.quotations + 1)
    seq = new_seq()
    escrow = quotation_cover(tariffed(rules, slot).options, price, wh)
    take_position(slot, desk.meter, SELL, QUOTATIONS_EACH, escrow)
    quotations[(slot, seq)] = Quotation(
        meter=desk.meter, owner=desk.owner, wh=wh, left_wh=wh, price=price, time_ms=ctx.market_time_ms, valid=True,
        escrow=escrow,
    )
    call("token", "lock", desk.account, escrow)
    emit(QuotationOffered, slot=slot, seq=seq, meter=desk.meter, wh=wh, price=price, escrow=escrow)
    return seq


@export
def withdraw_offer(slot: int, seq: int) -> int:
    """Mark a quotation invalid, until bids close; its bids are rejected and all escrow returns. Returns how many bids."""
    rules = rules_cell.get()
    require(slot >= 0 and seq >= 0, "NO_QUOTATION")
    quotation = quotations.get((slot, seq))
    if quotation is None or not quotation.valid:
        revert("NO_QUOTATION")
    desk = desks.get(ctx.sender)
    if desk is None:
        revert("NOT_MEMBER")
    require(quotation.meter == desk.meter, "NOT_YOURS")
    require(start_of(rules, slot) - ctx.market_time_ms > rules.close_ms, "QUOTATION_CLOSED")
    quotations[(slot, seq)] = quotation.replace(valid=False, left_wh=0, escrow=0)
    free_position(slot, quotation.meter, quotation.escrow)
    moves = [[desk.account, quotation.escrow, 0]]
    rows = bids.items((slot, seq), limit=MAX_BIDS)
    for item in rows:
        bid = item[1]
        bids[item[0]] = bid.replace(status="rejected", escrow=0)
        free_position(slot, bid.meter, bid.escrow)
        moves.append([meters[bid.meter].account, bid.escrow, 0])
        emit(
            BidDecided, slot=slot, seq=item[0][2], meter=bid.meter, quotation=seq, status="rejected",
            left_wh=bid.wh, released=bid.escrow,
        )
    call("token", "settle", moves)
    emit(QuotationWithdrawn, slot=slot, seq=seq, meter=quotation.meter, rejected=len(rows))
    return len(rows)


def refusal_of(rules: Rules, desk: Desk, slot: int, number: int, wh: int, price: int) -> str:
    """Why a bid is refused by rule 3.1; "" if it is valid."""
    if number < 0:
        return "UNKNOWN_QUOTATION"
    if states[slot].bids >= MAX_BIDS:
        return "BOOK_FULL"
    if not 0 <= price <= rules.max_price:
        return "BAD_PRICE"
    quotation = quotations.get((slot, number))
    if quotation is None or not quotation.valid:
        return bid_refusal(None, 0, False, wh, price, True)
    if not rules.options.self_trade and quotation.owner == desk.owner:
        return "SELF_TRADE"
    taken = (slot, number, desk.meter) in bidders
    return bid_refusal(quotation.wh, quotation.price, taken, wh, price, rules.options.check_ask)


def admit_bid(rules: Rules, desk: Desk, slot: int, number: int, wh: int, price: int) -> int:
    state = states[slot]
    states[slot] = state.replace(bids=state.bids + 1)
    seq = new_seq()
    escrow = bid_cover(rules.options, price, wh)
    take_position(slot, desk.meter, BUY, BIDS_EACH, escrow)
    bidders[(slot, number, desk.meter)] = True
    bids[(slot, number, seq)] = Bid(
        meter=desk.meter, owner=desk.owner, wh=wh, left_wh=wh, price=price, status="created", escrow=escrow,
    )
    call("token", "lock", desk.account, escrow)
    emit(
        BidPlaced, slot=slot, seq=seq, meter=desk.meter, quotation=number, wh=wh, price=price, escrow=escrow,
    )
    return seq


@export
def submit_bid(slot: int, quotation: int, wh: int, price: int) -> int:
    """Bid in clear on a quotation (published mode). Returns its seq."""
    rules = rules_cell.get()
    require(not rules.sealed, "SEALED")
    desk = trading_desk(rules, slot, rules.t1_ms)
    reason = refusal_of(rules, desk, slot, quotation, wh, price)
    if reason != "":
        revert(reason)
    return admit_bid(rules, desk, slot, quotation, wh, price)


# Sealed bids: commit with a deposit, reveal after the commit phase has closed


@export
def commit_bid(slot: int, commitment: bytes) -> None:
    """Commit to a bid by SHA-256(quotation 8 | wh 8 | price 8 | nonce 32 | sender 32 | slot 8), big-endian."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = trading_desk(rules, slot, rules.close_ms)
    require(len(commitment) == 32, "BAD_COMMITMENT")
    key = (slot, ctx.sender, commitment)
    require(key not in commitments, "COMMITTED")
    require(len(commitments.keys((slot, ctx.sender), limit=BIDS_EACH)) < BIDS_EACH, "TOO_MANY_ORDERS")
    commitments[key] = rules.deposit
    call("token", "lock", desk.account, rules.deposit)
    emit(BidCommitted, slot=slot, meter=desk.meter, commitment=commitment, deposit=rules.deposit)


@export
def reveal_bid(slot: int, quotation: int, wh: int, price: int, nonce: bytes) -> int | None:
    """Open a commitment between the closing of bids and T1. Its deposit returns, also if the bid is refused by the rules:
    then it is rejected, with the reason in `BidRejected`. Returns the seq of a valid bid."""
    rules = rules_cell.get()
    require(rules.sealed, "NOT_SEALED")
    desk = trading_desk(rules, slot, rules.t1_ms)
    require(start_of(rules, slot) - ctx.market_time_ms <= rules.close_ms, "WINDOW_CLOSED")
    bounded = 0 <= quotation < 2**63 and 0 <= wh < 2**63 and 0 <= price < 2**63
    require(len(nonce) == 32 and bounded, "BAD_REVEAL")
    text = quotation.to_bytes(8, "big") + wh.to_bytes(8, "big") + price.to_bytes(8, "big")
    key = (slot, ctx.sender, sha256(text + nonce + ctx.sender + slot.to_bytes(8, "big")))
    require(key in commitments, "NO_COMMITMENT")
    deposit = commitments[key]
    del commitments[key]
    call("token", "settle", [[desk.account, deposit, 0]])
    reason = refusal_of(rules, desk, slot, quotation, wh, price)
    if reason != "":
        emit(
            BidRejected, slot=slot, meter=desk.meter, quotation=quotation, wh=wh, price=price, reason=reason,
        )
        return None
    return admit_bid(rules, desk, slot, quotation, wh, price)
