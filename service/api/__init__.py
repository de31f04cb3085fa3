"""The query API: GET routes over the live state, their documentation, and errors as problem details."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Security
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import models_json_schema

from service.api.cumulative_flow import cumulative_flow_router
from service.api.dead_letters import dead_letters_router
from service.api.deliveries import deliveries_router
from service.api.health import health_router
from service.api.items import items_router
from service.api.models import Problem
from service.api.parameters import refuse_unknown_parameters
from service.api.streams import streams_router
from service.authorisation import TokenCheck
from service.problems import install_handlers
from service.reader import StateReader

_DESCRIPTION: Final = (
    "Where work is, where it waits, and what came of it. Times are in seconds, instants RFC 3339 in UTC, durations in "
    "parameters such as `90s`, `4h` or `7d`; `null` is said where there is nothing to say. Errors are RFC 9457 problem "
    "details, with a `reason` out of a fixed set of words."
)
_TAGS: Final = [
    {"name": "streams", "description": "Value streams and their stages"},
    {"name": "items", "description": "Work items"},
    {"name": "deliveries", "description": "Delivery lanes: DORA's five, by service and environment"},
    {"name": "dead letters", "description": "What could not be applied"},
    {"name": "health", "description": "For orchestrators"},
]

_BEARER: Final = HTTPBearer(auto_error=False, description="A token of those whose SHA-256 the settings list")


def build_api(reader: StateReader, tokens: TokenCheck, version: str) -> FastAPI:
    """The application. Its documentation is at /docs, with all that it needs served from here, and /openapi.json."""
    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/assets",
        title="Streamgauge",
        version=version,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    install_handlers(app)

    async def authorise(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> None:
        tokens.check(request.headers)

    guarded = [Depends(authorise), Depends(refuse_unknown_parameters)]
    for router in (
        streams_router(reader),
        cumulative_flow_router(reader),
        items_router(reader),
        deliveries_router(reader),
        dead_letters_router(reader),
    ):
        app.include_router(router, dependencies=guarded)
    app.include_router(health_router(reader, version))
    # Until there is a page to look at, the documentation is the best that we can show.
    app.add_api_route("/", lambda: RedirectResponse("/docs"), include_in_schema=False)
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `/openapi.json` answers: made once, with the shape of problems, which no route returns as its own."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                license_info=app.license_info,
            )
            _, shapes = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
            schema["components"]["schemas"] |= shapes["$defs"]
            app.openapi_schema = schema
        return app.openapi_schema

    return openapi
