# The rules of the market as pure functions: the views are those of section 2 of the market specification; given the same
# numbers everyone gets the same result

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
    found = []
    for prosumer in sorted(prosumers, key=lambda row: (-row[1], row[0])):
        offered = 0
        if deviation < 0 and prosumer[5] <= price:
            offered = prosumer[2]
        elif deviation > 0 and price + prosumer[4] <= retail:
            offered = prosumer[3]
        wh = min(left, offered)
        if wh > 0:
            found.append([prosumer[0], wh])
            left -= wh
    return [found, left]
