from __future__ import annotations

import httpx
import pytest

from flow.errors import Unauthorised
from service.api_client import ApiClient
from service.command_line.status_command import Watcher


class Service:
    """Answers as the API does; `lag` and `down` can be changed, and `now` is the clock (seconds)."""

    def __init__(self):
        self.now = 100.0
        self.lag: int | None = 0
        self.down: httpx.Response | None = None
        self.asked: list[str] = []
        self.unmapped: list[dict[str, object]] = []

    def __call__(self, request):
        self.asked.append(str(request.url.raw_path.decode()))
        if self.down is not None:
            return self.down
        if request.url.path == "/readyz":
            return httpx.Response(200, json={"ready": True, "checks": {}, "lag_facts": self.lag})
        if request.url.path == "/v1/streams":
            return httpx.Response(200, json={"streams": [{"stream": "a"}, {"stream": "b/c"}]})
        if request.url.path.endswith("/unmapped-statuses"):
            return httpx.Response(200, json={"stream": "a", "statuses": self.unmapped})
        return httpx.Response(200, json={"stream": request.url.path})

    def watcher(self, stream=None):
        client = ApiClient("http://gauge.example", transport=httpx.MockTransport(self))
        return Watcher(client, stream, "7d", lambda: self.now)


@pytest.fixture
def service():
    return Service()


def test_all_streams_are_asked_for_or_the_one_that_is_named(service):
    service.watcher().read()
    streams = ["/v1/streams/a?window=7d", "/v1/streams/b%2Fc?window=7d"]
    unmapped = ["/v1/streams/a/unmapped-statuses", "/v1/streams/b%2Fc/unmapped-statuses"]
    assert service.asked == ["/v1/streams", *streams, *unmapped, "/readyz"]
    service.asked.clear()
    service.watcher("b/c").read()
    assert service.asked == ["/v1/streams/b%2Fc?window=7d", "/v1/streams/b%2Fc/unmapped-statuses", "/readyz"]


def test_statuses_that_belong_to_no_stage_are_known_by_stream(service):
    service.unmapped = [{"source": "jira", "status": "Waiting", "facts": 2}]
    watcher = service.watcher("a")
    watcher.read()
    assert watcher.view().unmapped == {"a": service.unmapped}


def test_without_an_answer_the_last_figures_stay_and_grow_old(service):
    watcher = service.watcher("a")
    watcher.read()
    service.down, service.now = httpx.Response(503, json={"detail": "not now"}), 130.0
    watcher.try_to_read()
    view = watcher.view()
    assert (len(view.statuses), view.age, view.error) == (1, 30.0, "not now")
    service.down = None
    watcher.try_to_read()
    assert (watcher.view().age, watcher.view().error) == (0.0, None)


def test_what_no_waiting_will_mend_ends_the_watching(service):
    service.down = httpx.Response(401, json={"reason": "bad_token", "detail": "not known"})
    with pytest.raises(Unauthorised):
        service.watcher().try_to_read()


def test_facts_that_nobody_applies_are_noticed_and_facts_that_are_being_applied_are_not(service):
    watcher = service.watcher("a")
    for service.now, service.lag in ((100.0, 0), (110.0, 50), (120.0, 50)):
        watcher.read()
    assert (watcher.view().behind, watcher.view().stuck) == (50, 20.0)
    service.now, service.lag = 130.0, 20
    watcher.read()
    assert (watcher.view().behind, watcher.view().stuck) == (20, 0.0)


def test_a_log_whose_lag_is_not_known_is_no_reason_to_warn(service):
    service.lag = None
    watcher = service.watcher("a")
    watcher.read()
    service.now = 200.0
    watcher.read()
    assert (watcher.view().behind, watcher.view().stuck) == (None, 0.0)
