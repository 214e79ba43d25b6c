# Settlement of one slot


def settled_hour(terms: list, book: dict, taken: list, netted: list, metered: tuple) -> tuple:
    """({meter: lines}, Wh delivered and what is paid and owed for the rest of each match). `terms`: day-ahead price, feed,
    retail, whether delivery is measured. `book`: {meter: [sold Wh, bought Wh, None or [buys at, sells at]]}, prices for
    producers. `taken`: [producer, prosumer, Wh, whether surplus, price]; `netted`: [seller, buyer, Wh, price]. `metered`:
    {meter: generation}, {meter: use}, {meter: generation less use that was forecast}.

    What a match lacks is priced as balancing energy: who did not deliver makes the producer whole."""
    lines = {name: [0] * LINE for name in book.keys()}
    moved = {}
    done = []
    for row in netted:
        trade(lines, row[0], row[1], row[2], amount(row[3], row[2]))
    for row in taken:
        wh = row[2]
        if terms[3]:
            wh = min(wh, max(0, change_of(metered, row[1], row[3]) - moved.get(row[1], 0)))
            moved[row[1]] = moved.get(row[1], 0) + wh
        paid = amount(row[4], wh)
        bounds = book[row[0]][2]
        if row[3]:
            trade(lines, row[0], row[1], wh, paid)
            owed = amount(max(0, row[4] - bounds[1]), row[2] - wh)
        else:
            trade(lines, row[1], row[0], wh, paid)
            owed = amount(max(0, bounds[0] - row[4]), row[2] - wh)
        lines[row[0]][SHORTFALL] = lines[row[0]][SHORTFALL] + owed
        lines[row[1]][SHORTFALL] = lines[row[1]][SHORTFALL] - owed
        done.append([wh, paid, owed])
    for name in book.keys():
        close_line(terms, book[name], lines[name], metered[0][name], metered[1][name])
    return (lines, done)


def change_of(metered: tuple, name: Address, surplus: bool) -> int:
    """How far a meter moved from its forecast: up if producers lacked energy, down if they had too much."""
    change = metered[0][name] - metered[1][name] - metered[2].get(name, 0)
    if surplus:
        return max(0, -change)
    return max(0, change)


def trade(lines: dict, seller: Address, buyer: Address, wh: int, money: int) -> None:
    lines[seller][P2P_SOLD_WH] = lines[seller][P2P_SOLD_WH] + wh
    lines[buyer][P2P_BOUGHT_WH] = lines[buyer][P2P_BOUGHT_WH] + wh
    lines[seller][P2P_MONEY] = lines[seller][P2P_MONEY] + money
    lines[buyer][P2P_MONEY] = lines[buyer][P2P_MONEY] - money


def close_line(terms: list, entry: list, line: list, generation: int, use: int) -> None:
    """Day-ahead money, and what the meter shows beyond all trades: a producer's on the balancing floor, others' at retail
    and feed."""
    line[DA_SOLD_WH] = entry[0]
    line[DA_BOUGHT_WH] = entry[1]
    line[DA_MONEY] = amount(terms[0], entry[0]) - amount(terms[0], entry[1])
    moved = line[P2P_BOUGHT_WH] - line[P2P_SOLD_WH]
    if entry[2] is None:
        rest = generation - use + entry[1] + moved
        line[GRID_SELL_WH] = max(0, rest)
        line[GRID_BUY_WH] = max(0, -rest)
    else:
        rest = generation - entry[0] + moved
        line[BL_SOLD_WH] = max(0, rest)
        line[BL_BOUGHT_WH] = max(0, -rest)
        line[BL_MONEY] = amount(entry[2][1], line[BL_SOLD_WH]) - amount(entry[2][0], line[BL_BOUGHT_WH])
        line[GRID_BUY_WH] = use
    line[GRID_MONEY] = amount(terms[1], line[GRID_SELL_WH]) - amount(terms[2], line[GRID_BUY_WH])


def net_of(line: list) -> int:
    return line[DA_MONEY] + line[P2P_MONEY] + line[SHORTFALL] + line[BL_MONEY] + line[GRID_MONEY]
