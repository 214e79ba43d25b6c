"""Electric vehicles as storage (spec 1.1): reserve only while plugged in, and away with the declared charge.

A member with a device `ev` declares a plug-in window ahead: slots, charge on arrival, charge that it must leave with. Markets with
reserves ask `reserve` before they admit one. After the window the meter says what the vehicle left with; what is missing is priced
like balancing energy and paid to the grid company. Who says nothing until the late slots have passed is charged the whole
declared charge as an estimate, which its statement corrects later. Cover for that is locked with the declaration.
"""

MAX_CHARGE = 10**6
MAX_WINDOW = 96
GAS_STEP = 5_000_000

PLANNED = 1
ESTIMATED = 2
STATED = 3
STATES = ("", "planned", "estimated", "stated")

Rules = record("Rules", slot_ms=u64, slot0_ms=u64, late_ms=u64, price=u64)
Session = record(
    "Session", account=Address, last_slot=u64, charge=u64, leave=u64, left=u64, paid=u256, status=u64,
)

rules_cell = Var(Rules)
grid_account = Var(Address)
sessions = Map((Address, u64), Session)
departures = Map((u64, Address), u64)

PlugPlanned = event(
    "PlugPlanned", indexed=("meter",), meter=Address, first_slot=u64, last_slot=u64, charge=u64, leave=u64, cover=u256,
)
VehicleLeft = event(
    "VehicleLeft", indexed=("meter",), meter=Address, first_slot=u64, last_slot=u64, left=u64, shortfall=u64, paid=u256,
    estimated=bool,
)


@init
def setup(grid: Address, slot_ms: u64, slot0_ms: u64, late_slots: u64, price: u64) -> None:
    """`price`: what a kWh that is missing costs, the dearest balancing energy."""
    grid_account.set(grid)
    rules_cell.set(Rules(slot_ms=slot_ms, slot0_ms=slot0_ms, late_ms=late_slots * slot_ms, price=price))


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def is_vehicle(meter: Address) -> bool:
    account = view_call("registry", "owner_of", meter)
    return account is not None and "ev" in view_call("registry", "member", account)["devices"]


def session_in(meter: Address, slot: int) -> int | None:
    """The first slot of the window that a slot lies in."""
    for first in range(max(0, slot - MAX_WINDOW + 1), slot + 1):
        found = sessions.get((meter, first))
        if found is not None and slot <= found.last_slot:
            return first
    return None


@export
def plug(first_slot: u64, last_slot: u64, charge: u64, leave: u64) -> None:
    """The sending meter's vehicle is there from the first to the last slot, comes with `charge` Wh and must leave with at least
    `leave`. Before the first slot begins; windows of a meter do not overlap."""
    rules = rules_cell.get()
    meter = ctx.sender
    require(is_vehicle(meter), "NO_VEHICLE")
    require(first_slot <= last_slot and last_slot - first_slot < MAX_WINDOW, "BAD_PERIOD", {"most": MAX_WINDOW})
    require(rules.slot0_ms + first_slot * rules.slot_ms > ctx.market_time_ms, "SLOT_BEGUN")
    require(charge <= MAX_CHARGE and leave <= MAX_CHARGE, "BAD_WH")
    require(session_in(meter, last_slot) is None, "OVERLAPS")
    ahead = [key[1] for key in sessions.keys((meter,), after=(meter, first_slot), limit=1)]
    require(session_in(meter, first_slot) is None and (len(ahead) == 0 or ahead[0] > last_slot), "OVERLAPS")
    account = view_call("registry", "owner_of", meter)
    cover = amount(rules.price, leave)
    sessions[(meter, first_slot)] = Session(
        account=account, last_slot=last_slot, charge=charge, leave=leave, left=0, paid=0, status=PLANNED
    )
    call("token", "lock", account, cover)
    due = rules.slot0_ms + (last_slot + 1) * rules.slot_ms + rules.late_ms
    schedule(due, "close", meter, first_slot, gas=GAS_STEP)
    emit(
        PlugPlanned, meter=meter, first_slot=first_slot, last_slot=last_slot, charge=charge, leave=leave, cover=cover,
    )


@export
def depart(first_slot: u64, left: u64) -> None:
    """What the vehicle left with, by its meter, once, after the window."""
    rules = rules_cell.get()
    found = sessions.get((ctx.sender, first_slot))
    if found is None:
        revert("NO_SESSION")
    require(found.status != STATED, "REPORTED")
    require(rules.slot0_ms + (found.last_slot + 1) * rules.slot_ms <= ctx.market_time_ms, "REPORT_EARLY")
    require(left <= MAX_CHARGE, "BAD_WH")
    book(ctx.sender, first_slot, found, left, STATED)


@export(scheduled=True)
def close(due: int, meter: Address, first_slot: u64) -> None:
    found = sessions[(meter, first_slot)]
    if found.status == PLANNED:
        book(meter, first_slot, found, 0, ESTIMATED)


def book(meter: Address, first_slot: int, found: Session, left: int, status: int) -> None:
    """Charge what is missing, or the difference to what was charged on an estimate; the cover returns."""
    rules = rules_cell.get()
    shortfall = max(0, found.leave - left)
    paid = amount(rules.price, shortfall)
    cover = 0
    if found.status == PLANNED:
        cover = amount(rules.price, found.leave)
    change = paid - found.paid
    call("token", "settle", [[found.account, cover, -change], [grid_account.get(), 0, change]])
    sessions[(meter, first_slot)] = found.replace(left=left, paid=paid, status=status)
    departures[(found.last_slot, meter)] = first_slot
    emit(
        VehicleLeft, meter=meter, first_slot=first_slot, last_slot=found.last_slot, left=left, shortfall=shortfall,
        paid=paid, estimated=status == ESTIMATED,
    )


@view
def reserve(slot: u64, meter: Address, up: u64, down: u64, charge: u64) -> None:
    """Fails if that reserve may not be given: more than is charged; a vehicle outside its window."""
    require(up <= charge, "ABOVE_RESERVE")
    if (up > 0 or down > 0) and is_vehicle(meter):
        require(session_in(meter, slot) is not None, "NOT_PLUGGED")


@view
def session(meter: Address, first_slot: u64) -> dict | None:
    """A plug-in window; status: planned, estimated, stated."""
    found = sessions.get((meter, first_slot))
    if found is None:
        return None
    return {
        "first_slot": first_slot, "last_slot": found.last_slot, "charge": found.charge, "leave": found.leave,
        "left": found.left, "paid": found.paid, "status": STATES[found.status],
    }


@view
def departure(slot: u64, meter: Address) -> list | None:
    """[Wh missing, what was paid, whether estimated] of a vehicle whose window ended with a slot, for its bill."""
    first = departures.get((slot, meter))
    if first is None:
        return None
    found = sessions[(meter, first)]
    return [max(0, found.leave - found.left), found.paid, found.status == ESTIMATED]
