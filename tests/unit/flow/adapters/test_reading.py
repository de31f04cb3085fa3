from urllib.parse import quote

import msgspec
import pytest

from flow.adapters.delivery import Delivery
from flow.adapters.reading import (
    LONGEST_TEXT,
    address_of,
    blocked_by,
    decode,
    identified,
    items_in,
    items_of,
    json_of,
    title_of,
)
from flow.errors import Reason, Rejected
from flow.facts import ItemFact

ANYTHING = msgspec.json.Decoder(dict[str, int])
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def delivery(body, headers=None):
    return Delivery("acme", headers or {}, body, 0)


def test_a_byte_order_mark_is_passed_over():
    assert json_of(delivery(b'\xef\xbb\xbf{"a": 1}')) == b'{"a": 1}'


def test_the_payload_of_a_form_is_its_json():
    assert json_of(delivery(b"payload=" + quote('{"a": "ü&"}').encode(), FORM)) == '{"a": "ü&"}'.encode()


@pytest.mark.parametrize("body", [b"", b"other=1", b"payload=", b"payload=%ff", b"payload=\xff", b"a=1&" * 200])
def test_a_form_without_a_readable_payload_is_not_understood(body):
    with pytest.raises(Rejected) as refused:
        json_of(delivery(body, FORM))
    assert refused.value.reason is Reason.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.MALFORMED_JSON),
        (b'{"a": 1', Reason.MALFORMED_JSON),
        (b'{"a": 1} 2', Reason.MALFORMED_JSON),
        (b'{"\xff": 1}', Reason.MALFORMED_JSON),
        (b'{"a":' + b"[" * 100_000, Reason.NOT_UNDERSTOOD),
        (b'{"a": "one"}', Reason.NOT_UNDERSTOOD),
        (b"[]", Reason.NOT_UNDERSTOOD),
    ],
)
def test_unreadable_json_is_refused_with_its_reason(text, reason):
    with pytest.raises(Rejected, match="not a thing") as refused:
        decode(ANYTHING, text, "a thing")
    assert refused.value.reason is reason


def test_json_nested_too_deeply_is_refused():
    class Empty(msgspec.Struct):
        pass

    with pytest.raises(Rejected, match="nested too deeply"):
        decode(msgspec.json.Decoder(Empty), b'{"a":' + b"[" * 100_000, "a thing")


def test_an_id_is_the_same_for_equal_facts_only():
    def one(**more):
        return identified("item:A-1", ItemFact(id="", source="acme", item="A-1", at=5, **more)).id

    assert one(status="Doing") == one(status="Doing")
    assert len({one(), one(status="Doing"), one(status="Done"), one(labels=()), one(seq=1)}) == 5
    assert one().startswith("item:A-1:")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "", None, "https://" + "x" * 2000])
def test_only_a_web_address_is_kept_as_one(address):
    assert address_of(address) is None


def test_web_addresses_are_kept():
    assert address_of("https://code.example/acme/shop/1") == "https://code.example/acme/shop/1"
    assert address_of("HTTP://code.example") == "HTTP://code.example"


def test_titles_are_cut_and_empty_ones_say_nothing():
    assert title_of("x" * 501) == "x" * 500
    assert title_of("") is None


def test_of_a_long_text_only_the_beginning_is_read_and_what_is_missing_names_nothing():
    def words(texts):
        return [word for text in texts for word in text.split()]

    assert items_in(words, "A-1 A-2", None, "", "A-1 " + " " * LONGEST_TEXT + "A-3") == ("A-1", "A-2")


def test_items_are_named_once_and_bounded():
    assert items_of(["B", "A", "B", "", "x" * 256]) == ("B", "A")
    assert len(items_of(str(number) for number in range(1000))) == 100


def test_a_label_blocks_whatever_its_case():
    assert blocked_by(["ui", "BLOCKED"])
    assert not blocked_by(["unblocked", "blocked by design"])
