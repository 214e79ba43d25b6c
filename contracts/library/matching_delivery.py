# Delivery: what the devices of both sides say about an order; applications; disputes


@export(scheduled=True)
def end_delivery(due: int, cycle: int) -> None:
    """Delivery is over: devices wait for this event to report."""
    emit(CycleDelivered, cycle=cycle, end_ms=due)


def known_order(number: int) -> Order:
    order = orders.get(number)
    if order is None:
        revert("NO_ORDER")
    return order


def side_in(order: Order, meter: Address) -> int:
    """The side of an order whose device sends: the provider's says what was sent, the user's what was received."""
    if meter == order.provider:
        return OFFER
    require(meter == order.user, "NOT_YOURS")
    return REQUEST


def check_caps(order: Order, sent: int, received: int) -> None:
    require(sent <= desks[order.provider].cap_wh and received <= desks[order.user].cap_wh, "BAD_WH")


@export
def progress(number: u64, wh: u64) -> None:
    """The cumulative Wh of an order so far, by the meter key of either side: never less than before, at most once a minute.
    Evidence only; the final report may not be below it."""
    order = known_order(number)
    key = (number, side_in(order, ctx.sender))
    rules = rules_cell.get()
    now = ctx.market_time_ms
    require(start_of(rules, order.cycle) <= now < end_of(rules, order.cycle), "NOT_DELIVERING")
    require(wh <= desks[ctx.sender].cap_wh, "BAD_WH")
    before = progresses.get(key)
    if before is not None:
        require(now - before.market_time_ms >= PROGRESS_MS, "TOO_SOON")
        require(wh >= before.wh, "NOT_MONOTONE")
    progresses[key] = Progress(wh=wh, market_time_ms=now)
    emit(Progressed, order=number, meter=ctx.sender, wh=wh)


@export
def report(number: u64, wh: u64) -> None:
    """The final reading of an order by the meter key of either side, once, after delivery. One that comes after the order
    was settled on an estimate corrects it; one that comes during a dispute is heard when it ends."""
    order = known_order(number)
    side = side_in(order, ctx.sender)
    rules = rules_cell.get()
    require(ctx.market_time_ms >= end_of(rules, order.cycle), "REPORT_EARLY")
    require(wh <= desks[ctx.sender].cap_wh and order.wh > 0, "BAD_WH")
    before = progresses.get((number, side))
    require(before is None or before.wh <= wh, "BELOW_PROGRESS")
    late = order.state != MADE
    open_side = order.sent == NO_READING
    name = "sent"
    if side == REQUEST:
        open_side = order.received == NO_READING
        name = "received"
    require(open_side, "REPORTED")
    require(order.state == MADE or order.estimated, "SETTLED")
    if side == OFFER:
        order = order.replace(sent=wh, reported_ms=ctx.market_time_ms)
    else:
        order = order.replace(received=wh, reported_ms=ctx.market_time_ms)
    orders[number] = order
    emit(Reported, order=number, meter=ctx.sender, side=name, wh=wh, late=late)
    if late and order.state != DISPUTED:
        rebook(rules, number, order, readings_of(order, NO_READING))


@export
def apply_settlement(number: u64) -> None:
    """The provider asks for its money when both devices have reported and the user had `apply_ms` to object."""
    order = known_order(number)
    require(ctx.sender == order.payee, "NOT_YOURS")
    require(order.state == MADE, "SETTLED")
    require(order.sent != NO_READING and order.received != NO_READING, "NOT_REPORTED")
    require(number not in claims, "DISPUTED")
    rules = rules_cell.get()
    require(ctx.market_time_ms >= order.reported_ms + rules.apply_ms, "TOO_SOON")
    moves = []
    settle_order(rules, number, order, (order.sent, order.received), False, moves)
    call("token", "settle", moves)


# Disputes: settlement pays what both readings agree on, the rest stays in escrow until it is ruled


@export
def dispute(number: u64, sent: u64, received: u64) -> None:
    """A party claims other readings than reported, after delivery and before settlement."""
    rules = rules_cell.get()
    require(rules.third_meter, "NO_DISPUTES")
    order = known_order(number)
    require(ctx.sender == order.payer or ctx.sender == order.payee, "NOT_YOURS")
    require(order.state == MADE and ctx.market_time_ms >= end_of(rules, order.cycle), "NOT_DISPUTABLE")
    require(number not in claims, "DISPUTED")
    check_caps(order, sent, received)
    claims[number] = Claim(
        by=ctx.sender, sent=sent, received=received, third_sent=NO_READING, third_received=NO_READING, evidence=[]
    )
    schedule(end_of(rules, order.cycle) + rules.rule_ms, "close_dispute", number, gas=GAS_STEP)
    emit(OrderDisputed, order=number, by=ctx.sender, sent=sent, received=received)


def open_claim(number: int) -> Claim:
    claim = claims.get(number)
    if claim is None:
        revert("NO_DISPUTE")
    require(orders[number].state == MADE or orders[number].state == DISPUTED, "SETTLED")
    return claim


@export
def evidence(number: u64, digest: bytes) -> None:
    """A party or an institution adds the digest of a document; at most 16."""
    claim = open_claim(number)
    order = orders[number]
    seats = houses.get()
    parties = [order.payer, order.payee, seats.grid, seats.notary]
    require(ctx.sender in parties, "NOT_ALLOWED")
    require(len(digest) == 32 and len(claim.evidence) < 16, "BAD_EVIDENCE")
    claims[number] = claim.replace(evidence=claim.evidence + [digest])
    emit(EvidenceAdded, order=number, by=ctx.sender, digest=digest)


@export
def third_reading(number: u64, sent: u64, received: u64) -> None:
    """The grid company's meter on both ends of a disputed order; it decides if the notary does not."""
    require(ctx.sender == houses.get().grid, "NOT_ALLOWED")
    claim = open_claim(number)
    require(claim.third_sent == NO_READING, "REPORTED")
    order = orders[number]
    check_caps(order, sent, received)
    claims[number] = claim.replace(third_sent=sent, third_received=received)
    emit(Reported, order=number, meter=ctx.sender, side="third", wh=received, late=False)


@export
def rule(number: u64, sent: u64, received: u64) -> None:
    """The notary decides on the readings; the settlement is run again on them and the difference booked."""
    require(ctx.sender == houses.get().notary, "NOT_ALLOWED")
    open_claim(number)
    order = orders[number]
    require(order.state == DISPUTED, "NOT_SETTLED")
    check_caps(order, sent, received)
    decide(number, order, sent, received, "notary")


@export(scheduled=True)
def close_dispute(due: int, number: int) -> None:
    """No ruling in time: the grid company's meter decides, else what was reported."""
    order = orders[number]
    if order.state == DISPUTED:
        claim = claims[number]
        if claim.third_sent == NO_READING:
            found = readings_of(order, order.used_sent)
            decide(number, order, found[0], found[1], "reports")
        else:
            decide(number, order, claim.third_sent, claim.third_received, "grid meter")
    elif order.state == MADE:
        schedule(due + rules_cell.get().slot_ms, "close_dispute", number, gas=GAS_STEP)


def decide(number: int, order: Order, sent: int, received: int, by: str) -> None:
    emit(OrderRuled, order=number, by=by, sent=sent, received=received)
    rebook(rules_cell.get(), number, order, (sent, received))
