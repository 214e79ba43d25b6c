"""Trades and bills in one form for all markets: what was promised, what was delivered, every line of a household's bill.

Views only, over what the chain's market, `metering`, `bilateral`, `registry` and `routing` say; nothing is stored here. The
lines of a slot add up to what the chain has booked for the meter in that slot, and the bill refuses to show lines that do
not (`BILL_MISMATCH`). A corrected slot is shown as it is booked now; its lines say so.

A trade is {trade, kind, seller, buyer, wh, price, surplus, paid_wh, delivered_wh, estimated, settled}. Its number is its
place in the market's slot (market D: the number of its order), beyond `NETTED` for those that no order made (pool of market
B, producers netted in market A), beyond `AGREED` the number of a bilateral contract. `surplus`: what the buyer pays beyond
the price. `paid_wh` is what the market pays for. `delivered_wh` is the part of it that the seller's own meter generated (in
market A: moved): the rest came from the grid, or from a neighbour whose trade says so. No Wh is delivered twice.
"""

ONE = 1_000_000
NETTED = 2**32
AGREED = 2**33
MAX_SLOTS = 96

market_cell = Var(str)
bridge_cell = Var(str, default="")


@init
def setup(market: str, bridge: str) -> None:
    """The market that settles the meters of this chain; the contract that trades with other regions, "" for none."""
    market_cell.set(market)
    if bridge != "":
        bridge_cell.set(bridge)


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def apportion(total: int, weights: list[int]) -> list:
    """Floor shares of `total` by weight; what is left over goes one each, in order, to shares below their weight."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    left = total - sum(shares)
    for at in range(len(shares)):
        if left > 0 and shares[at] < weights[at]:
            shares[at] = shares[at] + 1
            left -= 1
    return shares


def row_of(number: int, kind: str, seller: Address, buyer: Address, wh: int, price: int) -> dict:
    return {
        "trade": number, "kind": kind, "seller": seller, "buyer": buyer, "wh": wh, "price": price, "paid_wh": 0, "delivered_wh": 0,
        "estimated": False, "settled": False, "surplus": 0,
    }


# What a meter was settled on


def entry_of(slot: int, meter: Address) -> dict | None:
    """The valid settlement entry of a meter: the last correction, else the first; `revision` counts corrections."""
    market = market_cell.get()
    entry = view_call(market, "settlement", slot, meter)
    if entry is None:
        return None
    entry["revision"] = 0
    later = view_call(market, "corrections_of", slot, meter)
    if len(later) > 0:
        entry = later[len(later) - 1]
        entry["revision"] = len(later)
    return entry


def output_of(slot: int, meter: Address) -> int:
    """What a meter generated itself and had left when its bilateral contracts were delivered."""
    made = view_call("metering", "valid", slot, [meter])[0][1]
    return max(0, made - view_call("metering", "agreed_of", slot, meter)[0])


def entries_for(slot: int, meters: list) -> dict:
    return {meter: entry_of(slot, meter) for meter in sorted(set(meters))}


# Trades of a slot in each market


def trades_in(slot: int, about: Address | None) -> list:
    """All trades of a slot, with what was delivered of them as far as they are settled; with `about` at least those of that
    meter, for its bill, which goes by what is paid."""
    market = market_cell.get()
    if market == "matching":
        rows = matching_trades(slot, about)
    elif market == "wind":
        rows = wind_trades(slot)
    else:
        rows = []
        found = view_call(market, "trades_of", slot)
        for at in range(len(found)):
            trade = found[at]
            row = row_of(at, "trade", trade["seller"], trade["buyer"], trade["wh"], trade["price"])
            row["surplus"] = trade.get("surplus", 0)
            rows.append(row)
        if about is not None:
            names = set([row["seller"] for row in rows if about in (row["seller"], row["buyer"])])
            rows = [row for row in rows if row["seller"] in names]
        entries = entries_for(slot, [row["seller"] for row in rows])
        for seller in entries.keys():
            entry = entries[seller]
            if entry is not None:
                mine = [row for row in rows if row["seller"] == seller]
                share_out(mine, output_of(slot, seller), entry.get("delivered_wh"), entry["estimated"])
        if market == "community_vpp":
            rows += pool_trades(slot)
    return rows + agreed_trades(slot)


def share_out(mine: list, output: int, paid: int | None, estimated: bool) -> None:
    """What a seller delivered, and what it is paid for (None: all), falls to its trades in proportion, in their order."""
    volumes = [row["wh"] for row in mine]
    whole = sum(volumes)
    if paid is None:
        paid = whole
    payments = apportion(paid, volumes)
    shares = apportion(min(paid, output), payments)
    for at in range(len(mine)):
        mine[at]["paid_wh"] = payments[at]
        mine[at]["delivered_wh"] = shares[at]
        mine[at]["estimated"] = estimated
        mine[at]["settled"] = True


def pool_trades(slot: int) -> list:
    """The excess pool of market B: energy that is owed as it was first settled. Delivered is what the giver's own generation
    has beyond its trades; what it bought and passes on counts where it came from, and what it has no more is the grid's."""
    rows = []
    found = view_call("community_vpp", "pool_of", slot)
    left = {}
    for at in range(len(found["moves"])):
        move = found["moves"][at]
        giver = move["giver"]
        if giver not in left:
            entry = entry_of(slot, giver)
            left[giver] = [max(0, output_of(slot, giver) - entry["delivered_wh"]), entry["estimated"]]
        row = row_of(NETTED + at, "pool", giver, move["taker"], move["wh"], found["price"])
        row["paid_wh"] = move["wh"]
        row["delivered_wh"] = min(move["wh"], left[giver][0])
        left[giver][0] = left[giver][0] - row["delivered_wh"]
        row["estimated"] = left[giver][1]
        row["settled"] = True
        rows.append(row)
    return rows


def wind_trades(slot: int) -> list:
    """Matches of market A: the prosumer's delivery falls to its matches in their order. Netted producers owe in full."""
    rows = []
    moved = {}
    found = view_call("wind", "trades_of", slot)
    for at in range(len(found)):
        match = found[at]
        name = match["prosumer"]
        if match["surplus"]:
            row = row_of(at, "trade", match["producer"], name, match["wh"], match["price"])
        else:
            row = row_of(at, "trade", name, match["producer"], match["wh"], match["price"])
        if name not in moved:
            moved[name] = [0, False, False]
            entry = entry_of(slot, name)
            if entry is not None:
                moved[name] = [entry["p2p_sold_wh"] + entry["p2p_bought_wh"], entry["estimated"], True]
        row["delivered_wh"] = min(match["wh"], moved[name][0])
        row["paid_wh"] = row["delivered_wh"]
        moved[name][0] = moved[name][0] - row["delivered_wh"]
        row["estimated"] = moved[name][1]
        row["settled"] = moved[name][2]
        rows.append(row)
    netted = view_call("wind", "nettings_of", slot)
    for at in range(len(netted)):
        seller, buyer, wh, price = netted[at]
        row = row_of(NETTED + at, "netting", seller, buyer, wh, price)
        entry = entry_of(slot, seller)
        if entry is not None:
            row["paid_wh"] = wh
            row["delivered_wh"] = wh
            row["estimated"] = entry["estimated"]
            row["settled"] = True
        rows.append(row)
    return rows


def matching_trades(slot: int, about: Address | None) -> list:
    """Electronic orders of market D: delivered is what was sent and received, together at most what the provider's meter
    has generated."""
    rows = []
    found = view_call("matching", "cycle", slot)
    first = found.get("first_order", 0)
    numbers = range(first, first + found.get("orders", 0))
    if about is not None:
        last = first + len(numbers)
        numbers = [number for number in view_call("matching", "orders_of", about, first, 256) if number < last]
    for number in numbers:
        order = view_call("matching", "order", number)
        row = row_of(number, "trade", order["provider"], order["user"], order["wh"], order["price"])
        row["settled"] = order["state"] == "settled" or order["state"] == "expired"
        if row["settled"]:
            row["paid_wh"] = min(order["settled_sent"], order["settled_received"], order["wh"])
            row["delivered_wh"] = row["paid_wh"]
            row["estimated"] = order["estimated"]
        rows.append(row)
    for provider in sorted(set([row["seller"] for row in rows])):
        mine = [row for row in rows if row["seller"] == provider and row["settled"]]
        sent = [row["delivered_wh"] for row in mine]
        entry = entry_of(slot, provider)
        output = sum(sent)
        if entry is not None:
            output = min(output, output_of(slot, provider))
        shares = apportion(output, sent)
        for at in range(len(mine)):
            mine[at]["delivered_wh"] = shares[at]
            mine[at]["estimated"] = mine[at]["estimated"] or (entry is not None and entry["estimated"])
    return rows


def agreed_trades(slot: int) -> list:
    """Bilateral contracts of a slot: they are delivered before anything that the market traded."""
    rows = []
    for deal in view_call("bilateral", "trades_of", slot):
        row = row_of(AGREED + deal["contract"], "bilateral", deal["seller"], deal["buyer"], deal["wh"], deal["price"])
        row["settled"] = deal["settled"]
        rows.append(row)
    for seller in sorted(set([row["seller"] for row in rows])):
        mine = [row for row in rows if row["seller"] == seller and row["settled"]]
        found = view_call("metering", "valid", slot, [seller])[0]
        share_out(mine, found[1], None, found[0] != 2)
    return rows
