"""Disputes about a meter's reading, in every market: open, evidence, rule (spec 1.1). Orders of market D have their own besides.

Who is a party to a slot - the meter's account, a member that traded with it, the grid company - may say what the reading should
have been, within the time for it. Only the disputed amount is frozen: what the difference costs at retail, of the meter's
account and of who disputes, so that nobody freezes a neighbour's money for nothing. The notary rules on the reading; without a
ruling in time the grid company's meter decides, and without one the reading stands. A ruling is entered in `metering` as a
correction that the meter cannot take back: each market runs its settlement again on it and books the difference.
"""

MAX_TEXT = 64
MAX_EVIDENCE = 16
MAX_PAGE = 256
GAS_STEP = 10_000_000

OPEN = 1
RULED = 2
BY_METER = 3
DISMISSED = 4
STATES = ("", "open", "ruled", "grid meter", "dismissed")

Rules = record("Rules", slot_ms=u64, slot0_ms=u64, window_ms=u64, rule_ms=u64)
Dispute = record(
    "Dispute", by=Address, account=Address, generation_wh=u64, use_wh=u64, frozen_meter=u256, frozen_opener=u256,
    closes_ms=u64, status=u64, third=list[u64], evidence=list[bytes], reason=str,
)

rules_cell = Var(Rules)
disputes = Map((u64, Address), Dispute)

DisputeOpened = event(
    "DisputeOpened", indexed=("slot", "meter"), slot=u64, meter=Address, by=Address, generation_wh=u64, use_wh=u64,
    frozen_meter=u256, frozen_opener=u256, closes_ms=u64,
)
EvidenceAdded = event("EvidenceAdded", indexed=("slot", "meter"), slot=u64, meter=Address, by=Address, digest=bytes)
ThirdReading = event(
    "ThirdReading", indexed=("slot", "meter"), slot=u64, meter=Address, generation_wh=u64, use_wh=u64,
)
DisputeClosed = event(
    "DisputeClosed", indexed=("slot", "meter"), slot=u64, meter=Address, status=str, generation_wh=u64, use_wh=u64,
    reason=str,
)


@init
def setup(slot_ms: u64, slot0_ms: u64, window_slots: u64, rule_slots: u64) -> None:
    """A reading may be disputed until `window_slots` after its slot; a ruling has `rule_slots` from then on."""
    rules_cell.set(
        Rules(slot_ms=slot_ms, slot0_ms=slot0_ms, window_ms=window_slots * slot_ms, rule_ms=rule_slots * slot_ms)
    )


def check_reading(generation_wh: int, use_wh: int) -> None:
    require(generation_wh == 0 or use_wh == 0, "TWO_SIDES")
    require(generation_wh < 2**53 and use_wh < 2**53, "BAD_WH")


def is_party(slot: int, meter: Address, account: Address) -> bool:
    """The meter's own account, one that traded with it in that slot, or the grid company, which is behind every meter."""
    if view_call("registry", "owner_of", meter) == account:
        return True
    if view_call("registry", "role_of", account) == "grid_company":
        return True
    for row in view_call("bills", "period_trades", slot):
        if meter in (row["seller"], row["buyer"]):
            other = row["buyer"] if meter == row["seller"] else row["seller"]
            if view_call("registry", "owner_of", other) == account:
                return True
    return False


@export
def open(slot: u64, meter: Address, generation_wh: u64, use_wh: u64) -> int:
    """Dispute the valid reading of a meter in a slot, once. Returns when the time for a ruling ends (market ms)."""
    rules = rules_cell.get()
    require((slot, meter) not in disputes, "DISPUTED")
    check_reading(generation_wh, use_wh)
    valid = view_call("metering", "reading", slot, meter)
    require(valid is not None, "NO_READING")
    end = rules.slot0_ms + (slot + 1) * rules.slot_ms
    require(ctx.market_time_ms < end + rules.window_ms, "WINDOW_CLOSED")
    require(is_party(slot, meter, ctx.sender), "NOT_YOURS")
    account = view_call("registry", "owner_of", meter)
    apart = abs(generation_wh - use_wh - valid["generation_wh"] + valid["use_wh"])
    require(apart > 0, "NO_DIFFERENCE")
    cost = view_call("tariffs", "prices", slot)[1] * apart // 1000
    mine = 0
    if ctx.sender != account and view_call("registry", "role_of", ctx.sender) != "grid_company":
        mine = cost
        call("token", "lock", ctx.sender, mine)
    theirs = min(cost, view_call("token", "account", account)["balance"])
    if not call("token", "lock", account, theirs, on_fail="return")[0]:
        theirs = 0
    closes = ctx.market_time_ms + rules.rule_ms
    disputes[(slot, meter)] = Dispute(
        by=ctx.sender, account=account, generation_wh=generation_wh, use_wh=use_wh, frozen_meter=theirs,
        frozen_opener=mine, closes_ms=closes, status=OPEN, third=[], evidence=[], reason="",
    )
    schedule(closes, "close", slot, meter, gas=GAS_STEP)
    emit(
        DisputeOpened, slot=slot, meter=meter, by=ctx.sender, generation_wh=generation_wh, use_wh=use_wh,
        frozen_meter=theirs, frozen_opener=mine, closes_ms=closes,
    )
    return closes


def pending(slot: int, meter: Address) -> Dispute:
    found = disputes.get((slot, meter))
    if found is None:
        revert("NO_DISPUTE")
    require(found.status == OPEN, "CLOSED", {"status": STATES[found.status]})
    return found


@export
def evidence(slot: u64, meter: Address, digest: bytes) -> None:
    """A party or an institution adds the digest of a document; at most `MAX_EVIDENCE`."""
    found = pending(slot, meter)
    role = view_call("registry", "role_of", ctx.sender)
    allowed = role in ("notary", "grid_company", "energy_bureau") or ctx.sender == found.by
    require(allowed or ctx.sender == found.account, "NOT_ALLOWED")
    require(len(digest) == 32 and len(found.evidence) < MAX_EVIDENCE, "BAD_EVIDENCE")
    disputes[(slot, meter)] = found.replace(evidence=found.evidence + [digest])
    emit(EvidenceAdded, slot=slot, meter=meter, by=ctx.sender, digest=digest)


@export
def third_reading(slot: u64, meter: Address, generation_wh: u64, use_wh: u64) -> None:
    """What the grid company's own meter says, once; it decides if the notary does not."""
    require(view_call("registry", "role_of", ctx.sender) == "grid_company", "NOT_ALLOWED")
    found = pending(slot, meter)
    require(len(found.third) == 0, "REPORTED")
    check_reading(generation_wh, use_wh)
    disputes[(slot, meter)] = found.replace(third=[generation_wh, use_wh])
    emit(ThirdReading, slot=slot, meter=meter, generation_wh=generation_wh, use_wh=use_wh)


@export
def rule(slot: u64, meter: Address, generation_wh: u64, use_wh: u64, reason: str) -> None:
    """The notary decides what the reading was."""
    require(view_call("registry", "role_of", ctx.sender) == "notary", "NOT_ALLOWED")
    found = pending(slot, meter)
    check_reading(generation_wh, use_wh)
    require(0 < len(reason) <= MAX_TEXT, "BAD_TEXT")
    release(found)
    call("metering", "rule_reading", slot, meter, generation_wh, use_wh, reason)
    finish(slot, meter, found, RULED, [generation_wh, use_wh], reason)


@export(scheduled=True)
def close(due: int, slot: u64, meter: Address) -> None:
    """No ruling in time: the grid company's meter decides, else the reading stands. What is frozen returns in any case."""
    found = disputes[(slot, meter)]
    if found.status != OPEN:
        return
    release(found)
    if len(found.third) == 2:
        reason = "grid company's meter"
        entered = call(
            "metering", "rule_reading", slot, meter, found.third[0], found.third[1], reason, on_fail="return",
        )
        if entered[0]:
            finish(slot, meter, found, BY_METER, found.third, reason)
            return
    valid = view_call("metering", "reading", slot, meter)
    finish(slot, meter, found, DISMISSED, [valid["generation_wh"], valid["use_wh"]], "")


def release(found: Dispute) -> None:
    call("token", "settle", [[found.account, found.frozen_meter, 0], [found.by, found.frozen_opener, 0]])


def finish(slot: int, meter: Address, found: Dispute, status: int, reading: list, reason: str) -> None:
    disputes[(slot, meter)] = found.replace(status=status, reason=reason)
    emit(
        DisputeClosed, slot=slot, meter=meter, status=STATES[status], generation_wh=reading[0], use_wh=reading[1],
        reason=reason,
    )


def shown(slot: int, meter: Address, found: Dispute) -> dict:
    return {
        "slot": slot, "meter": meter, "by": found.by, "generation_wh": found.generation_wh, "use_wh": found.use_wh,
        "frozen_meter": found.frozen_meter, "frozen_opener": found.frozen_opener, "closes_ms": found.closes_ms,
        "status": STATES[found.status], "third": found.third, "evidence": found.evidence, "reason": found.reason,
    }


@view
def dispute(slot: u64, meter: Address) -> dict | None:
    """What is or was disputed; status: open, ruled, grid meter, dismissed."""
    found = disputes.get((slot, meter))
    if found is None:
        return None
    return shown(slot, meter, found)


@view
def disputes_of(slot: u64) -> list:
    return [shown(slot, item[0][1], item[1]) for item in disputes.items((slot,), limit=MAX_PAGE)]
