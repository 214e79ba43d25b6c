"""Who decides about contracts. Ordinary contract source, with one thing no other has: the native contract `lifecycle`
obeys the instance of this name.

Deployers put sources on the chain, where they are pending artifacts, and make instances of approved ones. Everything
else is a proposal that voters decide by weight: it passes when the weight of yes reaches the quorum of the chain, and is
rejected when that can no longer happen. A change of the voters ends every open proposal, so that no vote is counted
under two rules.
"""

BY_VOTE = ("approve", "revoke", "upgrade", "cancel", "freeze", "resume", "rollback", "retry", "abort")
ABOUT_ARTIFACT = ("approve", "revoke")
MAX_TEXT = 64
MAX_PAGE = 256
MAX_NUMBER = 2**53
MAX_VOTERS = 1024

Voter = record("Voter", name=str, weight=u64)
Rules = record("Rules", voting_ms=u64, rollback_blocks=u64)
Electorate = record("Electorate", term=u64, voters=u64, weight=u64, quorum=u64)
Proposal = record(
    "Proposal",
    kind=str,
    artifact=bytes,
    instance=str,
    height=u64,
    account=bytes,
    name=str,
    weight=u64,
    proposer=Address,
    term=u64,
    closes_ms=u64,
    yes=u64,
    no=u64,
    status=str,
    code=str,
)

rules = Var(Rules)
electorate = Var(Electorate)
voters_by_account = Map(Address, Voter)
deployers_by_account = Map(Address, bool)
last_number = Var(u64, default=0)
proposals_by_number = Map(u64, Proposal)
ballots = Map((u64, Address), bool)

Proposed = event(
    "Proposed",
    indexed=("number", "kind", "instance"),
    number=u64,
    kind=str,
    artifact=bytes,
    instance=str,
    height=u64,
    account=bytes,
    weight=u64,
    proposer=Address,
    closes_ms=u64,
)
Voted = event("Voted", indexed=("number", "voter"), number=u64, voter=Address, yes=bool, weight=u64)
Decided = event("Decided", indexed=("number", "status"), number=u64, status=str, code=str)


@init
def setup(
    accounts: list[Address],
    names: list[str],
    weights: list[u64],
    deployers: list[Address],
    voting_ms: u64,
    rollback_blocks: u64,
) -> None:
    require(0 < len(accounts) <= MAX_VOTERS and len(accounts) == len(names) == len(weights), "BAD_VOTERS")
    require(0 < voting_ms <= MAX_NUMBER and rollback_blocks <= MAX_NUMBER, "BAD_RULES")
    rules.set(Rules(voting_ms=voting_ms, rollback_blocks=rollback_blocks))
    total = 0
    for index in range(len(accounts)):
        require(accounts[index] not in voters_by_account, "BAD_VOTERS")
        check_voter(names[index], weights[index])
        require(weights[index] > 0, "BAD_VOTERS")
        voters_by_account[accounts[index]] = Voter(name=names[index], weight=weights[index])
        total += weights[index]
    for account in deployers:
        deployers_by_account[account] = True
    electorate.set(Electorate(term=1, voters=len(accounts), weight=total, quorum=quorum_of(total)))


def check_voter(name: str, weight: u64) -> None:
    require(0 < len(name) <= MAX_TEXT and weight <= MAX_NUMBER, "BAD_VOTERS")


def quorum_of(weight: u64) -> u64:
    return view_call("lifecycle", "quorum", weight)


# contracts


@export
def deploy(source: bytes, calls: list[str], roles: str = "", language: str = "pyc/1") -> Address:
    """Put a source on the chain as a pending artifact and return its hash, the name that votes are about. A source
    that is refused fails with its rule code and line."""
    require(ctx.sender in deployers_by_account, "NOT_DEPLOYER")
    return call("lifecycle", "store", source, calls, roles, language, ctx.sender)


@export
def instantiate(artifact: Address, name: str, arguments: list) -> None:
    """Make an instance of an approved artifact. Its @init sees the sender of this call as its own sender."""
    require(ctx.sender in deployers_by_account, "NOT_DEPLOYER")
    call("lifecycle", "instantiate", artifact, name, arguments, ctx.sender)


# proposals


@export
def propose(kind: str, artifact: bytes = b"", instance: str = "", height: u64 = 0) -> u64:
    """Propose something about an artifact (approve, revoke) or an instance; `height` is that of an upgrade."""
    require(kind in BY_VOTE, "BAD_KIND")
    if kind in ABOUT_ARTIFACT:
        require(len(artifact) == 32 and instance == "" and height == 0, "BAD_PROPOSAL")
        require(view_call("lifecycle", "artifact", artifact) is not None, "NO_ARTIFACT")
    elif kind == "upgrade":
        require(len(artifact) == 32, "BAD_PROPOSAL")
        view_call("lifecycle", "check_upgrade", instance, artifact, height)
    else:
        require(artifact == b"" and height == 0, "BAD_PROPOSAL")
        require(view_call("lifecycle", "instance", instance) is not None, "NO_INSTANCE")
    return opened(kind, artifact, instance, height, b"", "", 0)


@export
def propose_voter(account: Address, name: str, weight: u64) -> u64:
    """Propose that an account votes with a weight from now on; 0 ends that."""
    check_voter(name, weight)
    return opened("voter", b"", "", 0, account, name, weight)


@export
def propose_deployer(account: Address, allowed: bool) -> u64:
    """Propose that an account may deploy, or may not any more."""
    return opened("deployer", b"", "", 0, account, "", 1 if allowed else 0)


def opened(kind: str, artifact: bytes, instance: str, height: u64, account: bytes, name: str, weight: u64) -> u64:
    require(ctx.sender in voters_by_account or ctx.sender in deployers_by_account, "NOT_MEMBER")
    number = last_number.get() + 1
    last_number.set(number)
    closes = ctx.block_time_ms + rules.get().voting_ms
    proposals_by_number[number] = Proposal(
        kind=kind,
        artifact=artifact,
        instance=instance,
        height=height,
        account=account,
        name=name,
        weight=weight,
        proposer=ctx.sender,
        term=electorate.get().term,
        closes_ms=closes,
        yes=0,
        no=0,
        status="open",
        code="",
    )
    emit(
        Proposed,
        number=number,
        kind=kind,
        artifact=artifact,
        instance=instance,
        height=height,
        account=account,
        weight=weight,
        proposer=ctx.sender,
        closes_ms=closes,
    )
    return number


def status_of(proposal: Proposal) -> str:
    if proposal.status == "open" and proposal.term != electorate.get().term:
        return "lapsed"
    if proposal.status == "open" and ctx.block_time_ms > proposal.closes_ms:
        return "expired"
    return proposal.status


# votes


@export
def vote(number: u64, yes: bool) -> str:
    """Vote once; returns the proposal's status. The vote that reaches the quorum carries the proposal out: it is
    `passed` then, or `failed` with a code if that turned out to be impossible meanwhile."""
    proposal = proposals_by_number.get(number)
    if proposal is None:
        revert("NO_PROPOSAL")
    voter = voters_by_account.get(ctx.sender)
    if voter is None:
        revert("NOT_VOTER")
    require(status_of(proposal) == "open", "NOT_OPEN", status_of(proposal))
    require((number, ctx.sender) not in ballots, "ALREADY_VOTED")
    ballots[number, ctx.sender] = yes
    emit(Voted, number=number, voter=ctx.sender, yes=yes, weight=voter.weight)
    if yes:
        proposal = proposal.replace(yes=proposal.yes + voter.weight)
    else:
        proposal = proposal.replace(no=proposal.no + voter.weight)
    known = electorate.get()
    if proposal.yes >= known.quorum:
        proposal = carried_out(proposal)
    elif known.weight - proposal.no < known.quorum:
        proposal = proposal.replace(status="rejected")
    proposals_by_number[number] = proposal
    if proposal.status != "open":
        emit(Decided, number=number, status=proposal.status, code=proposal.code)
    return proposal.status


def carried_out(proposal: Proposal) -> Proposal:
    kind = proposal.kind
    code = ""
    if kind == "voter":
        code = set_voter(proposal.account, proposal.name, proposal.weight)
    elif kind == "deployer":
        set_deployer(proposal.account, proposal.weight > 0)
    elif kind in ABOUT_ARTIFACT:
        code = code_of(call("lifecycle", kind, proposal.artifact, on_fail="return"))
    elif kind == "upgrade":
        window = rules.get().rollback_blocks
        answer = call(
            "lifecycle", kind, proposal.instance, proposal.artifact, proposal.height, window, on_fail="return"
        )
        code = code_of(answer)
    else:
        code = code_of(call("lifecycle", kind, proposal.instance, on_fail="return"))
    return proposal.replace(status="passed" if code == "" else "failed", code=code)


def code_of(answer: tuple) -> str:
    return "" if answer[0] else answer[1]


def set_voter(account: bytes, name: str, weight: u64) -> str:
    known = electorate.get()
    before = voters_by_account.get(account)
    old = 0 if before is None else before.weight
    total = known.weight - old + weight
    count = known.voters + (1 if old == 0 and weight > 0 else 0) - (1 if old > 0 and weight == 0 else 0)
    if total == 0 or count > MAX_VOTERS:
        return "BAD_VOTERS"
    if weight > 0:
        voters_by_account[account] = Voter(name=name, weight=weight)
    elif before is not None:
        del voters_by_account[account]
    electorate.set(Electorate(term=known.term + 1, voters=count, weight=total, quorum=quorum_of(total)))
    return ""


def set_deployer(account: bytes, allowed: bool) -> None:
    if allowed:
        deployers_by_account[account] = True
    elif account in deployers_by_account:
        del deployers_by_account[account]


# views


@view
def proposal(number: u64) -> dict | None:
    """A proposal with its status as of now: open, passed, failed, rejected, expired or lapsed."""
    found = proposals_by_number.get(number)
    if found is None:
        return None
    return shown(number, found)


@view
def proposals(after: u64, limit: u64) -> list:
    """Proposals by number, those above `after`."""
    rows = proposals_by_number.items((), after=after, limit=min(limit, MAX_PAGE))
    return [shown(number, found) for number, found in rows]


def shown(number: u64, found: Proposal) -> dict:
    return {
        "number": number,
        "kind": found.kind,
        "artifact": found.artifact,
        "instance": found.instance,
        "height": found.height,
        "account": found.account,
        "name": found.name,
        "weight": found.weight,
        "proposer": found.proposer,
        "term": found.term,
        "closes_ms": found.closes_ms,
        "yes": found.yes,
        "no": found.no,
        "quorum": electorate.get().quorum,
        "status": status_of(found),
        "code": found.code,
    }


@view
def ballot(number: u64, account: Address) -> bool | None:
    """How an account voted; None if it did not."""
    return ballots.get((number, account))


@view
def voters() -> list:
    """All voters: account, name, weight."""
    rows = []
    for account, voter in voters_by_account.items((), limit=MAX_VOTERS):
        rows.append({"account": account, "name": voter.name, "weight": voter.weight})
    return rows


@view
def deployers(after: bytes, limit: u64) -> list:
    """Accounts that may deploy, those above `after` (empty: from the first)."""
    start = None
    if len(after) > 0:
        start = after
    return deployers_by_account.keys((), after=start, limit=min(limit, MAX_PAGE))


@view
def decides() -> dict:
    """Who decides: term, number of voters, their weight, the quorum, and the rules."""
    known = electorate.get()
    fixed = rules.get()
    return {
        "term": known.term,
        "voters": known.voters,
        "weight": known.weight,
        "quorum": known.quorum,
        "voting_ms": fixed.voting_ms,
        "rollback_blocks": fixed.rollback_blocks,
    }
