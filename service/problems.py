"""Errors as answers: RFC 9457 problem details, with the one vocabulary of reasons."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from flow.errors import (
    DefinitionError,
    LogReplaced,
    NearlyAllRejected,
    NotFound,
    PositionConflict,
    Reason,
    Rejected,
    SettingsError,
    StreamgaugeError,
    TooLarge,
    Unauthorised,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"

STATUS_OF_CLASS: Final[Mapping[type[StreamgaugeError], int]] = {
    Rejected: 400,
    TooLarge: 413,
    Unauthorised: 401,
    NotFound: 404,
    Unavailable: 503,
    PositionConflict: 500,
    NearlyAllRejected: 500,
    LogReplaced: 500,
    DefinitionError: 500,
    SettingsError: 500,
}
"""What a request is answered when it ends in such an error. The 500s belong to workers and to start-up."""

STATUS_OF_REASON: Final[Mapping[Reason, int]] = {Reason.UNSUPPORTED_MEDIA_TYPE: 415}
"""Where the reason says it better than the class."""

_logger = logging.getLogger("streamgauge.api")


def status_of(error: StreamgaugeError) -> int:
    """The HTTP status of an error."""
    return STATUS_OF_REASON.get(error.reason) or STATUS_OF_CLASS[type(error)]


def problem(
    status: int,
    detail: str,
    *,
    reason: str | None = None,
    problems: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem document. `reason` is a word of flow.errors; `problems` names each thing that is wrong, and where."""
    body: dict[str, Any] = {
        "type": f"urn:streamgauge:problem:{reason}" if reason else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if reason:
        body["reason"] = reason
    if problems:
        body["problems"] = list(problems)
    return Response(orjson.dumps(body), status, headers, MEDIA_TYPE)


def problem_of(error: StreamgaugeError) -> Response:
    """The answer that an error of ours is: a client's mistake in its own words, a fault of ours without any."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorised):
        headers["WWW-Authenticate"] = 'Bearer realm="streamgauge"'
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_problem()
    return problem(status, error.message, reason=error.reason, headers=headers)


def internal_problem() -> Response:
    """What a fault of ours looks like from outside."""
    return problem(500, "something is wrong on our side; the log of the service has the details")


def install_handlers(app: FastAPI) -> None:
    """Make every error of this application a problem document."""
    app.add_exception_handler(StreamgaugeError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StreamgaugeError)
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.warning("request_failed path=%s reason=%s %s", request.url.path, error.reason, error.message)
    return problem_of(error)


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": ".".join(str(part) for part in entry["loc"]), "what": _said(entry)} for entry in error.errors()
    ]
    detail = "; ".join(f"{entry['where']}: {entry['what']}" for entry in problems)
    return problem(422, detail, reason=Reason.INVALID_REQUEST, problems=problems)


def _said(entry: Mapping[str, Any]) -> str:
    return str(entry["msg"]).removeprefix("Value error, ").removeprefix("Input ")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"nothing is at {request.url.path[:200]}: /docs lists what is"
        return problem(404, detail, reason=Reason.UNKNOWN_ROUTE)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not for {request.url.path[:200]}: /docs lists what is"
        return problem(405, detail, headers=error.headers)
    return problem(error.status_code, error.detail, headers=error.headers)


async def _on_unexpected(request: Request, error: Exception) -> Response:
    _logger.error("request_broke method=%s path=%s", request.method, request.url.path, exc_info=error)
    return internal_problem()
