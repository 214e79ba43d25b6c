"""Bilateral contracts: two members sign one order, so many Wh a slot at one price over a period (spec 1.1).

The seller or the buyer proposes, the other side accepts: both under their own signatures, both with cover for the whole
period in escrow from the acceptance on. At the opening of each slot of the period the contract is entered: what the grid
grants goes to `metering`, and from then on it is fixed. Metering takes it off both readings before any market sees them, so
in every market it is delivered first, never twice, and what the seller lacks it buys from the grid. After delivery, when the
slot's readings are in, the energy is paid in full as agreed and the slot's cover returns.

Slots that are not entered can be cancelled by both together, or by the energy bureau with a reason when a party is suspended.
A proposal expires when its first slot opens or at its own deadline, whichever is first.
"""

ONE = 1_000_000
MAX_PERIOD = 672
MAX_PROFILE = 96
MAX_LIVE = 8
MAX_TEXT = 64
MAX_PAGE = 256
GAS_STEP = 5_000_000

PROPOSED = 1
ACTIVE = 2
ENDED = 3
WITHDRAWN = 4
REFUSED = 5
EXPIRED = 6
CANCELLED = 7
STATES = ("", "proposed", "active", "ended", "withdrawn", "refused", "expired", "cancelled")

ENTERED = 1
PAID = 2

Rules = record(
    "Rules", slot_ms=u64, slot0_ms=u64, first_slot=u64, last_slot=u64, open_ms=u64, grace_ms=u64, late_ms=u64,
    margin_ppm=u64, retail=u64, max_price=u64,
)
Contract = record(
    "Contract", seller=Address, buyer=Address, seller_account=Address, buyer_account=Address, first_slot=u64,
    last_slot=u64, profile=list[u64], price=u64, proposer=Address, expires_ms=u64, status=u64, next_slot=u64,
    cancelling=list[Address], reason=str,
)
Deal = record("Deal", wh=u64, agreed_wh=u64, status=u64)

rules_cell = Var(Rules)
bureau = Var(Address)
next_number = Var(u64, default=0)
contracts = Map(u64, Contract)
by_meter = Map((Address, u64), bool)
live = Map(Address, u64, default=0)
deals = Map((u64, u64), Deal)

Proposed = event(
    "Proposed", indexed=("contract", "seller", "buyer"), contract=u64, seller=Address, buyer=Address, first_slot=u64,
    last_slot=u64, profile=list[u64], price=u64, proposer=Address, expires_ms=u64,
)
Closed = event(
    "Closed", indexed=("contract",), contract=u64, status=str, by=Address, reason=str, seller_released=u256,
    buyer_released=u256,
)
Accepted = event(
    "Accepted", indexed=("contract", "seller", "buyer"), contract=u64, seller=Address, buyer=Address, seller_cover=u256,
    buyer_cover=u256,
)
Entered = event(
    "Entered", indexed=("contract", "slot"), contract=u64, slot=u64, seller=Address, buyer=Address, wh=u64, agreed_wh=u64,
)
BilateralSettled = event(
    "BilateralSettled", indexed=("contract", "slot", "seller", "buyer"), contract=u64, slot=u64, seller=Address,
    buyer=Address, wh=u64, price=u64, paid=u256,
)


@init
def setup(energy_bureau: Address, calendar: list[u64], prices: list[u64]) -> None:
    """`calendar`: slot_ms, slot0_ms, first and last slot, then in slots: open before delivery, grace and late after it.
    `prices`: retail, highest price, margin of rated power (ppm)."""
    slot_ms = calendar[0]
    bureau.set(energy_bureau)
    rules_cell.set(
        Rules(
            slot_ms=slot_ms, slot0_ms=calendar[1], first_slot=calendar[2], last_slot=calendar[3],
            open_ms=calendar[4] * slot_ms, grace_ms=calendar[5] * slot_ms, late_ms=calendar[6] * slot_ms,
            retail=prices[0], max_price=prices[1], margin_ppm=prices[2],
        )
    )


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def start_of(rules: Rules, slot: int) -> int:
    return rules.slot0_ms + slot * rules.slot_ms


def agreed_wh(contract: Contract, slot: int) -> int:
    """The profile is repeated over the period."""
    return contract.profile[(slot - contract.first_slot) % len(contract.profile)]


def covers(rules: Rules, contract: Contract, first: int) -> list:
    """[seller's, buyer's] cover of the slots from `first` on: what the seller buys at retail beyond the price if it delivers
    nothing, and the price."""
    sums = [0, 0]
    for slot in range(first, contract.last_slot + 1):
        found = cover_of(rules, contract, agreed_wh(contract, slot))
        sums[0] = sums[0] + found[0]
        sums[1] = sums[1] + found[1]
    return sums


def cover_of(rules: Rules, contract: Contract, wh: int) -> list:
    return [amount(max(0, rules.retail - contract.price), wh), amount(contract.price, wh)]


# Two signatures


def member_at(meter: Address) -> dict:
    account = view_call("registry", "owner_of", meter)
    require(account is not None, "UNKNOWN_METER")
    found = view_call("registry", "member", account)
    require(found["status"] == "approved", "SUSPENDED")
    return found


def check_power(rules: Rules, member: dict, wh: int, delivers: bool) -> None:
    """An agreement within what the connection can carry; who delivers has something to deliver from."""
    cap = member["rated_w"] * rules.slot_ms * (ONE + rules.margin_ppm) // (3_600_000 * ONE) + 1
    require(wh <= cap, "ABOVE_RATING", {"wh": wh, "most": cap})
    if delivers:
        require(len([device for device in member["devices"] if device != "load"]) > 0, "NO_SOURCE")


@export
def propose(
    seller: Address, buyer: Address, first_slot: u64, last_slot: u64, profile: list[u64], price: u64, expires_ms: u64
) -> u64:
    """One party proposes an order between two meters of different owners: `profile` Wh a slot, repeated from the first slot
    on, at one price. Returns its number; nothing is locked until the other side accepts."""
    rules = rules_cell.get()
    require(rules.first_slot <= first_slot <= last_slot <= rules.last_slot, "BAD_PERIOD")
    require(last_slot - first_slot < MAX_PERIOD, "BAD_PERIOD", {"most": MAX_PERIOD})
    opens = start_of(rules, first_slot) - rules.open_ms
    require(ctx.market_time_ms < opens, "SLOT_BEGUN")
    require(ctx.market_time_ms < expires_ms, "BAD_EXPIRY")
    require(0 < len(profile) <= MAX_PROFILE and max(profile) > 0, "BAD_WH")
    require(price <= rules.max_price, "BAD_PRICE")
    gives = member_at(seller)
    takes = member_at(buyer)
    require(gives["owner"] != takes["owner"], "SELF_TRADE")
    require(ctx.sender == gives["account"] or ctx.sender == takes["account"], "NOT_YOURS")
    check_power(rules, gives, max(profile), True)
    check_power(rules, takes, max(profile), False)
    count_live(ctx.sender, 1)
    number = next_number.get() + 1
    next_number.set(number)
    found = Contract(
        seller=seller, buyer=buyer, seller_account=gives["account"], buyer_account=takes["account"],
        first_slot=first_slot, last_slot=last_slot, profile=profile, price=price, proposer=ctx.sender,
        expires_ms=min(expires_ms, opens), status=PROPOSED, next_slot=first_slot, cancelling=[], reason="",
    )
    contracts[number] = found
    by_meter[(seller, number)] = True
    by_meter[(buyer, number)] = True
    emit(
        Proposed, contract=number, seller=seller, buyer=buyer, first_slot=first_slot, last_slot=last_slot, profile=profile,
        price=price, proposer=ctx.sender, expires_ms=found.expires_ms,
    )
    schedule(found.expires_ms, "expire", number, gas=GAS_STEP)
    return number


def count_live(account: Address, change: int) -> None:
    """Contracts that an account proposed and that are not over; each costs the chain work in every slot."""
    count = live[account] + change
    require(change < 0 or count <= MAX_LIVE, "TOO_MANY_CONTRACTS", {"most": MAX_LIVE})
    live[account] = count


def known(number: int) -> Contract:
    found = contracts.get(number)
    if found is None:
        revert("NO_CONTRACT")
    return found


def party(found: Contract) -> None:
    require(ctx.sender == found.seller_account or ctx.sender == found.buyer_account, "NOT_YOURS")


@export
def accept(number: u64) -> None:
    """The side that did not propose signs; both sides' cover for the whole period goes into escrow, or nothing happens."""
    rules = rules_cell.get()
    found = known(number)
    party(found)
    require(ctx.sender != found.proposer, "NEEDS_OTHER_PARTY")
    require(found.status == PROPOSED, "NOT_OPEN", {"status": STATES[found.status]})
    require(ctx.market_time_ms < found.expires_ms, "NOT_OPEN", {"status": "expired"})
    member_at(found.seller)
    member_at(found.buyer)
    cover = covers(rules, found, found.first_slot)
    call("token", "lock", found.seller_account, cover[0])
    call("token", "lock", found.buyer_account, cover[1])
    contracts[number] = found.replace(status=ACTIVE)
    emit(
        Accepted, contract=number, seller=found.seller, buyer=found.buyer, seller_cover=cover[0], buyer_cover=cover[1],
    )
    schedule(start_of(rules, found.first_slot) - rules.open_ms, "enter", number, gas=GAS_STEP)


@export
def withdraw(number: u64) -> None:
    """The proposer takes a proposal back, or the other side refuses it."""
    found = known(number)
    party(found)
    require(found.status == PROPOSED, "NOT_OPEN", {"status": STATES[found.status]})
    status = REFUSED
    if ctx.sender == found.proposer:
        status = WITHDRAWN
    close(number, found, status, "")


@export(scheduled=True)
def expire(due: int, number: u64) -> None:
    found = contracts[number]
    if found.status == PROPOSED:
        close(number, found, EXPIRED, "")


@export
def cancel(number: u64) -> bool:
    """End the contract for the slots that are not entered, when both sides have said so. Whether it is cancelled now."""
    found = known(number)
    party(found)
    require(found.status == ACTIVE, "NOT_ACTIVE", {"status": STATES[found.status]})
    require(ctx.sender not in found.cancelling, "SAID_ALREADY")
    found = found.replace(cancelling=found.cancelling + [ctx.sender])
    contracts[number] = found
    if len(found.cancelling) < 2:
        return False
    close(number, found, CANCELLED, "")
    return True


@export
def dissolve(number: u64, reason: str) -> None:
    """The energy bureau ends a contract of which a party is suspended, for the slots that are not entered."""
    require(ctx.sender == bureau.get(), "NOT_ALLOWED")
    found = known(number)
    require(found.status == ACTIVE, "NOT_ACTIVE", {"status": STATES[found.status]})
    require(0 < len(reason) <= MAX_TEXT, "BAD_TEXT")
    statuses = [view_call("registry", "member", name)["status"] for name in (found.seller_account, found.buyer_account)]
    require("suspended" in statuses, "NOT_SUSPENDED")
    close(number, found, CANCELLED, reason)


def close(number: int, found: Contract, status: int, reason: str) -> None:
    """The contract is over; cover of the slots that were not entered returns."""
    released = [0, 0]
    if found.status == ACTIVE:
        released = covers(rules_cell.get(), found, found.next_slot)
        call(
            "token", "settle", [[found.seller_account, released[0], 0], [found.buyer_account, released[1], 0]],
        )
    contracts[number] = found.replace(status=status, reason=reason)
    count_live(found.proposer, -1)
    emit(
        Closed, contract=number, status=STATES[status], by=ctx.sender, reason=reason, seller_released=released[0],
        buyer_released=released[1],
    )


# Slots


@export(scheduled=True)
def enter(due: int, number: u64) -> None:
    """The window of a slot opens: its energy is routed and fixed, and the next slot's entry is scheduled."""
    rules = rules_cell.get()
    found = contracts[number]
    if found.status != ACTIVE:
        return
    slot = found.next_slot
    wh = agreed_wh(found, slot)
    granted = wh
    if wh > 0:
        buses = [
            view_call("registry", "member", name)["connection"] for name in (found.seller_account, found.buyer_account)
        ]
        trade = [number, found.seller, found.buyer, wh, buses[0], buses[1]]
        answer = call("routing", "queue_trades", slot, [trade], on_fail="return")
        granted = granted_of(answer, wh)
        deals[(slot, number)] = Deal(wh=granted, agreed_wh=wh, status=ENTERED)
        call("metering", "agree", slot, found.seller, found.buyer, granted)
        cover = cover_of(rules, found, wh)
        kept = cover_of(rules, found, granted)
        back = [[found.seller_account, cover[0] - kept[0], 0], [found.buyer_account, cover[1] - kept[1], 0]]
        call("token", "settle", back)
        emit(
            Entered, contract=number, slot=slot, seller=found.seller, buyer=found.buyer, wh=granted, agreed_wh=wh,
        )
        end = start_of(rules, slot) + rules.slot_ms
        schedule(end + rules.grace_ms, "settle", number, slot, False, gas=GAS_STEP)
    if slot == found.last_slot:
        close(number, found.replace(next_slot=slot + 1), ENDED, "")
    else:
        contracts[number] = found.replace(next_slot=slot + 1)
        schedule(due + rules.slot_ms, "enter", number, gas=GAS_STEP)


def granted_of(answer, wh: int) -> int:
    """What the grid takes of `wh`. A connection that the posted grid does not know cannot be reached: nothing."""
    if answer[0] == False:
        return 0
    return answer[1][0][0]


@export(scheduled=True)
def settle(due: int, number: u64, slot: u64, final: bool) -> None:
    """Pay a slot when its readings are in, at the latest when the late slots have passed; as agreed, whatever was delivered:
    the seller's meter has bought from the grid what it lacked."""
    rules = rules_cell.get()
    if not final and not view_call("metering", "complete", slot):
        late = start_of(rules, slot) + rules.slot_ms + rules.late_ms
        schedule(late, "settle", number, slot, True, gas=GAS_STEP)
        return
    found = contracts[number]
    deal = deals[(slot, number)]
    cover = cover_of(rules, found, deal.wh)
    paid = amount(found.price, deal.wh)
    call("token", "settle", [[found.buyer_account, cover[1], -paid], [found.seller_account, cover[0], paid]])
    deals[(slot, number)] = deal.replace(status=PAID)
    emit(
        BilateralSettled, contract=number, slot=slot, seller=found.seller, buyer=found.buyer, wh=deal.wh,
        price=found.price, paid=paid,
    )


# Views


@view
def contract(number: u64) -> dict | None:
    """What was agreed; status: proposed active ended withdrawn refused expired cancelled. Slots before `next_slot` are
    entered and fixed."""
    found = contracts.get(number)
    if found is None:
        return None
    return {
        "contract": number, "seller": found.seller, "buyer": found.buyer, "first_slot": found.first_slot,
        "last_slot": found.last_slot, "profile": found.profile, "price": found.price, "proposer": found.proposer,
        "expires_ms": found.expires_ms, "status": STATES[found.status], "next_slot": found.next_slot,
        "cancelling": found.cancelling, "reason": found.reason,
    }


@view
def contracts_of(meter: Address, after: u64, limit: u64) -> list:
    """Numbers of a meter's contracts above `after`, ascending, those that are over too."""
    return [key[1] for key in by_meter.keys((meter,), after=(meter, after), limit=min(limit, MAX_PAGE))]


@view
def trades_of(slot: u64) -> list:
    """The contracts that are entered in a slot: {contract, seller, buyer, wh, agreed_wh, price, settled}."""
    rows = []
    after = None
    more = True
    while more:
        page = deals.items((slot,), after=after, limit=MAX_PAGE)
        for item in page:
            found = contracts[item[0][1]]
            rows.append(
                {
                    "contract": item[0][1], "seller": found.seller, "buyer": found.buyer, "wh": item[1].wh,
                    "agreed_wh": item[1].agreed_wh, "price": found.price, "settled": item[1].status == PAID,
                }
            )
            after = item[0]
        more = len(page) == MAX_PAGE
    return rows


@view
def cover(number: u64) -> list:
    """[seller's, buyer's] escrow for the slots that are not entered."""
    found = known(number)
    if found.status != ACTIVE:
        return [0, 0]
    return covers(rules_cell.get(), found, found.next_slot)
