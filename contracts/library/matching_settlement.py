# Settlement of a cycle: its orders, then every meter with the grid


@export(scheduled=True)
def settle_cycle(due: int, cycle: int, final: bool) -> None:
    """Begin if all meters of the slot have reported or this is the final call; else wait until the late slots passed."""
    state = cycles[cycle]
    if state.phase != MATCHED:
        return
    if not final and not view_call("metering", "complete", cycle):
        rules = rules_cell.get()
        schedule(end_of(rules, cycle) + rules.late_ms, "settle_cycle", cycle, True, gas=GAS_STEP)
        return
    cycles[cycle] = state.replace(phase=SETTLING)
    settle_some(due, cycle)


@export(scheduled=True)
def settle_batch(due: int, cycle: int) -> None:
    settle_some(due, cycle)


def settle_some(due: int, cycle: int) -> None:
    """Settle up to `ORDERS_PER_CALL` orders, or when all are, up to `METERS_PER_CALL` members with the grid."""
    rules = tariffed(rules_cell.get(), cycle)
    state = cycles[cycle]
    if state.phase == SETTLING:
        last = min(state.next_order + ORDERS_PER_CALL, state.first_order + state.orders)
        moves = []
        for number in range(state.next_order, last):
            order = orders[number]
            if order.state == MADE:
                settle_unasked(rules, number, order, moves)
        if len(moves) > 0:
            call("token", "settle", moves)
        state = state.replace(next_order=last)
        if last == state.first_order + state.orders:
            state = state.replace(phase=CLOSING)
            totals_of[cycle] = [0] * 13
        cycles[cycle] = state
        schedule(due, "settle_batch", cycle, gas=GAS_STEP)
    elif state.phase == CLOSING:
        settle_meters(rules, due, cycle, state)


def readings_of(order: Order, share: int) -> tuple | None:
    """(sent, received) Wh of an order: as reported; what one side left out is what the other said, but no more than agreed;
    what both left out is `share`, the provider's metered output, or nothing is known."""
    sent = order.sent
    received = order.received
    if sent == NO_READING and received == NO_READING:
        if share == NO_READING:
            return None
        return (share, share)
    if sent == NO_READING:
        sent = min(received, order.wh)
    elif received == NO_READING:
        received = min(sent, order.wh)
    return (sent, received)


def metered_share(order: Order) -> int:
    """The part of the provider's metered output that falls to an order, at most its Wh; `NO_READING` if not measured."""
    row = view_call("metering", "measured", order.cycle, [order.provider])[0]
    if row[0] != 2:
        return NO_READING
    owed = positions[(order.cycle, order.provider)].wh
    if row[1] >= owed:
        return order.wh
    return row[1] * order.wh // owed


def settle_unasked(rules: Rules, number: int, order: Order, moves: list) -> None:
    """Settle an order at its time, on what is known; one of which nothing is known expires and its escrow returns."""
    missing = order.sent == NO_READING or order.received == NO_READING
    found = (order.sent, order.received)
    if missing:
        share = NO_READING
        if order.sent == NO_READING and order.received == NO_READING and order.wh > 0:
            share = metered_share(order)
        found = readings_of(order, share)
    if order.wh > 0 and found is not None:
        settle_order(rules, number, order, found, missing, moves)
        return
    orders[number] = order.replace(state=EXPIRED, estimated=True)
    moves.append([order.payer, order.escrow, 0])
    moves.append([houses.get().community, order.reward, 0])
    emit(
        OrderSettled, order=number, cycle=order.cycle, user=order.user, provider=order.provider, sent=0, received=0,
        deduction=0, paid=0, grid_fee=0, refund=order.escrow, reward=0, held=0, state="expired", estimated=True,
    )


def plausible(rules: Rules, found: tuple) -> tuple:
    """Nobody receives more than was sent: where losses are checked, a larger reading is not believed."""
    if rules.checked:
        return (found[0], min(found))
    return found


def outcome(rules: Rules, order: Order, found: tuple) -> list:
    return settled(
        order.wh, order.price, found[0], found[1], order.loss, order.reward, order.rate, order.fee, rules.checked
    )


def settle_order(rules: Rules, number: int, order: Order, found: tuple, estimated: bool, moves: list) -> None:
    """Book an order on its readings. Of a disputed one only what both sides grant is paid; the rest is held in escrow."""
    seats = houses.get()
    found = plausible(rules, found)
    booked = outcome(rules, order, found)
    state = DONE
    name = "settled"
    held = 0
    reward = booked[1]
    claim = claims.get(number)
    if claim is not None:
        other = outcome(rules, order, plausible(rules, (claim.sent, claim.received)))
        held = abs(other[5] - booked[5])
        if other[5] > booked[5]:
            booked = other
        state = DISPUTED
        name = "disputed"
        reward = 0
    paid = booked[3]
    fee = booked[4]
    refund = booked[5] - held
    moves.append([order.payer, order.escrow - held, -paid - fee])
    moves.append([order.payee, 0, paid + reward])
    moves.append([seats.grid, 0, fee])
    if state == DONE:
        moves.append([seats.community, order.reward, -reward])
    orders[number] = order.replace(
        state=state, used_sent=found[0], used_received=found[1], estimated=estimated, paid=paid, fee_paid=fee,
        reward_paid=reward, held=held,
    )
    enter(rules, order, found, paid, fee, reward)
    emit(
        OrderSettled, order=number, cycle=order.cycle, user=order.user, provider=order.provider, sent=found[0],
        received=found[1], deduction=booked[2], paid=paid, grid_fee=fee, refund=refund, reward=reward, held=held,
        state=name, estimated=estimated,
    )


def enter(rules: Rules, order: Order, found: tuple, paid: int, fee: int, reward: int) -> None:
    """An order enters the positions of both meters; its v counts for the provider, unless both are of one owner. What is
    beyond what was sent explains no use of the user, whatever the mode: the grid delivered it."""
    actual = found[0]
    if rules.checked:
        actual = min(actual, found[1] + order.loss)
    value = trade_value(actual, order.wh, rules.v_cap, rules.weighted)
    if not rules.self_trade and desks[order.user].owner == desks[order.provider].owner:
        value = (0, 0)
    seller = positions[(order.cycle, order.provider)]
    positions[(order.cycle, order.provider)] = seller.replace(
        sent=seller.sent + found[0], receipts=seller.receipts + paid + fee, fees=seller.fees + fee,
        rewards=seller.rewards + reward, values=seller.values + value[0], weights=seller.weights + value[1],
    )
    buyer = positions[(order.cycle, order.user)]
    positions[(order.cycle, order.user)] = buyer.replace(
        received=buyer.received + min(found), payments=buyer.payments + paid + fee
    )


def rebook(rules: Rules, number: int, order: Order, found: tuple) -> None:
    """Run the settlement of a settled order again on other readings, book the difference, and correct both meters."""
    seats = houses.get()
    found = plausible(rules, found)
    booked = outcome(rules, order, found)
    released = 0
    if order.state == DISPUTED:
        released = order.reward
    paid = booked[3] - order.paid
    fee = booked[4] - order.fee_paid
    reward = booked[1] - order.reward_paid
    moves = [
        [order.payer, order.held, -paid - fee],
        [order.payee, 0, paid + reward],
        [seats.grid, 0, fee],
        [seats.community, released, -reward],
    ]
    call("token", "settle", moves)
    seller = positions[(order.cycle, order.provider)]
    positions[(order.cycle, order.provider)] = seller.replace(
        sent=seller.sent + found[0] - order.used_sent, receipts=seller.receipts + paid + fee, fees=seller.fees + fee,
        rewards=seller.rewards + reward,
    )
    buyer = positions[(order.cycle, order.user)]
    positions[(order.cycle, order.user)] = buyer.replace(
        received=buyer.received + min(found) - min(order.used_sent, order.used_received),
        payments=buyer.payments + paid + fee,
    )
    orders[number] = order.replace(
        state=DONE, estimated=order.sent == NO_READING or order.received == NO_READING, used_sent=found[0],
        used_received=found[1], paid=booked[3], fee_paid=booked[4], reward_paid=booked[1], held=0,
    )
    emit(
        OrderCorrected, order=number, cycle=order.cycle, sent=found[0], received=found[1], paid=booked[3],
        grid_fee=booked[4], reward=booked[1], paid_before=order.paid, fee_before=order.fee_paid,
        reward_before=order.reward_paid,
    )
    correct_for_order(rules, order.cycle, order.provider)
    correct_for_order(rules, order.cycle, order.user)
