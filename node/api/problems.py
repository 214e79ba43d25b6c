"""Refusals: `application/problem+json` (RFC 9457) with code, message, expected, found, fix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from aiohttp import web

from ledger.errors import GridchainError

PROBLEM_TYPE: Final = "application/problem+json"
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS_OF: Final[dict[str, int]] = {
    "NOT_FOUND": 404,
    "UNKNOWN_ROUTE": 404,
    "UNKNOWN_CHAIN": 404,
    "UNKNOWN_CONTRACT": 404,
    "UNKNOWN_ENTRY": 404,
    "METHOD": 405,
    "TOO_LARGE": 413,
    "MEDIA_TYPE": 415,
    "RATE": 429,
    "LOOPBACK_ONLY": 403,
    "SUBSCRIBERS": 503,
    "NOT_READY": 503,
    "TIMEOUT": 408,
    "STATE_UNKNOWN": 404,
    "STATE_PRUNED": 410,
}
_HTTP_CODES: Final[dict[int, tuple[str, str]]] = {
    404: ("UNKNOWN_ROUTE", "see /v1/openapi.json"),
    405: ("METHOD", "see /v1/openapi.json"),
    413: ("TOO_LARGE", "send fewer transactions in one request"),
}


class Refused(GridchainError):
    """A request that the API refuses; `code` decides the HTTP status."""

    code = "BAD_REQUEST"


def status_of(error: GridchainError) -> int:
    """HTTP status of a refusal: 4xx for what the client sent, 503 for what the node cannot do now."""
    return _STATUS_OF.get(error.code, 400)


def problem(error: GridchainError) -> web.Response:
    """The answer to a refused request."""
    status = status_of(error)
    body: dict[str, object] = {"type": f"urn:gridchain:error:{error.code}", "status": status, "title": error.message}
    body |= error.as_dict()
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return web.Response(body=msgspec.json.encode(body), status=status, content_type=PROBLEM_TYPE, headers=headers)


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn our refusals, and the framework's, into problem documents."""
    try:
        return await handler(request)
    except GridchainError as error:
        return problem(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code, fix = _HTTP_CODES.get(error.status, ("BAD_REQUEST", "see /v1/openapi.json"))
        answer = problem(
            Refused(
                error.reason,
                code=code,
                expected="a request of this interface",
                found=f"{request.method} {request.path}"[:200],
                fix=fix,
            )
        )
        answer.set_status(error.status)
        for name in ("Allow",):
            if name in error.headers:
                answer.headers[name] = error.headers[name]
        return answer
    except TimeoutError:
        return problem(
            Refused(
                "the request took too long to arrive",
                code="TIMEOUT",
                expected="the whole of it within [api] read_timeout_ms",
                found="a part",
                fix="send it in one go",
            )
        )
