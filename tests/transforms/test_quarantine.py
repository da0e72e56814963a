"""What was rejected once can be read again, with what was derived of the body it lost."""

from __future__ import annotations

from datetime import UTC, datetime

from transforms.messages import MESSAGE_RECORD, normalize_messages
from transforms.quarantine import reopen
from transforms.records import decode_records

NOW = datetime(2026, 11, 10, 6, tzinfo=UTC)
RECORD = {
    "sid": "SM1", "account_sid": "AC1", "direction": "inbound", "status": "received",
    "from": "+34000000001", "to": "+34000000002", "date_created": "Tue, 10 Nov 2026 05:00:00 +0000",
    "date_sent": "Tue, 10 Nov 2026 05:00:00 +0000", "price": "-0.0075", "price_unit": "USD",
    "num_segments": "1", "num_media": "0", "body": "BAJA", "error_code": None, "tags": {"a": 1},
}  # fmt: skip


def test_a_reopened_record_is_what_was_received_without_its_body() -> None:
    records = decode_records([{**RECORD, "price": "a lot"}], MESSAGE_RECORD)
    rejects = normalize_messages(records, NOW).rejects
    assert rejects["reason"].tolist() == ["price is no amount of 9 digits and 6 decimals"]
    assert "BAJA" not in rejects["record"][0]

    # The same record, as a version of ours would see it that understands its price.
    understood = rejects["record"].str.replace("a lot", "-0.0075").tolist()
    reopened, derived = reopen(understood, MESSAGE_RECORD)
    whole = decode_records([RECORD], MESSAGE_RECORD)
    assert reopened.drop_columns("body").equals(whole.drop_columns("body"))
    assert derived.to_dict("records") == [
        {"body_length": 4, "body_encoding": "gsm7", "is_opt_out_request": True}
    ]
    assert len(normalize_messages(reopened, NOW).rows) == 1
