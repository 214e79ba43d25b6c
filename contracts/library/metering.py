"""Forecasts and readings, signed by the meter's own key: the sender of the transaction is the meter.

A net reading has two non-negative parts, generation and use, of which one is zero. There is one measured value for each
(slot, meter), for ever; a later signed correction is a new entry beside it. A missing reading is never zero: a market
asks `measured` and gets the forecast as an estimate, or nothing. Of markets this contract knows only the names: it tells
them of readings that arrive after the grace time, because then a slot may settle or may have been settled.

What a bilateral contract moves in a slot is delivered first: a market gets the reading that is left when the seller's meter
has given it and the buyer's has taken it (`measured`, `forecasts_of`, what markets are told). So the same energy is never
delivered twice, and what a seller lacks is bought from the grid in every market. All other views give what meters said.
"""

ONE = 1_000_000
WATT_MS_PER_WH = 3_600_000
NOTHING = 0
FORECAST = 1
MEASURED = 2
MAX_CORRECTIONS = 16
RECENT = 64
MAX_TEXT = 64
PROGRESS_MS = 60_000

Rules = record(
    "Rules",
    slot_ms=u64,
    slot0_ms=u64,
    first_slot=u64,
    last_slot=u64,
    gate_ms=u64,
    horizon_ms=u64,
    grace_ms=u64,
    margin_ppm=u64,
)
Meter = record("Meter", account=Address, cap_wh=u64, from_slot=u64)
Reading = record("Reading", generation_wh=u64, use_wh=u64, late=bool)
Correction = record("Correction", generation_wh=u64, use_wh=u64, reason=str, market_time_ms=u64)
Forecast = record("Forecast", generation_wh=u64, use_wh=u64)
Agreed = record("Agreed", sold_wh=u64, bought_wh=u64)
Progress = record("Progress", generation_wh=u64, use_wh=u64, market_time_ms=u64)

rules_cell = Var(Rules)
markets = Var(list[str])
bridges = Map(Address, bool)
meters = Map(Address, Meter)
forecasts = Map((u64, Address), Forecast)
readings = Map((u64, Address), Reading)
corrections = Map((u64, Address, u64), Correction)
corrected = Map(u64, u64, default=0)
ruled = Map((u64, Address), bool)
agreed = Map((u64, Address), Agreed)
agreed_in = Map(u64, u64, default=0)
progresses = Map((u64, Address), Progress)
received = Map(u64, u64, default=0)
population = Var(u64, default=0)
joins = Map(u64, u64, default=0)

ForecastAccepted = event("ForecastAccepted", indexed=("slot", "meter"), slot=u64, meter=Address, side=str, wh=u64)
ProgressAccepted = event(
    "ProgressAccepted", indexed=("slot", "meter"), slot=u64, meter=Address, generation_wh=u64, use_wh=u64,
)
ReadingAccepted = event(
    "ReadingAccepted",
    indexed=("slot", "meter"),
    slot=u64,
    meter=Address,
    generation_wh=u64,
    use_wh=u64,
    late=bool,
)
ReadingCorrected = event(
    "ReadingCorrected",
    indexed=("slot", "meter"),
    slot=u64,
    meter=Address,
    revision=u64,
    generation_wh=u64,
    use_wh=u64,
    reason=str,
)


@init
def setup(
    slot_ms: u64,
    slot0_ms: u64,
    first_slot: u64,
    last_slot: u64,
    gate_slots: u64,
    horizon_slots: u64,
    grace_slots: u64,
    margin_ppm: u64,
    market_names: list[str],
    bridge: str,
) -> None:
    """`bridge`: name of the contract that trades with other regions, "" for none."""
    rules_cell.set(
        Rules(
            slot_ms=slot_ms,
            slot0_ms=slot0_ms,
            first_slot=first_slot,
            last_slot=last_slot,
            gate_ms=gate_slots * slot_ms,
            horizon_ms=horizon_slots * slot_ms,
            grace_ms=grace_slots * slot_ms,
            margin_ppm=margin_ppm,
        )
    )
    markets.set(market_names)
    if bridge != "":
        bridges[contract_address(bridge)] = True


@export
def enrol(account: Address, meter: Address, owner: bytes, rated_w: u64) -> None:
    """The registry approved this meter. It is expected to report from the next slot on."""
    require(ctx.sender == contract_address("registry"), "NOT_ALLOWED")
    rules = rules_cell.get()
    from_slot = rules.first_slot
    elapsed = ctx.market_time_ms - rules.slot0_ms
    if elapsed >= 0:
        from_slot = max(from_slot, elapsed // rules.slot_ms + 1)
    cap_wh = rated_w * rules.slot_ms * (ONE + rules.margin_ppm) // (WATT_MS_PER_WH * ONE) + 1
    meters[meter] = Meter(account=account, cap_wh=cap_wh, from_slot=from_slot)
    joins[from_slot] = joins[from_slot] + 1
    population.set(population.get() + 1)


def expected_in(slot: int, rules: Rules) -> int:
    """Meters expected in a slot: all, less those that joined for a later one. Joins are counted for `RECENT` slots."""
    expected = population.get()
    current = (ctx.market_time_ms - rules.slot0_ms) // rules.slot_ms
    if current - slot <= RECENT:
        for later in range(slot + 1, current + 2):
            expected -= joins[later]
    return expected


def known_meter() -> Meter:
    meter = meters.get(ctx.sender)
    if meter is None:
        revert("UNKNOWN_METER")
    return meter


@export
def submit_forecast(slot: int, side: str, wh: int) -> None:
    """Generation or demand of the sending meter in a slot. The last one before the gate counts."""
    meter = known_meter()
    rules = rules_cell.get()
    require(side == "generation" or side == "demand", "BAD_SIDE")
    require(0 <= wh <= meter.cap_wh, "BAD_WH")
    require(rules.first_slot <= slot <= rules.last_slot, "SLOT_UNKNOWN")
    left = rules.slot0_ms + slot * rules.slot_ms - ctx.market_time_ms
    require(left > rules.gate_ms, "FORECAST_LATE")
    require(left <= rules.horizon_ms, "FORECAST_EARLY")
    if side == "generation":
        forecasts[(slot, ctx.sender)] = Forecast(generation_wh=wh, use_wh=0)
    else:
        forecasts[(slot, ctx.sender)] = Forecast(generation_wh=0, use_wh=wh)
    emit(ForecastAccepted, slot=slot, meter=ctx.sender, side=side, wh=wh)


def check_energy(meter: Meter, generation_wh: int, use_wh: int) -> None:
    require(0 <= generation_wh <= meter.cap_wh and 0 <= use_wh <= meter.cap_wh, "BAD_WH")
    require(generation_wh == 0 or use_wh == 0, "TWO_SIDES")


@export
def submit_reading(slot: int, generation_wh: int, use_wh: int) -> None:
    """The measured value of the sending meter in a slot, once."""
    meter = known_meter()
    rules = rules_cell.get()
    check_energy(meter, generation_wh, use_wh)
    require(meter.from_slot <= slot <= rules.last_slot, "SLOT_UNKNOWN")
    over = ctx.market_time_ms - rules.slot0_ms - (slot + 1) * rules.slot_ms
    require(over >= 0, "READING_EARLY")
    key = (slot, ctx.sender)
    require(key not in readings, "READING_EXISTS")
    said = progresses.get(key)
    require(said is None or (said.generation_wh <= generation_wh and said.use_wh <= use_wh), "BELOW_PROGRESS")
    late = over > rules.grace_ms
    readings[key] = Reading(generation_wh=generation_wh, use_wh=use_wh, late=late)
    count = received[slot] + 1
    received[slot] = count
    emit(
        ReadingAccepted, slot=slot, meter=ctx.sender, generation_wh=generation_wh, use_wh=use_wh, late=late
    )
    if over >= rules.grace_ms:
        tell_markets(slot, ctx.sender, generation_wh, use_wh, count == expected_in(slot, rules))


@export
def submit_progress(slot: int, generation_wh: int, use_wh: int) -> None:
    """What the sending meter counted since the slot began (one side 0): never less than before, at most once a minute, during
    delivery only. Evidence; the reading may not be below it."""
    meter = known_meter()
    rules = rules_cell.get()
    check_energy(meter, generation_wh, use_wh)
    require(meter.from_slot <= slot <= rules.last_slot, "SLOT_UNKNOWN")
    now = ctx.market_time_ms
    require(0 <= now - rules.slot0_ms - slot * rules.slot_ms < rules.slot_ms, "NOT_DELIVERING")
    key = (slot, ctx.sender)
    before = progresses.get(key)
    if before is not None:
        require(now - before.market_time_ms >= PROGRESS_MS, "TOO_SOON")
        require(generation_wh >= before.generation_wh and use_wh >= before.use_wh, "NOT_MONOTONE")
    progresses[key] = Progress(generation_wh=generation_wh, use_wh=use_wh, market_time_ms=now)
    emit(ProgressAccepted, slot=slot, meter=ctx.sender, generation_wh=generation_wh, use_wh=use_wh)


@export
def correct_reading(slot: int, generation_wh: int, use_wh: int, reason: str) -> int:
    """A signed correction of the sender's own measured value: a new entry. Returns its revision, from 1. A reading that was
    ruled on stands."""
    meter = known_meter()
    require(slot >= 0 and (slot, ctx.sender) not in ruled, "RULED")
    check_energy(meter, generation_wh, use_wh)
    require(0 < len(reason) <= MAX_TEXT, "BAD_TEXT")
    return correct(slot, ctx.sender, generation_wh, use_wh, reason)


@export
def rule_reading(slot: u64, meter: Address, generation_wh: int, use_wh: int, reason: str) -> int:
    """`disputes` enters what was ruled about a reading: a correction that the meter cannot take back."""
    require(ctx.sender == contract_address("disputes"), "NOT_ALLOWED")
    check_energy(meters[meter], generation_wh, use_wh)
    ruled[(slot, meter)] = True
    return correct(slot, meter, generation_wh, use_wh, reason)


def correct(slot: int, meter: Address, generation_wh: int, use_wh: int, reason: str) -> int:
    rules = rules_cell.get()
    require((slot, meter) in readings, "NO_READING")
    revision = len(corrections.keys((slot, meter), limit=MAX_CORRECTIONS + 1)) + 1
    require(revision <= MAX_CORRECTIONS or (slot, meter) in ruled, "TOO_MANY_CORRECTIONS")
    corrections[(slot, meter, revision)] = Correction(
        generation_wh=generation_wh, use_wh=use_wh, reason=reason, market_time_ms=ctx.market_time_ms
    )
    corrected[slot] = corrected[slot] + 1
    emit(
        ReadingCorrected,
        slot=slot,
        meter=meter,
        revision=revision,
        generation_wh=generation_wh,
        use_wh=use_wh,
        reason=reason,
    )
    if ctx.market_time_ms - rules.slot0_ms - (slot + 1) * rules.slot_ms >= rules.grace_ms:
        tell_markets(slot, meter, generation_wh, use_wh, False)
    return revision


def tell_markets(slot: int, meter: Address, generation_wh: int, use_wh: int, complete: bool) -> None:
    generation, use = left_of(slot, meter, generation_wh, use_wh)
    for name in markets.get():
        call(name, "on_reading", slot, meter, generation, use, complete)


# Bilateral contracts


@export
def agree(slot: u64, seller: Address, buyer: Address, wh: u64) -> None:
    """`bilateral` states what one meter gives another in a slot that has not begun."""
    require(ctx.sender == contract_address("bilateral"), "NOT_ALLOWED")
    given = agreed_of(slot, seller)
    taken = agreed_of(slot, buyer)
    agreed[(slot, seller)] = Agreed(sold_wh=given[0] + wh, bought_wh=given[1])
    agreed[(slot, buyer)] = Agreed(sold_wh=taken[0], bought_wh=taken[1] + wh)
    agreed_in[slot] = agreed_in[slot] + 1


# Trades with other regions: delivered first too, but known late


@export
def exchange(slot: u64, meter: Address, sold_wh: u64, bought_wh: u64) -> None:
    """The bridge states what a meter gives to another region in a slot, or gets from one."""
    require(ctx.sender in bridges, "NOT_ALLOWED")
    known = agreed_of(slot, meter)
    agreed[(slot, meter)] = Agreed(sold_wh=known[0] + sold_wh, bought_wh=known[1] + bought_wh)
    agreed_in[slot] = agreed_in[slot] + 1


@export
def retell(slot: u64, meter: Address) -> None:
    """Tell markets what is left of a reading (or of the forecast it was estimated by) after an exchange that came when the
    slot may have been settled."""
    require(ctx.sender in bridges, "NOT_ALLOWED")
    rules = rules_cell.get()
    row = valid(slot, [meter])[0]
    if row[0] != NOTHING and ctx.market_time_ms - rules.slot0_ms - (slot + 1) * rules.slot_ms >= rules.grace_ms:
        tell_markets(slot, meter, row[1], row[2], False)


def left_of(slot: int, meter: Address, generation_wh: int, use_wh: int) -> tuple:
    """(generation, use) that are left of a reading when bilateral contracts are delivered."""
    found = agreed.get((slot, meter))
    if found is None:
        return (generation_wh, use_wh)
    net = generation_wh - use_wh - found.sold_wh + found.bought_wh
    return (max(0, net), max(0, -net))


@view
def agreed_of(slot: u64, meter: Address) -> list:
    """[Wh sold, Wh bought] of a meter in a slot by bilateral contracts and to and from other regions."""
    found = agreed.get((slot, meter))
    if found is None:
        return [0, 0]
    return [found.sold_wh, found.bought_wh]


def last_correction(slot: int, meter: Address) -> Correction | None:
    found = corrections.items((slot, meter), limit=MAX_CORRECTIONS + 1)
    if len(found) == 0:
        return None
    return found[len(found) - 1][1]


@view
def measured(slot: u64, names: list[Address]) -> list:
    """As `valid`, less what bilateral contracts took of it: what a market settles."""
    rows = valid(slot, names)
    if agreed_in[slot] > 0:
        for index in range(len(rows)):
            row = rows[index]
            if row[0] != NOTHING:
                generation, use = left_of(slot, names[index], row[1], row[2])
                rows[index] = [row[0], generation, use]
    return rows


@view
def valid(slot: u64, names: list[Address]) -> list:
    """For each meter `[kind, generation Wh, use Wh]`: 2 measured (corrections applied), 1 forecast, 0 nothing known."""
    any_corrected = corrected[slot] > 0
    rows = []
    for name in names:
        key = (slot, name)
        reading = readings.get(key)
        if reading is None:
            forecast = forecasts.get(key)
            if forecast is None:
                rows.append([NOTHING, 0, 0])
            else:
                rows.append([FORECAST, forecast.generation_wh, forecast.use_wh])
        else:
            row = [MEASURED, reading.generation_wh, reading.use_wh]
            if any_corrected:
                correction = last_correction(slot, name)
                if correction is not None:
                    row = [MEASURED, correction.generation_wh, correction.use_wh]
            rows.append(row)
    return rows


@view
def forecasts_of(slot: u64, names: list[Address]) -> list:
    """For each meter `[generation Wh, use Wh]` of its last forecast before the gate, less bilateral contracts, or None."""
    rows = []
    for name in names:
        found = forecasts.get((slot, name))
        if found is None:
            rows.append(None)
        else:
            generation, use = left_of(slot, name, found.generation_wh, found.use_wh)
            rows.append([generation, use])
    return rows


@view
def progress(slot: u64) -> dict:
    """How many readings a slot expects and has."""
    return {"expected": expected_in(slot, rules_cell.get()), "received": received[slot]}


@view
def complete(slot: u64) -> bool:
    return received[slot] == expected_in(slot, rules_cell.get())


@view
def reading(slot: u64, meter: Address) -> dict | None:
    """The valid reading: the last correction, else the measured value."""
    found = readings.get((slot, meter))
    if found is None:
        return None
    fixes = corrections.items((slot, meter), limit=MAX_CORRECTIONS + 1)
    if len(fixes) == 0:
        return {"generation_wh": found.generation_wh, "use_wh": found.use_wh, "revision": 0, "late": found.late}
    fix = fixes[len(fixes) - 1][1]
    return {"generation_wh": fix.generation_wh, "use_wh": fix.use_wh, "revision": len(fixes), "late": found.late}


@view
def history(slot: u64, meter: Address) -> list:
    """Every entry: the measured value first, then corrections in order."""
    found = readings.get((slot, meter))
    if found is None:
        return []
    rows = [{"generation_wh": found.generation_wh, "use_wh": found.use_wh, "revision": 0, "reason": ""}]
    for item in corrections.items((slot, meter), limit=MAX_CORRECTIONS + 1):
        fix = item[1]
        rows.append(
            {
                "generation_wh": fix.generation_wh,
                "use_wh": fix.use_wh,
                "revision": len(rows),
                "reason": fix.reason,
            }
        )
    return rows


@view
def progress_of(slot: u64, meter: Address) -> dict | None:
    """What a meter said last during delivery: {generation_wh, use_wh, market_time_ms}."""
    said = progresses.get((slot, meter))
    if said is None:
        return None
    return {
        "generation_wh": said.generation_wh, "use_wh": said.use_wh, "market_time_ms": said.market_time_ms,
    }


@view
def forecast(slot: u64, meter: Address) -> dict | None:
    found = forecasts.get((slot, meter))
    if found is None:
        return None
    return {"generation_wh": found.generation_wh, "use_wh": found.use_wh}
