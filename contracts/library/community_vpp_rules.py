# The rules of market B as pure functions: what they are given decides alone, so anyone can recompute a result


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def apportion(total: int, weights: list) -> list:
    """floor(total * w / sum w) each; left-over units go one each in list order to entries still below their weight."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    index = 0
    while left > 0 and index < len(parts):
        if parts[index] < weights[index]:
            parts[index] = parts[index] + 1
            left -= 1
        index += 1
    return parts


def discount_of(good: int) -> int:
    """Fee discount (ppm) of a count of good slots."""
    if good >= 20:
        return 600_000
    if good >= 10:
        return 400_000
    if good >= 5:
        return 200_000
    return 0


def bid_refusal(offered: int | None, ask: int, taken: bool, wh: int, price: int, check_ask: bool) -> str:
    """Why a bid on a quotation is refused; "" if it is valid. `offered`: None for an unknown or withdrawn quotation."""
    if offered is None:
        return "UNKNOWN_QUOTATION"
    if taken:
        return "BID_EXISTS"
    if not 1 <= wh <= offered:
        return "BAD_WH"
    if check_ask and price < ask:
        return "BELOW_ASK"
    return ""


def rank_of(tier: int, price: int, wh: int, seq: int, by_unit: bool) -> tuple:
    """Ascending rank of a bid: tier of good performance, then total amount (or unit price), then Wh, then seq."""
    if by_unit:
        return (-tier, -price, -wh, seq)
    return (-tier, -price * wh, -wh, seq)


def matched(quotes: list, bids: list, options: Options) -> list:
    """Both passes. Quotes by seq: [Wh left, ask, owner]; bids: [Wh left, price, owner, index of quote, rank]. What is left
    is changed in place. Returns trades in match order: [index of bid, index of quote, Wh]; each at the price of its bid."""
    order = [item[1] for item in sorted([(bids[index][4], index) for index in range(len(bids))])]
    of_quote = [[] for quote in quotes]
    for index in order:
        of_quote[bids[index][3]].append(index)
    trades = []
    for at in range(len(quotes)):
        for index in of_quote[at]:
            fill(quotes[at], bids[index], index, at, options, trades)
    open_quotes = [at for at in range(len(quotes)) if quotes[at][0] > 0]
    for index in order:
        bid = bids[index]
        if bid[0] > 0:
            for at in open_quotes:
                if bid[0] > 0 and quotes[at][1] <= bid[1]:
                    fill(quotes[at], bid, index, at, options, trades)
    return trades


def fill(quote: list, bid: list, index: int, at: int, options: Options, trades: list) -> None:
    wh = min(quote[0], bid[0])
    if wh == 0 or (not options.self_trade and quote[2] == bid[2]):
        return
    if options.fee_guard:
        gain = min(amount(bid[1] - options.sbp, wh), amount(options.ssp - bid[1], wh))
        if gain < options.fee:
            return
    quote[0] = quote[0] - wh
    bid[0] = bid[0] - wh
    trades.append([index, at, wh])


def status_of(wh: int, left: int) -> str:
    if left == 0:
        return "confirmed"
    if left < wh:
        return "reserved"
    return "rejected"


def delivered(trades: list, generation: dict, options: Options) -> list:
    """For each trade [bid, offer, prosumer, consumer, Wh, price]: [delivered Wh, paid, subsidy, whether it fell short]."""
    of_seller = {}
    for index in range(len(trades)):
        of_seller.setdefault(trades[index][2], []).append(index)
    rows = [[0, 0, 0, False] for trade in trades]
    for seller in of_seller.keys():
        places = of_seller[seller]
        volumes = [trades[index][4] for index in places]
        sold = sum(volumes)
        metered = generation[seller]
        parts = volumes
        if metered < sold:
            parts = apportion(metered, volumes)
        below = metered * ONE < sold * (ONE - options.band)
        subsidies = [0] * len(places)
        if below:
            for at in range(len(places)):
                missing = volumes[at] - parts[at]
                subsidies[at] = options.subsidy * amount(trades[places[at]][5], missing) // ONE
            value = sum([amount(trades[index][5], trades[index][4]) for index in places])
            cap = options.cap * value // ONE
            if sum(subsidies) > cap:
                subsidies = apportion(cap, subsidies)
        for at in range(len(places)):
            index = places[at]
            short = below and parts[at] < volumes[at]
            rows[index] = [parts[at], amount(trades[index][5], parts[at]), subsidies[at], short]
    return rows


def fees_of(trades: list, rows: list, good: dict, waive: dict, options: Options) -> list:
    """For each trade [fee of the consumer, fee of the prosumer]; `waive` is changed to what is held afterwards."""
    fees = []
    for index in range(len(trades)):
        consumer = trades[index][3]
        charged = options.fee * (ONE - discount_of(good.get(consumer, 0))) // ONE
        if rows[index][3]:
            charged = 0
            waive[consumer] = True
        elif waive.get(consumer, False):
            charged = 0
            waive[consumer] = False
        prosumer_fee = options.fee * (ONE - discount_of(good.get(trades[index][2], 0))) // ONE
        fees.append([charged, prosumer_fee])
    return fees


def performance(trades: list, generation: dict, use: dict, forecast: dict, options: Options) -> dict:
    """Of everyone with a trade: whether the slot was inside the band of good performance."""
    sold = {}
    bought = {}
    for trade in trades:
        sold[trade[2]] = sold.get(trade[2], 0) + trade[4]
        bought[trade[3]] = bought.get(trade[3], 0) + trade[4]
    inside = {}
    for seller in sold.keys():
        promised = forecast.get(seller, sold[seller])
        inside[seller] = abs(generation[seller] - promised) * ONE <= options.band * promised
    for buyer in bought.keys():
        kept = abs(use[buyer] - bought[buyer]) * ONE <= options.band * bought[buyer]
        inside[buyer] = kept and inside.get(buyer, True)
    return inside


def balances(trades: list, rows: list, generation: dict, use: dict) -> tuple:
    """What delivery leaves over, by id: ({prosumer or consumer: surplus Wh}, {consumer: shortage Wh})."""
    surplus = generation.copy()
    received = {}
    for index in range(len(trades)):
        wh = rows[index][0]
        surplus[trades[index][2]] = surplus[trades[index][2]] - wh
        received[trades[index][3]] = received.get(trades[index][3], 0) + wh
    shortage = {}
    for consumer in use.keys():
        rest = use[consumer] - received.get(consumer, 0)
        if rest > 0:
            shortage[consumer] = rest
        elif rest < 0:
            surplus[consumer] = surplus.get(consumer, 0) - rest
    return (surplus, shortage)


def pooled(surplus: dict, shortage: dict, good: dict) -> list:
    """Surpluses meet shortages before the grid, both by good slots descending, id ascending: [from, to, Wh]. Both
    dictionaries are changed to what is left for the grid."""
    givers = [item[1] for item in sorted([(-good.get(name, 0), name) for name in surplus.keys() if surplus[name] > 0])]
    takers = [item[1] for item in sorted([(-good.get(name, 0), name) for name in shortage.keys()])]
    moved = []
    at = 0
    for giver in givers:
        while surplus[giver] > 0 and at < len(takers):
            taker = takers[at]
            wh = min(surplus[giver], shortage[taker])
            if wh > 0:
                surplus[giver] = surplus[giver] - wh
                shortage[taker] = shortage[taker] - wh
                moved.append([giver, taker, wh])
            if shortage[taker] == 0:
                at += 1
    return moved


# What the rules make of given orders and readings


@view
def rules_match(offers: list, bids: list, terms: list, good: dict) -> list:
    """Admission and match: offers [id, prosumer, Wh, ask, seq], bids [id, consumer, offer, Wh, price, seq], both in any
    order. Returns [trades [offer, bid, prosumer, consumer, Wh, price], [bid, status] .., [offer, Wh left] ..]."""
    options = options_from(terms)
    offers = sorted(offers, key=lambda offer: offer[4])
    places = {}
    quotes = []
    for at in range(len(offers)):
        places[offers[at][0]] = at
        quotes.append([offers[at][2], offers[at][3], offers[at][1]])
    taken = {}
    valid = []
    rows = []
    statuses = []
    for bid in sorted(bids, key=lambda item: item[5]):
        at = places.get(bid[2])
        offered = None
        ask = 0
        if at is not None:
            offered = offers[at][2]
            ask = offers[at][3]
        key = (bid[1], bid[2])
        if bid_refusal(offered, ask, taken.get(key, False), bid[3], bid[4], options.check_ask) == "":
            taken[key] = True
            tier = 0
            if options.priority:
                tier = discount_of(good.get(bid[1], 0))
            valid.append(bid)
            rows.append([bid[3], bid[4], bid[1], at, rank_of(tier, bid[4], bid[3], bid[5], options.by_unit)])
        else:
            statuses.append([bid[0], "rejected"])
    trades = []
    for found in matched(quotes, rows, options):
        bid = valid[found[0]]
        offer = offers[found[1]]
        trades.append([offer[0], bid[0], offer[1], bid[1], found[2], bid[4]])
    for index in range(len(valid)):
        statuses.append([valid[index][0], status_of(valid[index][3], rows[index][0])])
    return [trades, statuses, [[offers[at][0], quotes[at][0]] for at in range(len(offers))]]


@view
def rules_settle(
    trades: list, generation: dict, use: dict, forecast: dict, good: dict, waive: dict, terms: list,
) -> list:
    """Settlement of a slot: trades [bid, offer, prosumer, consumer, Wh, price] in match order. Returns [trades [delivered,
    paid, subsidy, consumer fee, prosumer fee], {id: money}, grid, operator, {id: inside the band}, {id: waiver held}]."""
    options = options_from(terms)
    done = settled(trades, generation, use, forecast, good, waive, None, options)
    money = {name: net_of(done[1][name]) for name in sorted(done[1].keys())}
    grid = 0
    operator = 0
    for name in done[1].keys():
        line = done[1][name]
        grid += line[GRID_COST] - line[GRID_INCOME]
        operator += line[FEES]
    return [done[0], money, grid, operator, done[2], done[3]]


def settled(
    trades: list, generation: dict, use: dict, forecast: dict, good: dict, waive: dict, moved: list | None,
    options: Options,
) -> tuple:
    """All of rule 3.3 for a slot: (rows of trades, {id: line}, {id: inside the band}, {id: waiver}, pool). `moved`: what the
    pool has moved before, for a correction; None to let it decide."""
    rows = delivered(trades, generation, options)
    held = waive.copy()
    fees = fees_of(trades, rows, good, held, options)
    inside = performance(trades, generation, use, forecast, options)
    left = balances(trades, rows, generation, use)
    surplus = left[0]
    shortage = left[1]
    if moved is None:
        moved = []
        if options.pool:
            moved = pooled(surplus, shortage, good)
    else:
        repeat_pool(moved, surplus, shortage)
    lines = {}
    for name in generation.keys():
        lines[name] = [0] * LINE
    for name in use.keys():
        lines[name] = [0] * LINE
    shown = []
    for index in range(len(trades)):
        row = rows[index]
        fee = fees[index]
        seller = lines[trades[index][2]]
        buyer = lines[trades[index][3]]
        seller[OUT_WH] = seller[OUT_WH] + row[0]
        buyer[IN_WH] = buyer[IN_WH] + row[0]
        seller[RECEIVED] = seller[RECEIVED] + row[1]
        buyer[PAID] = buyer[PAID] + row[1]
        seller[PENALTY] = seller[PENALTY] + row[2]
        buyer[SUBSIDY] = buyer[SUBSIDY] + row[2]
        buyer[FEES] = buyer[FEES] + fee[0]
        seller[FEES] = seller[FEES] + fee[1]
        shown.append([row[0], row[1], row[2], fee[0], fee[1]])
    middle = (options.sbp + options.ssp) // 2
    for move in moved:
        money = amount(middle, move[2])
        giver = lines[move[0]]
        taker = lines[move[1]]
        giver[POOL_OUT_WH] = giver[POOL_OUT_WH] + move[2]
        taker[POOL_IN_WH] = taker[POOL_IN_WH] + move[2]
        giver[RECEIVED] = giver[RECEIVED] + money
        taker[PAID] = taker[PAID] + money
    for name in surplus.keys():
        lines[name][GRID_SELL_WH] = surplus[name]
        lines[name][GRID_INCOME] = amount(options.sbp, surplus[name])
    for name in shortage.keys():
        lines[name][GRID_BUY_WH] = shortage[name]
        lines[name][GRID_COST] = amount(options.ssp, shortage[name])
    return (shown, lines, inside, held, moved)


def repeat_pool(moved: list, surplus: dict, shortage: dict) -> None:
    """Pool energy is owed as it was first settled: who has less now buys it from the grid, who needs less sells it."""
    for move in moved:
        surplus[move[0]] = surplus[move[0]] - move[2]
        shortage[move[1]] = shortage.get(move[1], 0) - move[2]
    for name in surplus.keys():
        if surplus[name] < 0:
            shortage[name] = shortage.get(name, 0) - surplus[name]
            surplus[name] = 0
    for name in shortage.keys():
        if shortage[name] < 0:
            surplus[name] = surplus.get(name, 0) - shortage[name]
            shortage[name] = 0


def net_of(line: list) -> int:
    """What a member gets (or pays) for a slot."""
    return (
        line[RECEIVED] + line[SUBSIDY] + line[GRID_INCOME] - line[PAID] - line[PENALTY] - line[FEES] - line[GRID_COST]
    )
