"""Every route of the running product against its own OpenAPI document: what it promises is what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.integration.installation import Installation
from tests.integration.monitored import STREAMS

TOKEN: Final = "a token for tests"


@pytest.fixture
def described(tmp_path: Any) -> Iterator[Any]:
    """The document of a running installation."""
    hashed = sha256(TOKEN.encode()).hexdigest()
    installation = Installation(tmp_path, STREAMS, STREAMGAUGE_API__TOKENS=f"test:{hashed}")
    with asyncio.Runner() as runner:
        runner.run(installation.start())
        try:
            yield schemathesis.openapi.from_url(f"{installation.base}/openapi.json")
        finally:
            runner.run(installation.close())


@pytest.mark.needs_server("valkey")
@pytest.mark.timeout(300)
def test_every_answer_is_one_that_the_document_promises(described: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    operations = [operation for operation in operations if operation.path != "/v1/live"]  # its answer never ends
    assert len(operations) >= 13
    for operation in operations:
        check_answers_of(operation)


def check_answers_of(operation: Any) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def answers_are_promised(case: Any) -> None:
        case.call_and_validate(
            headers={"Authorization": f"Bearer {TOKEN}"},
            # A schema can't say all that is asked of a value: a duration within what is kept, a signature of the body.
            excluded_checks=[positive_data_acceptance],
        )

    answers_are_promised()
