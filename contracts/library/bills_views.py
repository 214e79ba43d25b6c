# Trades of a period, and their path queue


@view
def market() -> str:
    """The market whose trades and settlements these are."""
    return market_cell.get()


@view
def period_trades(slot: u64) -> list:
    """All trades of a slot between members, bilateral contracts behind the market's: see the top of the source."""
    return trades_in(slot, None)


@view
def trade(slot: u64, number: u64) -> dict | None:
    for row in trades_in(slot, None):
        if row["trade"] == number:
            return row
    return None


@view
def path_queue(slot: u64) -> list:
    """The path queue L of a slot's trades on the grid that holds then: {seq, seller, buyer, wh, granted, weight, path}, in the
    order of L. Where the market routes itself (market D) it is what `routing` keeps; else it is computed here, and what is not
    granted is said, not taken away. Without a grid every path is direct."""
    if market_cell.get() == "matching":
        return view_call("routing", "queue", slot, 0, 512)
    rows = []
    buses = {}
    for row in trades_in(slot, None):
        for name in (row["seller"], row["buyer"]):
            if name not in buses:
                buses[name] = member_of(name)["connection"]
        rows.append([row["trade"], row["seller"], row["buyer"], row["wh"], buses[row["seller"]], buses[row["buyer"]]])
    return view_call("routing", "route", slot, rows)


@view
def provider(meter: Address, slot: u64) -> dict | None:
    """Who stands behind a meter as a seller of a slot: what it can deliver from, rated power, promised, paid and delivered Wh,
    money asked for it, its trades, and the terms of its reputation as the market keeps them."""
    if view_call("registry", "owner_of", meter) is None:
        return None
    member = member_of(meter)
    rows = [row for row in trades_in(slot, None) if row["seller"] == meter]
    return {
        "meter": meter, "account": member["account"], "status": member["status"], "reason": member["reason"],
        "source": view_call("registry", "sources_of", meter), "rated_w": member["rated_w"],
        "connection": member["connection"], "region": member["region"], "trades": [row["trade"] for row in rows],
        "promised_wh": sum([row["wh"] for row in rows]), "paid_wh": sum([row["paid_wh"] for row in rows]),
        "delivered_wh": sum([row["delivered_wh"] for row in rows]),
        "asked": sum([amount(row["price"], row["wh"]) for row in rows]), "reputation": reputation_of(meter, slot),
    }


def reputation_of(meter: Address, slot: int) -> dict:
    """Market A: producers and prosumers have different terms; market C keeps none, its scores come from the trades."""
    market = market_cell.get()
    if market == "community_vpp":
        return view_call(market, "performance_of", meter)
    if market == "matching":
        return view_call(market, "performance", meter)
    if market == "wind":
        found = view_call(market, "provider", meter)
        if found is not None:
            return found
        return view_call(market, "performance", meter, view_call(market, "slot", slot)["day"])
    return {}


def member_of(meter: Address) -> dict:
    return view_call("registry", "member", view_call("registry", "owner_of", meter))


# Bills


def line(slot: int, kind: str, other: Address | None, wh: int, price: int, money: int) -> dict:
    """`other`: the meter at the other side, None for grid and community. `amount`: what the member gets (+) or pays (-)."""
    return {
        "slot": slot, "kind": kind, "counterparty": other, "wh": wh, "price": price, "amount": money, "source": "",
        "estimated": False, "late": False, "corrected": 0, "published_price": False,
    }


def unit_price(money: int, wh: int) -> int:
    """The price of a line that has only its amount: exact where the amount was not rounded."""
    if wh == 0:
        return 0
    return abs(money) * 1000 // wh


def trade_lines(slot: int, meter: Address, rows: list) -> list:
    """Lines of trades by their price and what is paid of them. `surplus` is what a buyer pays beyond the price."""
    shown = []
    for row in rows:
        wh = row["paid_wh"]
        money = amount(row["price"], wh)
        if row["seller"] == meter:
            shown.append(line(slot, row["kind"] + "_sold", row["buyer"], wh, row["price"], money))
        if row["buyer"] == meter:
            paid = money + row["surplus"]
            price = row["price"]
            if row["surplus"] > 0:
                price = unit_price(paid, wh)
            shown.append(line(slot, row["kind"] + "_bought", row["seller"], wh, price, -paid))
    return shown


def grid_lines(slot: int, entry: dict) -> list:
    cost = entry["grid_cost"]
    income = entry["grid_income"]
    bought = line(slot, "grid_bought", None, entry["grid_buy_wh"], unit_price(cost, entry["grid_buy_wh"]), -cost)
    sold = line(slot, "grid_sold", None, entry["grid_sell_wh"], unit_price(income, entry["grid_sell_wh"]), income)
    return [bought, sold]


def community_lines(slot: int, entry: dict) -> list:
    return [
        line(slot, "subsidy", None, 0, 0, entry["subsidy"]),
        line(slot, "penalty", None, 0, 0, -entry["penalty"]),
        line(slot, "fees", None, 0, 0, -entry["fees"]),
    ]


def wind_lines(slot: int, entry: dict) -> list:
    """Day-ahead floor, balancing floor, grid and shortfalls of market A; its matches have lines of their own."""
    price = view_call("wind", "slot", slot)["da_price"]
    first = line(slot, "day_ahead_sold", None, entry["da_sold_wh"], price, amount(price, entry["da_sold_wh"]))
    second = line(slot, "day_ahead_bought", None, entry["da_bought_wh"], price, -amount(price, entry["da_bought_wh"]))
    first["published_price"] = entry["flagged"]
    second["published_price"] = entry["flagged"]
    shown = [first, second, line(slot, "shortfall", None, 0, 0, entry["shortfall"])]
    for name in ("bl", "grid"):
        sold = entry[name + "_sold_wh"] if name == "bl" else entry["grid_sell_wh"]
        bought = entry[name + "_bought_wh"] if name == "bl" else entry["grid_buy_wh"]
        money = entry[name + "_money"]
        kind = "balancing" if name == "bl" else "grid"
        if sold > 0:
            shown.append(line(slot, kind + "_sold", None, sold, unit_price(money, sold), money))
        else:
            shown.append(line(slot, kind + "_bought", None, bought, unit_price(money, bought), money))
    return shown


def order_lines(slot: int, meter: Address, rows: list) -> list:
    """Lines of a member's electronic orders in market D: what the user paid, the grid fee and the reward of the provider."""
    shown = []
    for row in rows:
        order = view_call("matching", "order", row["trade"])
        money = order["paid"] + order["fee_paid"]
        if row["buyer"] == meter:
            shown.append(line(slot, "trade_bought", row["seller"], order["settled_received"], row["price"], -money))
        else:
            shown.append(line(slot, "trade_sold", row["buyer"], order["settled_sent"], row["price"], money))
            shown.append(line(slot, "grid_fee", None, 0, 0, -order["fee_paid"]))
            shown.append(line(slot, "reward", None, 0, 0, order["reward_paid"]))
    return shown


def lines_in(slot: int, meter: Address, rows: list, entry: dict) -> list:
    """The market's lines of a settled meter, which add up to its net; those of nothing are left out."""
    market = market_cell.get()
    mine = [row for row in rows if row["kind"] != "bilateral" and meter in (row["seller"], row["buyer"])]
    if market == "matching":
        shown = order_lines(slot, meter, mine) + grid_lines(slot, entry)
    elif market == "wind":
        shown = trade_lines(slot, meter, mine) + wind_lines(slot, entry)
    elif market == "community_vpp":
        shown = trade_lines(slot, meter, mine) + community_lines(slot, entry) + grid_lines(slot, entry)
    else:
        shown = trade_lines(slot, meter, mine) + grid_lines(slot, entry)
    total = sum([row["amount"] for row in shown])
    require(total == entry["net"], "BILL_MISMATCH", {"lines": total, "booked": entry["net"]})
    for row in shown:
        row["estimated"] = entry["estimated"]
        row["corrected"] = entry["revision"]
    return [row for row in shown if row["wh"] != 0 or row["amount"] != 0]


def elsewhere_lines(slot: int, meter: Address) -> list:
    """What was bought from and sold to other regions. What a fill has paid is the sum over the global chain's trades, so the
    price is the mean; a seller's is after the global chain's fee. `counterparty`: the contract that carries it."""
    bridge = bridge_cell.get()
    if bridge == "":
        return []
    shown = []
    for row in view_call(bridge, "trades_of", slot, meter):
        money = row["money"]
        kind = "elsewhere_sold" if row["side"] == "sell" else "elsewhere_bought"
        paid = money if row["side"] == "sell" else -money
        shown.append(line(slot, kind, contract_address(bridge), row["filled_wh"], unit_price(money, row["filled_wh"]), paid))
    return shown


def source_of(row: dict, meter: Address, sources: dict) -> str:
    """Device types of who delivered (`resale` if it has none that generate); what the grid delivered is `grid`."""
    seller = meter
    if row["kind"].endswith("_bought"):
        if row["counterparty"] is None:
            return "grid"
        seller = row["counterparty"]
    elif not row["kind"].endswith("_sold"):
        return ""
    if seller not in sources:
        sources[seller] = view_call("registry", "sources_of", seller)
        if sources[seller] == "load":
            sources[seller] = "resale"
    return sources[seller]


@view
def bill_lines(slot: u64, meter: Address) -> list:
    """The lines of a meter in a slot: {slot, kind, counterparty, wh, price, amount, source, estimated, late (the reading came
    after the grace time), corrected (revision, 0 none), published_price}; empty until it is settled. Kinds: trade, pool,
    netting, bilateral, elsewhere (other regions), day_ahead, balancing, departure and grid, each `_sold` or `_bought`; subsidy, penalty, fees,
    shortfall, grid_fee, reward."""
    return bill_of(slot, meter, {})[0]


def bill_of(slot: int, meter: Address, sources: dict) -> tuple:
    """(lines, use, generation, None or the settlement entry) of a slot; the reading is the one it was settled on."""
    rows = trades_in(slot, meter)
    deals = [row for row in rows if row["kind"] == "bilateral" and row["settled"]]
    shown = trade_lines(slot, meter, deals) + elsewhere_lines(slot, meter)
    entry = entry_of(slot, meter)
    generation = 0
    use = 0
    read = view_call("metering", "reading", slot, meter)
    if entry is not None:
        shown = lines_in(slot, meter, rows, entry) + shown
        agreed = view_call("metering", "agreed_of", slot, meter)
        net = entry["generation_wh"] - entry["use_wh"] + agreed[0] - agreed[1]
        generation = max(0, net)
        use = max(0, -net)
    left = view_call("vehicles", "departure", slot, meter)
    if left is not None and left[1] > 0:
        row = line(slot, "departure_bought", None, left[0], unit_price(left[1], left[0]), -left[1])
        row["estimated"] = left[2]
        shown.append(row)
    for row in shown:
        row["late"] = read is not None and read["late"]
        row["source"] = source_of(row, meter, sources)
    return (shown, use, generation, entry)


@view
def bill(meter: Address, first_slot: u64, last_slot: u64) -> dict:
    """The bill of a meter over at most `MAX_SLOTS` slots: its lines, their sum (`amount`), how many slots are settled,
    estimated, corrected; what the same readings would have cost with the grid alone (`grid_only`) and the `gain` against it;
    `self_sufficiency_ppm`: the part of its use that did not come from the grid, `self_consumption_ppm`: the part of its
    generation that did not go there (None without any)."""
    require(first_slot <= last_slot and last_slot - first_slot < MAX_SLOTS, "BAD_PERIOD", {"most": MAX_SLOTS})
    sources = {}
    lines = []
    counts = [0, 0, 0]
    sums = [0] * 5
    for slot in range(first_slot, last_slot + 1):
        found = bill_of(slot, meter, sources)
        lines += found[0]
        entry = found[3]
        if entry is not None:
            counts[0] = counts[0] + 1
            counts[1] = counts[1] + int(entry["estimated"])
            counts[2] = counts[2] + int(entry["revision"] > 0)
            from_grid = 0
            to_grid = 0
            for row in found[0]:
                if row["counterparty"] is None and row["kind"].endswith("_bought"):
                    from_grid += row["wh"]
                if row["counterparty"] is None and row["kind"].endswith("_sold"):
                    to_grid += row["wh"]
            figures = (
                found[1], found[2], min(found[1], from_grid), min(found[2], to_grid),
                grid_only(slot, found[1], found[2]),
            )
            for at in range(5):
                sums[at] = sums[at] + figures[at]
    total = sum([row["amount"] for row in lines])
    return {
        "meter": meter, "first_slot": first_slot, "last_slot": last_slot, "lines": lines, "amount": total,
        "settled": counts[0], "estimated": counts[1], "corrected": counts[2], "use_wh": sums[0],
        "generation_wh": sums[1], "grid_only": sums[4], "gain": total - sums[4],
        "self_sufficiency_ppm": part_of(sums[0] - sums[2], sums[0]),
        "self_consumption_ppm": part_of(sums[1] - sums[3], sums[1]),
    }


def prices_in(slot: int) -> list:
    """[feed, retail] of a slot."""
    return view_call("tariffs", "prices", slot)


def grid_only(slot: int, use: int, generation: int) -> int:
    """What a slot would have cost without neighbours; in market D in tokens, as all its money."""
    prices = prices_in(slot)
    rate = ONE
    if market_cell.get() == "matching":
        rate = view_call("matching", "cycle", slot)["rate"]
    return amount(prices[0], generation) * rate // ONE - amount(prices[1], use) * rate // ONE


def part_of(part: int, whole: int) -> int | None:
    if whole == 0:
        return None
    return part * ONE // whole
