"""Pages to columns: what Twilio documents goes fast, what it does not goes safely."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pyarrow as pa
import pytest

from transforms.accounts import ACCOUNT_RECORD
from transforms.dates import parse_rfc2822
from transforms.messages import MESSAGE_RECORD
from transforms.records import (
    NewestFirst,
    RecordShape,
    decode_page,
    parse_decimal,
    parse_integer,
)
from transforms.tables import MONEY
from transforms.usage_records import USAGE_RECORD


def page(*records: object, **envelope: object) -> bytes:
    return orjson.dumps({"messages": list(records), "next_page_uri": None, **envelope})


def column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def test_a_page_becomes_columns_of_text() -> None:
    decoded = decode_page(
        page({"sid": "SM1", "error_code": 30003}, {"sid": "SM2"}, next_page_uri="/next"),
        MESSAGE_RECORD,
    )
    assert decoded.next_page_uri == "/next"
    assert decoded.records["sid"].to_pylist() == ["SM1", "SM2"]
    assert decoded.records["error_code"].to_pylist() == ["30003", None]
    assert decoded.records["extra"].to_pylist() == [None, None]


# As the examples in Twilio's documentation.
DOCUMENTED = {
    "messages": {
        "account_sid": "AC1", "api_version": "2010-04-01", "body": "testing",
        "date_created": "Fri, 24 May 2019 17:44:46 +0000", "date_sent": None,
        "direction": "outbound-api", "error_code": 30007, "error_message": "Filtered",
        "from": "+15550000001", "messaging_service_sid": None, "num_media": "0",
        "num_segments": "1", "price": "-0.00750", "price_unit": "USD", "sid": "SM1",
        "status": "undelivered", "subresource_uris": {"media": "/m", "feedback": "/f"},
        "to": "+15550000002", "uri": "/SM1.json",
    },
    "usage_records": {
        "account_sid": "AC1", "api_version": "2010-04-01", "as_of": "2019-06-24T22:32:49+00:00",
        "category": "sms", "count": "3", "count_unit": "messages", "description": "SMS",
        "end_date": "2019-05-24", "price": "0.03", "price_unit": "usd",
        "start_date": "2019-05-24", "subresource_uris": {"daily": "/d", "monthly": "/m"},
        "uri": "/sms.json", "usage": "3", "usage_unit": "segments",
    },
    "accounts": {
        "auth_token": "x", "date_created": "Fri, 24 May 2019 17:44:46 +0000",
        "date_updated": "Fri, 24 May 2019 17:44:46 +0000", "friendly_name": "Own",
        "owner_account_sid": "AC1", "sid": "AC1", "status": "active",
        "subresource_uris": {"messages": "/m"}, "type": "Full", "uri": "/AC1.json",
    },
}  # fmt: skip


@pytest.mark.parametrize("option", [None, orjson.OPT_INDENT_2], ids=["in a line", "in lines"])
@pytest.mark.parametrize("shape", [MESSAGE_RECORD, USAGE_RECORD, ACCOUNT_RECORD])
def test_what_twilio_documents_is_read_all_at_once(
    shape: RecordShape, option: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("transforms.records._decode_page_by_record")
    record = DOCUMENTED[shape.list_key]
    content = orjson.dumps({shape.list_key: [record] * 5000, "next_page_uri": None}, option=option)
    expected = {name: record.get(name) for name in (*shape.kept, "extra")}
    if record.get("error_code"):
        expected["error_code"] = "30007"
    assert decode_page(content, shape).records.to_pylist() == [expected] * 5000


@pytest.mark.parametrize("shape", [MESSAGE_RECORD, USAGE_RECORD, ACCOUNT_RECORD])
def test_a_page_is_parsed_in_the_order_in_which_twilio_documents_its_fields(
    shape: RecordShape,
) -> None:
    names = [field.name for field in shape.wire.field(shape.list_key).type.value_type]
    documented = DOCUMENTED[shape.list_key]
    assert [name for name in names if name in documented] == list(documented)


def test_an_empty_page_has_no_rows() -> None:
    assert decode_page(page(), MESSAGE_RECORD).records.num_rows == 0


def test_unknown_fields_are_kept_as_json_of_the_rows_that_have_them() -> None:
    decoded = decode_page(
        page({"sid": "SM1", "tags": {"b": 1, "a": "2026-01-01"}}, {"sid": "SM2"}), MESSAGE_RECORD
    )
    assert decoded.records["extra"].to_pylist() == ['{"tags":{"a":"2026-01-01","b":1}}', None]


@pytest.mark.parametrize("uri", ["/x", 5], ids=["all at once", "record by record"])
def test_an_unknown_field_without_a_value_is_not_kept(uri: object) -> None:
    first = {"sid": "SM1", "uri": uri, "tags": None, "mood": {"is": None}}
    decoded = decode_page(page(first, {"sid": "SM2", "tags": None}), MESSAGE_RECORD)
    assert decoded.records["extra"].to_pylist() == ['{"mood":{"is":null}}', None]


def test_an_unknown_number_of_more_than_64_bits_keeps_its_digits() -> None:
    content = page({"sid": "SM1", "units": "MANY", "name": "Ñ"}, {"sid": "SM2"})
    number = "123456789012345678901234567890"
    decoded = decode_page(content.replace(b'"MANY"', number.encode()), MESSAGE_RECORD)
    assert decoded.records["extra"].to_pylist() == [f'{{"name":"Ñ","units":{number}}}', None]


def test_fields_nobody_needs_are_not_extra() -> None:
    decoded = decode_page(
        page({"sid": "SM1", "uri": "/x", "subresource_uris": {"media": "/m"}, "api_version": "1"}),
        MESSAGE_RECORD,
    )
    assert decoded.records["extra"].to_pylist() == [None]


@pytest.mark.parametrize(
    "fields",
    [
        {"uri": 5, "error_message": {"text": "it"}},
        {"subresource_uris": "/x"},
        {"subresource_uris": [{"media": "/m"}]},
        {"subresource_uris": {}, "api_version": None},
        {"subresource_uris": None},
    ],
)
def test_fields_nobody_needs_may_hold_anything_and_stand_anywhere(
    fields: dict[str, object],
) -> None:
    first = {"to": "+525550000001", **fields, "sid": "SM1", "body": "Hola"}
    decoded = decode_page(page(first, {"body": "", "sid": "SM2", "to": None}), MESSAGE_RECORD)
    rows = decoded.records.select(["sid", "to", "body", "extra"]).to_pylist()
    assert rows == [
        {"sid": "SM1", "to": "+525550000001", "body": "Hola", "extra": None},
        {"sid": "SM2", "to": None, "body": "", "extra": None},
    ]


def test_values_of_other_json_types_than_documented_are_read_all_the_same() -> None:
    decoded = decode_page(
        page({"sid": "SM1", "num_segments": 3, "price": -7.5e-05, "error_code": "30003"}),
        MESSAGE_RECORD,
    )
    (row,) = decoded.records.to_pylist()
    assert (row["num_segments"], row["price"], row["error_code"]) == ("3", "-0.000075", "30003")


def test_a_record_that_is_no_object_is_still_a_row() -> None:
    assert decode_page(page({"sid": "SM1"}, 7), MESSAGE_RECORD).records.num_rows == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b" 1",
        b"<html>502 Bad Gateway</html>",
        b'{"messages": [{"sid": "SM1"',
        b'{"code": 20500}',
        b'{"messages": null}',
        b"[]",
        b"7",
    ],
)
def test_a_broken_answer_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        decode_page(content, MESSAGE_RECORD)


def test_decimals_are_exact_or_null() -> None:
    parsed = parse_decimal(
        column("-0.00750", "12", "+1.5", "0.0000010000", "0.0000001", "1e5", "", " 1", None), MONEY
    )
    assert parsed.to_pylist() == [
        Decimal("-0.007500"),
        Decimal(12),
        Decimal("1.5"),
        Decimal("0.000001"),
        None,
        None,
        None,
        None,
        None,
    ]


def test_integers_are_whole_or_null() -> None:
    assert parse_integer(column("3", "0", "-1", "1.0", "9999999999", None)).to_pylist() == [
        3,
        0,
        None,
        None,
        None,
        None,
    ]


def test_dates_follow_rfc_2822_whatever_their_offset() -> None:
    parsed = parse_rfc2822(
        column("Fri, 24 May 2019 17:44:46 +0000", "Fri, 24 May 2019 17:44:46 -0600", "2019-05-24")
    ).to_pylist()
    assert [instant and instant.isoformat() for instant in parsed] == [
        "2019-05-24T17:44:46+00:00",
        "2019-05-24T23:44:46+00:00",
        None,
    ]


def test_unknown_fields_are_found_among_other_records_and_nested_objects() -> None:
    records = [
        {"sid": f"SM{i}", "body": f'says "SM{i + 1}" {{', "subresource_uris": {"media": f"/SM{i}"}}
        for i in range(40)
    ]
    records[3]["tags"] = {"deep": {"ref": "SM7", "at": "2026-01-01T00:00:00Z"}}
    records[7]["tags"] = [1, {"a": None}]
    decoded = decode_page(page(*records), MESSAGE_RECORD)
    extras = decoded.records["extra"].to_pylist()
    assert extras[3] == '{"tags":{"deep":{"at":"2026-01-01T00:00:00Z","ref":"SM7"}}}'
    assert extras[7] == '{"tags":[1,{"a":null}]}'
    assert [place for place, extra in enumerate(extras) if extra] == [3, 7]


def seconds(*listed: tuple[str, int | None]) -> dict[str, object]:
    """A page of messages, each sent in a second of a minute; none: created in it, never sent."""
    return {
        "messages": [
            {
                "sid": sid,
                "date_sent": None if second is None else f"Fri, 24 May 2019 17:44:{second} +0000",
                "date_created": "Fri, 24 May 2019 17:44:30 +0000",
            }
            for sid, second in listed
        ]
    }


@pytest.mark.parametrize("at_once", [1, 2, 8])
@pytest.mark.parametrize(
    ("pages", "is_kept"),
    [
        ([[("a", 59), ("b", 40), ("c", 40)], [("d", 40), ("e", None), ("f", 20)]], True),
        # New messages came in between: the list has moved on, and shows these two again.
        ([[("a", 59), ("b", 45), ("c", 40)], [("b", 45), ("c", 40), ("d", 12)]], True),
        ([[("a", 59), ("b", 45)], [("b", 45), ("c", 12)], [("c", 12), ("d", 11)]], True),
        # The page before showed it, not the one before that.
        ([[("a", 59)], [("b", 40)], [("a", 59), ("c", 12)]], False),
        ([[("a", 59)], [("b", 40)], [("c", 41)], [("d", 20)]], False),
        # What comes after does not make up for it.
        ([[("a", 50)], [("b", 51)], [("b", 51), ("c", 12)]], False),
        ([[("a", 59), ("b", 40)], [("c", 41)]], False),
        ([[("a", 59), ("b", 40)], [("a", 59), ("c", 41)]], False),
        ([[("a", 20), ("b", 21)], [("c", 10)]], False),
        ([[("a", 20), ("b", None)]], False),
        ([[("a", 20)], [], [("b", 21)]], False),
        # A second 60 is none: the one before it still counts.
        ([[("a", 20), ("b", 60)], [("c", 21)]], False),
    ],
)
def test_a_list_is_newest_first_across_its_pages(
    pages: list[list[tuple[str, int | None]]], is_kept: bool, at_once: int
) -> None:
    order = NewestFirst(("date_sent", "date_created"))
    lists = [decode_page(orjson.dumps(seconds(*page)), MESSAGE_RECORD).records for page in pages]
    for first in range(0, len(lists), at_once):
        order.look_at([page.select(order.columns) for page in lists[first : first + at_once]])
    order.look_at([])
    assert order.is_kept == is_kept
