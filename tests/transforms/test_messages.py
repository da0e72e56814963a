"""Message records to rows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.messages import MESSAGE_RECORD, normalize_messages
from transforms.records import Normalized, decode_page
from transforms.tables import MESSAGES, conform

SEEN_AT = datetime(2026, 11, 24, 6, tzinfo=UTC)
SENT: dict[str, Any] = {
    "sid": "SM00000000000000000000000000000001",
    "account_sid": "AC00000000000000000000000000000001",
    "messaging_service_sid": None,
    "direction": "outbound-api",
    "status": "delivered",
    "error_code": None,
    "from": "+12125550100",
    "to": "whatsapp:+520012345678",
    "date_created": "Mon, 23 Nov 2026 17:44:46 +0000",
    "date_sent": "Mon, 23 Nov 2026 17:44:48 +0000",
    "date_updated": "Mon, 23 Nov 2026 17:44:50 +0000",
    "price": "-0.00750",
    "price_unit": "usd",
    "num_segments": "1",
    "num_media": "0",
    "body": "Su pedido está en camino",
}


def normalized(*records: Any, **options: Any) -> Normalized:
    content = orjson.dumps({"messages": list(records), "next_page_uri": None})
    return normalize_messages(decode_page(content, MESSAGE_RECORD).records, SEEN_AT, **options)


def row(**changes: Any) -> dict[str, Any]:
    result: dict[str, Any] = conform(MESSAGES, normalized({**SENT, **changes}).rows).to_pylist()[0]
    return result


def test_a_record_becomes_a_row_of_the_lake() -> None:
    assert row() == {
        "message_sid": SENT["sid"],
        "account_sid": SENT["account_sid"],
        "messaging_service_sid": None,
        "direction": "outbound-api",
        "status": "delivered",
        "error_code": None,
        "sender": "+12125550100",
        "recipient": "whatsapp:+520012345678",
        "country": "MX",
        "created_at": datetime(2026, 11, 23, 17, 44, 46, tzinfo=UTC),
        "sent_at": datetime(2026, 11, 23, 17, 44, 48, tzinfo=UTC),
        "updated_at": datetime(2026, 11, 23, 17, 44, 50, tzinfo=UTC),
        "price": Decimal("-0.007500"),
        "currency": "USD",
        "segment_count": 1,
        "media_count": 0,
        "body_length": 24,
        "body_encoding": "ucs2",
        "is_opt_out_request": False,
        "body": None,
        "extra": None,
        "first_seen_at": SEEN_AT,
        "last_seen_at": SEEN_AT,
        "missing_since": None,
    }


def test_the_price_of_a_message_not_priced_yet_is_null() -> None:
    assert row(price=None)["price"] is None
    assert row(price="")["price"] is None
    assert row(price="0")["price"] == Decimal(0)


def test_a_message_not_sent_yet_has_no_sent_at_and_may_have_no_sender() -> None:
    unsent = row(date_sent=None, status="scheduled", **{"from": None})
    assert unsent["sent_at"] is None
    assert unsent["sender"] is None


def test_unknown_statuses_and_directions_are_data() -> None:
    unknown = row(status="shipped", direction="sideways")
    assert (unknown["status"], unknown["direction"]) == ("shipped", "sideways")


def test_a_body_is_kept_only_when_asked_for() -> None:
    kept = normalized(SENT, store_bodies=True)
    assert conform(MESSAGES, kept.rows)["body"].to_pylist() == [SENT["body"]]
    assert row()["body"] is None


@pytest.mark.parametrize(
    ("body", "length", "encoding"),
    [
        ("Hola", 4, "gsm7"),
        ("¿Qué pasó? 10 €", 15, "ucs2"),
        ("¡Señor Ñandú!", 13, "ucs2"),
        ("Your order {1} [ok] ~ | ^ \\ costs 5 €\nà la carte", 48, "gsm7"),
        ("👍", 1, "ucs2"),
        ("", 0, None),
        (None, None, None),
    ],
)
def test_length_and_encoding_outlive_the_body(
    body: str | None, length: int | None, encoding: str | None
) -> None:
    described = row(body=body)
    assert (described["body_length"], described["body_encoding"]) == (length, encoding)


@pytest.mark.parametrize(
    ("direction", "body", "is_request"),
    [
        ("inbound", "STOP", True),
        ("inbound", " baja. ", True),
        ("inbound", "no pares", False),
        ("outbound-api", "STOP", False),
        ("inbound", None, False),
    ],
)
def test_inbound_words_of_leaving_are_opt_out_requests(
    direction: str, body: str | None, is_request: bool
) -> None:
    assert row(direction=direction, body=body)["is_opt_out_request"] is is_request


@pytest.mark.parametrize(
    ("direction", "sender", "recipient", "country"),
    [
        ("outbound-api", "+12125550100", "+34012345678", "ES"),
        ("inbound", "whatsapp:+12125550123", "+34012345678", "US"),
        ("outbound-api", "+34012345678", "+14165550100", "CA"),
        ("outbound-api", "+34012345678", "+17875550100", "PR"),
        ("outbound-api", "+34012345678", "+447700900123", "GB"),
        ("outbound-api", "+34012345678", "messenger:123456789012", None),
        ("outbound-api", "+34012345678", "12345", None),
        ("outbound-api", "+34012345678", None, None),
        ("outbound-api", "+34012345678", "+999123456789", None),
    ],
)
def test_country_is_that_of_the_other_partys_number(
    direction: str, sender: str, recipient: str | None, country: str | None
) -> None:
    assert row(direction=direction, **{"from": sender, "to": recipient})["country"] == country


def test_masked_numbers_keep_people_apart_and_their_country() -> None:
    one = normalized(SENT, {**SENT, "to": "whatsapp:+520012345978"}, phone_numbers="masked",
                     phone_key="k").rows  # fmt: skip
    first, second = one["recipient"].tolist()
    assert first != second
    assert first.startswith("whatsapp:+52…78#")
    assert "0012345" not in first
    assert one["country"].tolist() == ["MX", "MX"]


def test_hashed_numbers_depend_on_the_key() -> None:
    one, other = (
        normalized(SENT, phone_numbers="hashed", phone_key=key).rows["recipient"].tolist()[0]
        for key in ("a", "b")
    )
    assert one != other
    assert "52" not in one.removeprefix("whatsapp:")[:3]


def test_what_cannot_be_a_row_is_kept_with_its_reason_and_without_its_body() -> None:
    result = normalized(SENT, {**SENT, "price": "abc", "body": "secret words"}, {"sid": "SM3"}, 7)
    assert len(result.rows) == 1
    assert result.rejects["reason"].tolist() == [
        "price is no amount of 9 digits and 6 decimals",
        "it has no account_sid",
        "it has no sid",
    ]
    kept = orjson.loads(result.rejects["record"].tolist()[0])
    assert kept["body_length"] == 12
    assert not result.rejects["record"].str.contains("secret").any()


json_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            json_values,
            st.builds(
                lambda field, value: {**SENT, field: value},
                st.sampled_from([*SENT, "tags"]),
                json_values,
            ),
        ),
        max_size=6,
    )
)
def test_every_record_becomes_a_row_or_a_reject_and_never_an_error(records: list[Any]) -> None:
    try:
        content = orjson.dumps({"messages": records, "next_page_uri": None})
    except (orjson.JSONEncodeError, TypeError):
        return  # not JSON: integers past 64 bits, lone surrogates
    result = normalize_messages(decode_page(content, MESSAGE_RECORD).records, SEEN_AT)
    rows = conform(MESSAGES, result.rows)
    assert rows.num_rows + len(result.rejects) == len(records)
