# A whole day by the rules, and the day-ahead floor, as views: no storage, anyone can recompute


@view
def day(
    forecast: list[int], actual: list[int], prices: list, reputation: int, window: list[int], terms: list[int],
    prosumers: list,
) -> list:
    """Rules 2.2 to 2.5 for the hours of a day. `prices`: day-ahead, peer-to-peer and retail, a list each; `window`:
    periods and reference volume; `terms`: weight of participation, base spread, slopes of buying and selling, lowest
    reputation that is ranked from the second hour on; prosumers: [id, up Wh .., down Wh .., cost to charge, to discharge].
    Returns [hours [buys at, sells at, deviation, matches, rest], revenue, revenue without peer-to-peer,
    {id: what it pays the producer}, {id: reputation}]."""
    names = [prosumer[0] for prosumer in prosumers]
    trades = {name: 0 for name in names}
    volumes = {name: 0 for name in names}
    pays = {name: 0 for name in names}
    scores = {name: 0 for name in names}
    hours = []
    revenue = 0
    alone = 0
    for hour in range(len(forecast)):
        price = prices[1][hour]
        balancing = balancing_prices(prices[0][hour], reputation, terms[1], terms[2], terms[3])
        deviation = actual[hour] - forecast[hour]
        ranked = [
            [found[0], scores[found[0]], found[1][hour], found[2][hour], found[3], found[4]]
            for found in prosumers
            if hour == 0 or scores[found[0]] >= terms[4]
        ]
        found = rank_match(deviation, ranked, price, prices[2][hour])
        sold = amount(prices[0][hour], forecast[hour])
        revenue += sold + balanced(deviation, balancing, found[1])
        alone += sold + balanced(deviation, balancing, abs(deviation))
        for match in found[0]:
            money = amount(price, match[1])
            if deviation < 0:
                money = -money
            revenue += money
            pays[match[0]] = pays[match[0]] + money
            trades[match[0]] = trades[match[0]] + 1
            volumes[match[0]] = volumes[match[0]] + match[1]
        for name in names:
            scores[name] = prosumer_reputation(trades[name], window[0], volumes[name], window[1], terms[0])
        hours.append([balancing[0], balancing[1], deviation, found[0], found[1]])
    return [hours, revenue, alone, pays, scores]


def balanced(deviation: int, prices: list, wh: int) -> int:
    """What the producer gets for a surplus, or pays for a deficit, on the balancing floor."""
    if deviation < 0:
        return -amount(prices[0], wh)
    return amount(prices[1], wh)


# The day-ahead floor


@view
def clear(offers: list, bids: list, price: int | None, feed: int, retail: int) -> list:
    """Of [price, Wh] each: [price, Wh sold of each offer, Wh bought of each bid], at a posted price or at that of the book.
    At a posted price, or at feed, the grid takes what loads leave."""
    whole = price is not None
    if price is None:
        price = clearing_price(offers, bids, feed, retail)
        whole = price == feed
    done = cleared(offers, bids, price, whole)
    return [price, done[0], done[1]]


def clearing_price(offers: list, bids: list, feed: int, retail: int) -> int:
    """Pay-as-clear of [price, Wh] each: the lowest price, between feed and retail, at which no more is wanted above it than
    is offered up to it. The grid takes and gives without bound at these two."""
    asks = sorted([row for row in offers], key=lambda row: row[0])
    limits = sorted([row for row in bids], key=lambda row: row[0])
    marks = [feed, retail]
    for row in asks + limits:
        if feed < row[0] < retail:
            marks.append(row[0])
    marks = sorted(marks)
    low = 0
    high = len(marks) - 1
    while low < high:
        middle = (low + high) // 2
        price = marks[middle]
        offered = sum([row[1] for row in asks if row[0] <= price])
        wanted = sum([row[1] for row in limits if row[0] > price])
        if offered >= wanted:
            high = middle
        else:
            low = middle + 1
    return marks[low]


def cleared(offers: list, bids: list, price: int, whole: bool) -> tuple:
    """(Wh sold of each offer, Wh bought of each bid) at a price: the better price first, then the earlier. `whole`: the
    grid takes what loads leave."""
    sold = [0] * len(offers)
    bought = [0] * len(bids)
    supply = sum([row[1] for row in offers if row[0] <= price])
    left = supply
    for at in sorted(list(range(len(bids))), key=lambda at: (-bids[at][0], at)):
        if bids[at][0] >= price:
            bought[at] = min(left, bids[at][1])
            left -= bought[at]
    if whole:
        left = 0
    out = supply - left
    for at in sorted(list(range(len(offers))), key=lambda at: (offers[at][0], at)):
        if offers[at][0] <= price:
            sold[at] = min(out, offers[at][1])
            out -= sold[at]
    return (sold, bought)
