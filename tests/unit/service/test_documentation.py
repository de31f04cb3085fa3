"""The OpenAPI document: what it says must be complete, and its examples true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from flow.cells import Retention
from flow.definitions import Definitions
from service.api import build_api
from service.api.models import Answer
from service.authorisation import TokenCheck
from service.problems import MEDIA_TYPE
from service.reader import StateReader

OPEN = {"/healthz", "/readyz"}
LIVE = "/v1/live"


def api() -> Any:
    reader = StateReader(Redis(), Definitions({}), Retention(), 1, lambda: 0)
    return build_api(reader, TokenCheck({}, open_access=True), "1.2.3")


APP = api()
DOCUMENT: dict[str, Any] = APP.openapi()
OPERATIONS = [(path, route["get"]) for path, route in DOCUMENT["paths"].items()]
PATHS = [path for path, _ in OPERATIONS]


def answers(of: type[Answer] = Answer) -> Iterator[type[Answer]]:
    for model in of.__subclasses__():
        yield model
        yield from answers(model)


def test_all_routes_of_the_design_are_there():
    stream = "/v1/streams/{stream}"
    assert set(PATHS) == OPEN | {
        "/v1/streams", stream, f"{stream}/stages/{{stage}}", f"{stream}/items", f"{stream}/items/{{item}}",
        f"{stream}/stages/{{stage}}/wsjf", f"{stream}/ageing", f"{stream}/measures", f"{stream}/forecast",
        f"{stream}/cumulative-flow", f"{stream}/unmapped-statuses",
        "/v1/bottlenecks", "/v1/deliveries", "/v1/dead-letters",
        "/v1/live",
    }  # fmt: skip
    assert DOCUMENT["info"]["version"] == "1.2.3"


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=PATHS)
def test_every_operation_is_described_with_an_example(path, operation):
    assert operation["description"]
    assert operation["tags"]
    content = operation["responses"]["200"]["content"]
    if path == LIVE:
        assert content["text/event-stream"]["example"].startswith("event: hello\n")
    else:
        shape = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert DOCUMENT["components"]["schemas"][shape]["examples"]
    assert all(parameter.get("description") for parameter in operation.get("parameters", []))


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=PATHS)
def test_every_error_is_documented_as_a_problem(path, operation):
    errors = {status: answer for status, answer in operation["responses"].items() if status != "200"}
    if path in OPEN:
        return
    assert {"401", "422", "503"} <= set(errors)
    assert ("404" in errors) == ("{" in path or path == LIVE)  # its stream is a parameter
    for answer in errors.values():
        assert list(answer["content"]) == [MEDIA_TYPE]
    assert operation["security"] == [{"HTTPBearer": []}]


def test_a_parameter_that_is_a_duration_or_an_instant_says_of_which_shape_its_example_is():
    kinds = {"window": "pattern", "history": "pattern", "older_than": "pattern", "at": "format", "by": "format"}
    told = []
    for path, operation in OPERATIONS:
        for parameter in operation.get("parameters", []):
            if parameter["name"] in kinds and path != LIVE:
                shape = parameter["schema"].get("anyOf", [parameter["schema"]])[0]
                pattern = shape.get("pattern", ".*")
                assert all(re.fullmatch(pattern, example) for example in parameter["schema"]["examples"])
                assert kinds[parameter["name"]] in shape
                told.append(parameter["name"])
    assert set(told) == set(kinds)


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_every_reference_leads_somewhere():
    wanted = set(re.findall(r"'#/components/schemas/(\w+)'", str(DOCUMENT)))
    assert "Problem" in wanted
    assert wanted <= set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("model", [model for model in answers() if model.model_json_schema().get("examples")])
def test_the_examples_are_of_their_shape(model):
    for example in model.model_json_schema()["examples"]:
        model.model_validate(example)


async def test_the_documentation_page_needs_no_other_host():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://test")
    page = (await client.get("/docs")).text
    assert "swagger" in page
    assert not re.search(r"https?://|['\"]//", page)
    for asset in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page):
        assert (await client.get(asset)).status_code == 200
