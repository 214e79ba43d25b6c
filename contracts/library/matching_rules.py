# Rules 6.1, 6.2, 6.4: pure functions


def amount(price: int, wh: int) -> int:
    return price * wh // 1000


def tokens_of(money: int, rate: int) -> int:
    """Money in micro-currency as tokens, at `rate` tokens per currency unit (ppm)."""
    return money * rate // ONE


def trade_value(actual: int, agreed: int, cap: int, weighted: bool) -> tuple:
    """6.1: (v * weight, weight) of a trade; `cap` (ppm, 0: none) bounds v, `weighted` weighs it by energy."""
    if agreed == 0:
        return (0, 0)
    value = actual * ONE // agreed
    if cap > 0:
        value = min(value, cap)
    if weighted:
        return (value * agreed, agreed)
    return (value, 1)


def reputation_after(before: int, values: int, weights: int, alpha: int) -> int:
    """6.1: RC after a cycle with these sums of `trade_value`. A cycle without trade keeps RC."""
    if weights == 0:
        return before
    return (alpha * (values // weights) + (ONE - alpha) * before) // ONE  # accept W005


def degree(price: int, wh: int, fee: int, rc: int, benefit: int) -> int:
    """6.2: M of a pair, or `NOT_ALLOWED` if the provider would lose. `benefit` below 0: z is the provider's income (as
    published); else z is `benefit`, what the user saves."""
    z = amount(price, wh) - fee
    if z < 0:
        return NOT_ALLOWED
    if benefit >= 0:
        z = benefit
    if z + rc == 0:
        return 0
    return z * rc // (z + rc)


def settled(
    wh: int, price: int, sent: int, received: int, loss: int, token: int, rate: int, fee: int, checked: bool
) -> list:
    """6.4: [escrow, reward, deduction, paid, grid fee, refund], in tokens but the deduction. `checked` deducts also what
    is missing beyond the reasonable loss when the provider claims to have sent all (6.5)."""
    gross = amount(price, wh)
    missing = max(0, wh - received)
    reward = 0
    if missing == 0:
        reward = token
    elif sent >= wh and missing <= loss:
        reward = token // 2
    deduction = 0
    if sent < wh or (checked and missing > loss):
        deduction = amount(price, missing)
    bill = gross - deduction
    escrow = tokens_of(gross, rate)
    billed = tokens_of(bill, rate)
    to_grid = tokens_of(min(fee, bill), rate)
    return [escrow, reward, deduction, billed - to_grid, to_grid, escrow - billed]
