"""Market A: the rules of the real-time and balancing floors as pure functions (section 2 of the market specification).

Prices are micro-currency per kWh, energy Wh, ratios ppm. Given the same numbers everyone gets the same result.
"""

ONE = 1_000_000


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def ratio(part: int, whole: int) -> int:
    """floor(part * ONE / whole); 0 of nothing."""
    if whole == 0:
        return 0
    return part * ONE // whole


@view
def producer_reputation(forecast: list[int], actual: list[int], efficiency: int, weight: int) -> int:
    """Rule 2.1: accuracy over the periods of yesterday, weighed against the efficiency of the turbine."""
    promised = sum(forecast)
    deviation = sum([abs(actual[hour] - forecast[hour]) for hour in range(len(forecast))])
    accuracy = 0
    if promised > 0:
        accuracy = max(0, promised - deviation) * ONE // promised
    elif deviation == 0:
        accuracy = ONE
    return (weight * accuracy + (ONE - weight) * efficiency) // ONE


@view
def balancing_prices(price: int, reputation: int, base: int, buy_slope: int, sell_slope: int) -> list:
    """Rule 2.2: [the producer buys at, the producer sells at] for a day-ahead price. More reputation, smaller spread."""
    penalty = ONE - min(ONE, reputation)
    buy_spread = base + buy_slope * penalty // ONE
    sell_spread = min(ONE, base + sell_slope * penalty // ONE)
    return [price * (ONE + buy_spread) // ONE, price * (ONE - sell_spread) // ONE]


@view
def prosumer_reputation(trades: int, periods: int, volume: int, reference: int, weight: int) -> int:
    """Rule 2.3: participation in the window, weighed against the share of the reference volume."""
    participation = ratio(min(trades, periods), periods)
    share = ratio(min(volume, reference), reference)
    return (weight * participation + (ONE - weight) * share) // ONE


@view
def rank_match(deviation: int, prosumers: list, price: int, retail: int) -> list:
    """Rule 2.4: prosumers [id, reputation, up Wh, down Wh, cost to charge, cost to discharge]. Returns [[id, Wh] in order
    of rank, Wh that is left for the balancing floor]."""
    left = abs(deviation)
    matches = []
    for prosumer in sorted(prosumers, key=lambda found: (-found[1], found[0])):
        offered = 0
        if deviation < 0 and prosumer[5] <= price:
            offered = prosumer[2]
        elif deviation > 0 and price + prosumer[4] <= retail:
            offered = prosumer[3]
        wh = min(left, offered)
        if wh > 0:
            matches.append([prosumer[0], wh])
            left -= wh
    return [matches, left]


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
