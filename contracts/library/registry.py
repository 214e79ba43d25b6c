"""Who takes part: applications, attestations by the institutions, approval by this contract itself.

No personal data in clear: an application carries SHA-256(salt || field) for each field, the clear text lies with the
registrar. An application is approved when licence, meter and connection point are attested and account and meter are
unused. The registry knows no market rule; it tells `metering` and the markets whom it approved or suspended.

An institution names the application that it judges by the digest of its content: a pending application can be replaced
while the judgement is on its way, and what nobody has seen must not be approved.
"""

ROLES = ("consumer", "producer", "prosumer")
DEVICES = ("load", "pv", "wind", "hydro", "storage", "ev")
FIELDS = ("name", "email", "postcode", "address", "bank_account")
KINDS = ("licence", "meter", "connection")
MAX_DEVICES = 16
MAX_WATTS = 10**9
MAX_TEXT = 64
MAX_PAGE = 256

Member = record(
    "Member",
    account=Address,
    meter=Address,
    owner=bytes,
    roles=list[str],
    devices=list[str],
    watts=list[u64],
    rated_w=u64,
    connection=str,
    region=str,
    fields=list[str],
    commitments=list[bytes],
    digest=bytes,
    attested=list[str],
    status=str,
    reason=str,
)
Institutions = record(
    "Institutions", energy_bureau=Address, grid_company=Address, notary=Address, trading_center=Address
)

members_by_account = Map(Address, Member)
account_of_meter = Map(Address, Address)
institution_cell = Var(Institutions)
listeners = Var(list[str])
markets = Var(list[str])

Applied = event(
    "Applied",
    indexed=("account",),
    account=Address,
    meter=Address,
    owner=bytes,
    roles=list[str],
    devices=list[str],
    watts=list[u64],
    rated_w=u64,
    connection=str,
    region=str,
    digest=bytes,
)
Attested = event("Attested", indexed=("account",), account=Address, by=Address, kinds=list[str])
Approved = event("Approved", indexed=("account",), account=Address, meter=Address, owner=bytes, rated_w=u64)
Refused = event("Refused", indexed=("account",), account=Address, by=Address, reason=str)
Suspended = event("Suspended", indexed=("account",), account=Address, reason=str)
Reinstated = event("Reinstated", indexed=("account",), account=Address, reason=str)


@init
def setup(
    energy_bureau: Address,
    grid_company: Address,
    notary: Address,
    trading_center: Address,
    listener_names: list[str],
    market_names: list[str],
) -> None:
    institution_cell.set(
        Institutions(
            energy_bureau=energy_bureau, grid_company=grid_company, notary=notary, trading_center=trading_center
        )
    )
    listeners.set(listener_names)
    markets.set(market_names)


def check_text(text: str, code: str) -> None:
    require(0 < len(text) <= MAX_TEXT, code)


def check_subset(names: list[str], allowed: tuple, code: str) -> None:
    require(0 < len(names) <= len(allowed), code)
    seen = []
    for name in names:
        require(name in allowed and name not in seen, code)
        seen.append(name)


def total_power(devices: list[str], watts: list[u64]) -> int:
    require(0 < len(devices) <= MAX_DEVICES and len(devices) == len(watts), "BAD_DEVICE")
    rated = 0
    for index in range(len(devices)):
        require(devices[index] in DEVICES, "BAD_DEVICE")
        require(0 < watts[index] <= MAX_WATTS, "BAD_POWER")
        rated += watts[index]
    return rated


@export
def apply(
    meter: Address,
    owner: bytes,
    roles: list[str],
    devices: list[str],
    watts: list[int],
    connection: str,
    region: str,
    fields: list[str],
    commitments: list[bytes],
) -> None:
    """Apply for the sender's account. A pending or refused application is replaced, its attestations are void."""
    account = ctx.sender
    known = members_by_account.get(account)
    if known is not None:
        require(known.status == "pending" or known.status == "refused", "ACCOUNT_USED")
    require(meter != account, "BAD_METER")
    require(account not in account_of_meter, "ACCOUNT_USED")
    require(len(owner) == 32, "BAD_OWNER")
    check_unused(meter)
    check_subset(roles, ROLES, "BAD_ROLE")
    rated = total_power(devices, watts)
    check_text(connection, "BAD_TEXT")
    check_text(region, "BAD_TEXT")
    check_subset(fields, FIELDS, "BAD_COMMITMENT")
    require(len(fields) == len(commitments), "BAD_COMMITMENT")
    for commitment in commitments:
        require(len(commitment) == 32, "BAD_COMMITMENT")
    application = Member(
        account=account,
        meter=meter,
        owner=owner,
        roles=roles,
        devices=devices,
        watts=watts,
        rated_w=rated,
        connection=connection,
        region=region,
        fields=fields,
        commitments=commitments,
        digest=b"",
        attested=[],
        status="pending",
        reason="",
    )
    digest = digest_of(application)
    members_by_account[account] = application.replace(digest=digest)
    emit(
        Applied,
        account=account,
        meter=meter,
        owner=owner,
        roles=roles,
        devices=devices,
        watts=watts,
        rated_w=rated,
        connection=connection,
        region=region,
        digest=digest,
    )


def length_of(count: int) -> bytes:
    return count.to_bytes(4, "big")


def text_bytes(text: str) -> bytes:
    raw = text.encode()
    return length_of(len(raw)) + raw


def list_bytes(texts: list[str]) -> bytes:
    joined = length_of(len(texts))
    for text in texts:
        joined += text_bytes(text)
    return joined


def digest_of(member: Member) -> bytes:
    """SHA-256 over all that the applicant states; what varies in length stands behind its length (4 bytes)."""
    content = member.account + member.meter + member.owner
    content += list_bytes(member.roles) + list_bytes(member.devices)
    content += length_of(len(member.watts))
    for power in member.watts:
        content += power.to_bytes(8, "big")
    content += text_bytes(member.connection) + text_bytes(member.region)
    content += list_bytes(member.fields) + length_of(len(member.commitments))
    for commitment in member.commitments:
        content += commitment
    return sha256(content)


def check_unused(meter: Address) -> None:
    require(meter not in account_of_meter, "METER_USED")
    other = members_by_account.get(meter)
    if other is not None:
        require(other.status == "pending" or other.status == "refused", "METER_USED")


def pending(account: Address, digest: bytes) -> Member:
    member = members_by_account.get(account)
    if member is None or member.status != "pending":
        revert("NO_APPLICATION")
    require(member.digest == digest, "APPLICATION_CHANGED")
    return member


@export
def attest(account: Address, digest: bytes, kinds: list[str]) -> None:
    """An institution confirms parts of the application of that digest; with the last one the contract approves it."""
    institutions = institution_cell.get()
    member = pending(account, digest)
    check_subset(kinds, KINDS, "BAD_KIND")
    attested = member.attested
    for kind in kinds:
        if kind == "licence":
            require(ctx.sender == institutions.energy_bureau, "NOT_ALLOWED")
        else:
            require(ctx.sender == institutions.grid_company, "NOT_ALLOWED")
        if kind not in attested:
            attested = attested + [kind]
    emit(Attested, account=account, by=ctx.sender, kinds=kinds)
    if len(attested) < len(KINDS):
        members_by_account[account] = member.replace(attested=attested)
    else:
        approve(member.replace(attested=attested))


def approve(member: Member) -> None:
    account = member.account
    meter = member.meter
    require(account not in account_of_meter, "ACCOUNT_USED")
    check_unused(meter)
    members_by_account[account] = member.replace(status="approved", reason="")
    account_of_meter[meter] = account
    emit(Approved, account=account, meter=meter, owner=member.owner, rated_w=member.rated_w)
    for name in listeners.get():
        call(name, "enrol", account, meter, member.owner, member.rated_w)


@export
def refuse(account: Address, digest: bytes, reason: str) -> None:
    """Energy bureau or grid company turn the pending application of that digest down. It may be made again."""
    institutions = institution_cell.get()
    require(ctx.sender == institutions.energy_bureau or ctx.sender == institutions.grid_company, "NOT_ALLOWED")
    check_text(reason, "BAD_TEXT")
    members_by_account[account] = pending(account, digest).replace(status="refused", reason=reason, attested=[])
    emit(Refused, account=account, by=ctx.sender, reason=reason)


def set_status(account: Address, old: str, new: str, reason: str) -> None:
    require(ctx.sender == institution_cell.get().energy_bureau, "NOT_ALLOWED")
    check_text(reason, "BAD_TEXT")
    member = members_by_account.get(account)
    if member is None:
        revert("NOT_MEMBER")
    require(member.status == old, "BAD_STATUS")
    members_by_account[account] = member.replace(status=new, reason=reason)
    for name in markets.get():
        call(name, "set_active", account, new == "approved")


@export
def suspend(account: Address, reason: str) -> None:
    """No new orders from now on; what is placed stays, metering and settlement go on."""
    set_status(account, "approved", "suspended", reason)
    emit(Suspended, account=account, reason=reason)


@export
def reinstate(account: Address, reason: str) -> None:
    set_status(account, "suspended", "approved", reason)
    emit(Reinstated, account=account, reason=reason)


def shown(member: Member) -> dict:
    return {
        "account": member.account,
        "meter": member.meter,
        "owner": member.owner,
        "roles": member.roles,
        "devices": member.devices,
        "watts": member.watts,
        "rated_w": member.rated_w,
        "connection": member.connection,
        "region": member.region,
        "digest": member.digest,
        "attested": member.attested,
        "status": member.status,
        "reason": member.reason,
    }


@view
def member(account: Address) -> dict | None:
    found = members_by_account.get(account)
    if found is None:
        return None
    return shown(found)


@view
def members(after: bytes, limit: int) -> list:
    """Members by account, those above `after` (empty: from the first)."""
    start = None
    if len(after) > 0:
        start = after
    rows = []
    for item in members_by_account.items((), after=start, limit=min(limit, MAX_PAGE)):
        rows.append(shown(item[1]))
    return rows


@view
def owner_of(meter: Address) -> Address | None:
    return account_of_meter.get(meter)


@view
def sources_of(meter: Address) -> str:
    """What a meter can deliver from: its device types other than load, joined by `+` (`pv`, `pv+storage`); `load` if it has
    no other, which cannot generate. Shown by trades, vouchers and bills."""
    account = account_of_meter.get(meter)
    if account is None:
        return ""
    devices = members_by_account[account].devices
    found = [device for device in DEVICES if device != "load" and device in devices]
    if len(found) == 0:
        return "load"
    return "+".join(found)


@view
def role_of(address: Address) -> str:
    institutions = institution_cell.get()
    if address == institutions.energy_bureau:
        return "energy_bureau"
    if address == institutions.grid_company:
        return "grid_company"
    if address == institutions.notary:
        return "notary"
    if address == institutions.trading_center:
        return "trading_center"
    found = members_by_account.get(address)
    if found is not None and (found.status == "approved" or found.status == "suspended"):
        return "member"
    if address in account_of_meter:
        return "meter"
    return ""


@view
def has_role(account: Address, role: str) -> bool:
    """Whether an account is that institution, a member or a meter, or an approved member that applied for that role."""
    if role != "" and role_of(account) == role:
        return True
    found = members_by_account.get(account)
    return found is not None and found.status == "approved" and role in found.roles


@view
def institutions() -> dict:
    known = institution_cell.get()
    return {
        "energy_bureau": known.energy_bureau,
        "grid_company": known.grid_company,
        "notary": known.notary,
        "trading_center": known.trading_center,
    }
