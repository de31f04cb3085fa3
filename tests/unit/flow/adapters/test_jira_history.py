from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters import jira
from flow.adapters.delivery import Delivery
from flow.adapters.jira_history import facts_of_issue
from flow.errors import Reason, Rejected
from flow.instants import parse_instant
from tests.servers.jira_api import Jira
from tests.unit.flow.adapters.telling import names_in

AT = parse_instant("2026-11-20T08:00:00Z") + 123
HOUR = 3_600_000


def from_webhooks(site):
    deliveries = [Delivery("jira", {}, json.dumps(body).encode(), AT) for body in site.webhooks()]
    return [fact for delivery in deliveries for fact in jira.translate(delivery, names_in).facts]


def from_history(site, order=1):
    return [
        fact for issue in site.issues for fact in facts_of_issue(issue.as_api(None), issue.histories[::order], names_in)
    ]


def by_id(facts):
    return sorted(facts, key=lambda fact: fact.id)


CHANGES = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(["To Do", "In Progress", "In Review", "Done"])),
    st.tuples(st.just("label"), st.sampled_from(["", "web", "web mobile", "mobile"])),
    st.tuples(st.just("rename"), st.sampled_from(["Pay", "Pay by card", "Pay by invoice"])),
    st.tuples(st.just("retype"), st.sampled_from(["Story", "Bug"])),
    st.tuples(st.just("flag"), st.booleans()),
    st.tuples(st.just("estimate"), st.sampled_from(["3", "5.5", "?"])),
    st.tuples(st.just("move_project"), st.sampled_from(["CHK-12", "WEB-7", "WEB-9"])),
)  # fmt: skip


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 5), CHANGES), max_size=12), st.sampled_from([1, -1]))
def test_the_history_tells_the_same_facts_under_the_same_ids_as_the_webhooks(data_center, changes, order):
    site = Jira(data_center=data_center)
    issue = site.create("CHK-12", AT, labels=["web"])
    at = AT
    for minutes, (what, value) in changes:
        at += minutes * 60_000
        if what == "label":
            issue.label(at, *value.split())
        elif what == "flag":
            issue.flag(at, blocked=value)
        else:
            getattr(issue, what)(at, value)
    assert by_id(from_history(site, order)) == by_id(from_webhooks(site))


def test_an_item_in_progress_keeps_its_true_start():
    site = Jira()
    issue = site.create("CHK-12", AT)
    issue.move(AT + HOUR, "In Progress")
    issue.rename(AT + 2 * HOUR, "Pay by invoice")
    assert [(fact.at, fact.status) for fact in from_history(site)] == [
        (AT, "To Do"), (AT + HOUR, "In Progress"), (AT + 2 * HOUR, "In Progress"),
    ]  # fmt: skip


def test_a_webhook_that_came_some_milliseconds_later_has_the_same_id():
    site = Jira()
    issue = site.create("CHK-12", AT)
    issue.move(AT + HOUR, "Done")
    issue.webhooks[-1]["timestamp"] += 17
    assert [fact.id for fact in from_history(site)] == [fact.id for fact in from_webhooks(site)]


def test_a_field_that_is_only_called_status_moves_nothing():
    site = Jira()
    issue = site.create("CHK-12", AT, status="To Do")
    site.field_ids = {"Status": "customfield_10088"}
    issue.change(AT + HOUR, ("Status", "green", "red"))
    assert {fact.status for fact in from_history(site)} == {"To Do"}


@pytest.mark.parametrize("change", [{"fields": None}, {"key": 7}, {"fields": {"created": "yesterday"}}, {"fields": {}}])
def test_an_issue_that_is_not_one_is_refused(change):
    site = Jira()
    issue = {**site.create("CHK-12", AT).as_api(None), **change}
    with pytest.raises(Rejected) as error:
        facts_of_issue(issue, [], names_in)
    assert error.value.reason is Reason.NOT_UNDERSTOOD
