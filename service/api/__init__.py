"""The query API: GET routes over the live state, their documentation, and errors as problem details."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import models_json_schema

from service.api.ageing import ageing_router
from service.api.bottlenecks import bottlenecks_router
from service.api.cumulative_flow import cumulative_flow_router
from service.api.dead_letters import dead_letters_router
from service.api.deliveries import deliveries_router
from service.api.forecast import forecast_router
from service.api.health import health_router
from service.api.items import items_router
from service.api.live import live_router
from service.api.measures import measures_router
from service.api.models import Problem
from service.api.parameters import refuse_unknown_parameters
from service.api.streams import streams_router
from service.api.unmapped_statuses import unmapped_statuses_router
from service.api.wsjf import wsjf_router
from service.authorisation import TokenCheck
from service.live import Live, Operation
from service.page_files import page_routes
from service.problems import install_handlers
from service.reader import StateReader
from service.reader_bottlenecks import BottleneckReader
from service.spool import Spool

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


def build_api(
    reader: StateReader, tokens: TokenCheck, version: str, spool: Spool | None = None, live: Live | None = None
) -> FastAPI:
    """The application, with the live page at `/`.

    Its documentation is at /docs, with all that it needs served from here, and /openapi.json.
    """
    live = live or Live(reader.definitions, reader.clock, version)
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
    routers = [
        streams_router(reader),
        cumulative_flow_router(reader),
        measures_router(reader),
        forecast_router(reader),
        ageing_router(reader),
        wsjf_router(reader),
        unmapped_statuses_router(reader),
        items_router(reader),
        bottlenecks_router(BottleneckReader(reader)),
        deliveries_router(reader),
        dead_letters_router(reader),
        live_router(reader, live),
    ]
    for router in routers:
        app.include_router(router, dependencies=guarded)
    app.include_router(health_router(reader, version, spool))
    app.router.routes.extend(page_routes())
    live.operations = _operations(routers)
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    return app


def _operations(routers: Sequence[APIRouter]) -> dict[str, Operation]:
    """What the routes run, by operation id; called so, nothing is checked but what the functions check themselves."""
    routes = (route for router in routers for route in router.routes)
    return {
        route.operation_id: route.endpoint for route in routes if isinstance(route, APIRoute) and route.operation_id
    }


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
