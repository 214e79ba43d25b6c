"""Who serves whom: rule 6.3 of the market spec as pure functions, asked by `matching`. No storage, no entries but views.

Maximised, in this order: users served, sum of the matching degrees M, the lexicographically smallest vector of providers.
Users and providers are positions in lists by id; `nobody` is the number of providers. `m` holds M, users by providers, below
0: not allowed. Serving a user is worth `big`, more than all M together.
"""

SCALE = 2**20
MAX_ROUNDS = 8
TIGHTENING_ROUNDS = 100
REPAIR_EVERY = 4
EXCHANGE_USERS = 64


def worth_of_service(m: list) -> int:
    return 1 + sum([max(0, max(row)) for row in m if len(row) > 0])


def value_of(m: list, choice: list, big: int) -> int:
    total = 0
    for user in range(len(choice)):
        if choice[user] < len(m[user]):
            total += big + m[user][choice[user]]
    return total


def room_after(wh: list, capacity: list, m: list, choice: list) -> list:
    """Capacity left by an assignment; refused if a pair is not allowed or a provider is overloaded."""
    require(len(choice) == len(wh), "BAD_ASSIGNMENT")
    left = [room for room in capacity]
    for user in range(len(wh)):
        at = choice[user]
        require(0 <= at <= len(capacity), "BAD_ASSIGNMENT")
        if at < len(capacity):
            require(m[user][at] >= 0, "PAIR_NOT_ALLOWED")
            left[at] = left[at] - wh[user]
            require(left[at] >= 0, "OVERLOADED")
    return left


def best_fit(worth: list, left: list, need: int) -> int:
    """The provider with room of largest worth that is not negative (ties: the first), or nobody."""
    found = len(left)
    best = -1
    for at in range(len(left)):
        if worth[at] > best and left[at] >= need:
            best = worth[at]
            found = at
    return found


def greedy(wh: list, capacity: list, m: list) -> list:
    """The fallback: small requests first, each to the allowed provider of largest M that has room; then improved."""
    left = [room for room in capacity]
    choice = [len(capacity)] * len(wh)
    for row in sorted([(wh[user], user) for user in range(len(wh))]):
        at = best_fit(m[row[1]], left, row[0])
        choice[row[1]] = at
        if at < len(capacity):
            left[at] = left[at] - row[0]
    improve(wh, m, left, choice)
    return choice


def improve(wh: list, m: list, left: list, choice: list) -> None:
    """Rounds over all users by id (at most `MAX_ROUNDS`): a move to a better provider with room, then, among few users,
    exchanges with an earlier user that raise the sum of M or let a larger one be served."""
    nobody = len(left)
    for _ in range(MAX_ROUNDS):
        changed = False
        for user in range(len(wh)):
            was = choice[user]
            at = best_fit(m[user], left, wh[user])
            if at < nobody and (was == nobody or m[user][at] > m[user][was]):
                choice[user] = at
                left[at] = left[at] - wh[user]
                if was < nobody:
                    left[was] = left[was] + wh[user]
                changed = True
            if len(wh) <= EXCHANGE_USERS and exchange(wh, m, left, choice, user):
                changed = True
        if not changed:
            return


def exchange(wh: list, m: list, left: list, choice: list, user: int) -> bool:
    """Exchange the providers of a user and of the first earlier one for which that is allowed, fits and brings more."""
    nobody = len(left)
    for other in range(user):
        mine = choice[user]
        theirs = choice[other]
        if mine != theirs:
            more = wh[user] - wh[other]
            before = worth(m, user, mine) + worth(m, other, theirs)
            after = worth(m, user, theirs) + worth(m, other, mine)
            allowed = worth(m, user, theirs) >= 0 and worth(m, other, mine) >= 0
            fits = (theirs == nobody or left[theirs] >= more) and (mine == nobody or left[mine] >= -more)
            if allowed and fits and after > before:
                choice[user] = theirs
                choice[other] = mine
                if theirs < nobody:
                    left[theirs] = left[theirs] - more
                if mine < nobody:
                    left[mine] = left[mine] + more
                return True
    return False


def worth(m: list, user: int, at: int) -> int:
    if at == len(m[user]):
        return 0
    return m[user][at]


# Bounds. Capacities are relaxed at a multiplier for each provider (`SCALE` times M per Wh), the number of users served at
# `service` (`SCALE` times M per user).


def most_served(wh: list, capacity: list, m: list) -> int:
    """No assignment serves more: the smallest requests that some provider could take, filled into the joint capacity."""
    room = sum(capacity)
    count = 0
    for need in sorted(wh[user] for user in range(len(wh)) if best_fit(m[user], capacity, wh[user]) < len(capacity)):
        if need > room:
            return count
        room -= need
        count += 1
    return count


def relaxed(wh: list, capacity: list, m: list, service: int, multipliers: list) -> list:
    """[bound * SCALE, load of each provider, users taken]: no feasible assignment has a larger sum of M + service."""
    bound = 0
    for at in range(len(capacity)):
        bound += multipliers[at] * capacity[at]
    loads = [0] * len(capacity)
    taken = 0
    for user in range(len(wh)):
        need = wh[user]
        row = m[user]
        best = 0
        chosen = -1
        for at in range(len(capacity)):
            if row[at] >= 0 and need <= capacity[at]:
                gain = row[at] * SCALE + service - multipliers[at] * need
                if gain > best:
                    best = gain
                    chosen = at
        if chosen >= 0:
            loads[chosen] = loads[chosen] + need
            taken += 1
            bound += best
    return [bound, loads, taken]


def bound_at(wh: list, capacity: list, m: list, served: int, service: int, multipliers: list) -> int:
    """What the sum of M of an assignment that serves `served` users cannot exceed, by these multipliers."""
    return (relaxed(wh, capacity, m, service, multipliers)[0] - service * served) // SCALE


def repaired(wh: list, capacity: list, m: list, service: int, multipliers: list) -> list:
    """A feasible assignment near the relaxed one: who loses most by its second choice chooses first; then improved."""
    nobody = len(capacity)
    gains = []
    order = []
    for user in range(len(wh)):
        row = [-1] * nobody
        for at in range(nobody):
            if m[user][at] >= 0 and wh[user] <= capacity[at]:
                row[at] = max(0, m[user][at] * SCALE + service - multipliers[at] * wh[user])
        ranked = sorted(row)
        loss = 0
        if nobody > 1:
            loss = ranked[nobody - 1] - max(0, ranked[nobody - 2])
        gains.append(row)
        order.append((-loss, user))
    left = [room for room in capacity]
    choice = [nobody] * len(wh)
    for item in sorted(order):
        user = item[1]
        at = best_fit(gains[user], left, wh[user])
        choice[user] = at
        if at < nobody:
            left[at] = left[at] - wh[user]
    improve(wh, m, left, choice)
    return choice


def tightened(wh: list, capacity: list, m: list, served: int, start: list) -> list:
    """Multipliers for `served` users by subgradient steps in integers (Polyak's length, halved after three rounds without
    gain), and the best assignment met on the way from `start`. Returns [bound * SCALE, service, multipliers, choice]."""
    big = worth_of_service(m)
    choice = start
    value = value_of(m, choice, big)
    mean = max(1, sum(wh) // len(wh))
    service = 0
    now = [0] * len(capacity)
    best = []
    part = 16
    stale = 0
    for index in range(TIGHTENING_ROUNDS):
        found = relaxed(wh, capacity, m, service, now)
        bound = found[0] - service * served
        if len(best) == 0 or bound < best[0]:
            best = [bound, service, now]
            stale = 0
            if index % REPAIR_EVERY == REPAIR_EVERY - 1:
                other = repaired(wh, capacity, m, service, now)
                if value_of(m, other, big) > value:
                    choice = other
                    value = value_of(m, choice, big)
        else:
            stale += 1
            if stale == 3:
                part = max(1, part // 2)
                stale = 0
        floor = max(0, value - served * big)
        over = [found[1][at] - capacity[at] for at in range(len(capacity))]
        over = [over[at] if over[at] > 0 or now[at] > 0 else 0 for at in range(len(over))]
        short = (served - found[2]) * mean
        norm = sum([excess * excess for excess in over]) + short * short
        if norm == 0 or bound // SCALE <= floor:
            break
        length = max(0, bound - floor * SCALE) * part // 16
        now = [max(0, now[at] + length * over[at] // norm) for at in range(len(over))]
        service = max(0, service + length * short * mean // norm)
    other = repaired(wh, capacity, m, best[1], best[2])
    if value_of(m, other, big) > value:
        choice = other
    return best + [choice]
