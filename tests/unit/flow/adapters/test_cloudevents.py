import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters.cloudevents import CloudEvent, is_cloudevent, read_cloudevents
from flow.adapters.delivery import Delivery
from flow.errors import Reason, Rejected
from flow.instants import parse_instant

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/acme", "ce-type": "acme.done"}


def event(**more):
    return {"specversion": "1.0", "id": "1", "source": "/acme", "type": "acme.done", **more}


def read(headers, body):
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_cloudevents(Delivery("cloudevents", headers, payload, 0))


def refused(headers, body):
    with pytest.raises(Rejected) as error:
        read(headers, body)
    return error.value


def test_a_structured_event_is_read_whole():
    sent = event(time="2026-11-22T09:30:00Z", subject="s", datacontenttype="application/json", data={"a": 1}, more=None)
    assert read(STRUCTURED, json.dumps(sent).encode()) == [
        CloudEvent(
            "1", "/acme", "acme.done", b'{"a": 1}', parse_instant("2026-11-22T09:30:00Z"), "s", "application/json"
        )
    ]


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({}, b""),
        ({"data": None}, b"null"),
        ({"data": "plain"}, b'"plain"'),
        ({"data": "<a/>", "datacontenttype": "application/xml"}, b"<a/>"),
        ({"data": {"a": 1}, "datacontenttype": "application/vnd.acme+json"}, b'{"a": 1}'),
        ({"data_base64": "eyJhIjogMX0="}, b'{"a": 1}'),
    ],
)
def test_data_is_what_was_meant(members, data):
    assert read(STRUCTURED, event(**members))[0].data == data


def test_a_batch_is_told_from_a_structured_event():
    assert [one.id for one in read(BATCH, [event(), event(id="2")])] == ["1", "2"]
    assert read(BATCH, []) == []


def test_a_binary_event_has_its_attributes_in_headers_and_its_data_in_the_body():
    headers = {**BINARY, "ce-subject": "caf%C3%A9", "ce-source": '"/a\\"b"', "content-type": "application/json"}
    (read_event,) = read(headers, b'\xef\xbb\xbf{"a": 1}')
    assert (read_event.subject, read_event.source, read_event.data) == ("café", '/a"b', b'{"a": 1}')


def test_binary_data_that_is_no_json_is_kept_as_it_is():
    (read_event,) = read({**BINARY, "content-type": "text/plain"}, b"\xef\xbb\xbfhello")
    assert (read_event.data, read_event.datacontenttype) == (b"\xef\xbb\xbfhello", "text/plain")


def test_all_that_is_wrong_is_said_at_once():
    error = refused(STRUCTURED, {"specversion": "0.3", "id": 5, "source": "", "time": "soon", "data_base64": "?"})
    assert error.reason is Reason.NOT_UNDERSTOOD
    for problem in (
        "specversion is not 1.0",
        "id is not a string",
        "source is missing",
        "type is missing",
        "time",
        "base64",
    ):
        assert problem in error.message
    assert "id is missing" not in error.message


def test_a_batch_says_which_event_is_wrong():
    assert "event 2 of 2: id is missing" in refused(BATCH, [event(), event(id=None)]).message


@pytest.mark.parametrize(
    "headers", [{key: value for key, value in BINARY.items() if key != missing} for missing in BINARY]
)
def test_a_binary_event_that_lacks_an_attribute_says_so(headers):
    assert "is missing" in refused(headers, b"{}").message


def test_an_attribute_that_is_not_percent_encoded_utf_8_is_named():
    assert "id is not percent-encoded" in refused({**BINARY, "ce-id": "%ff"}, b"{}").message


def test_an_attribute_that_is_too_long_is_named():
    assert "id is longer" in refused(STRUCTURED, event(id="x" * 256)).message


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "application/json"}, {**BINARY, "content-type": "application/cloudevents+avro"}],
)
def test_what_is_no_cloudevent_in_json_is_an_unsupported_media_type(headers):
    assert refused(headers, b"{}").reason is Reason.UNSUPPORTED_MEDIA_TYPE


def test_the_headers_tell_a_cloudevent():
    assert all(is_cloudevent(Delivery("x", headers, b"", 0)) for headers in (STRUCTURED, BATCH, BINARY))
    assert not is_cloudevent(Delivery("x", {"content-type": "application/json"}, b"", 0))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["specversion", "id", "source", "type", "time", "subject", "data", "data_base64"])


@given(
    st.sampled_from([STRUCTURED, BATCH, BINARY]),
    st.dictionaries(NAMES, ANY_JSON).map(lambda members: event(**members)),
    st.booleans(),
)
def test_any_event_is_read_or_refused(headers, sent, in_list):
    try:
        read(headers, [sent] if in_list else sent)
    except Rejected as error:
        assert error.reason in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}  # noqa: PT017


@given(st.sampled_from([STRUCTURED, BATCH, BINARY]), st.binary(), st.text())
def test_any_bytes_are_read_or_refused(headers, body, identity):
    try:
        read({**headers, "ce-id": identity}, body)
    except Rejected as error:
        assert error.reason in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON, Reason.UNSUPPORTED_MEDIA_TYPE}  # noqa: PT017
