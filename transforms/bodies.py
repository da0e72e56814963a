"""What is kept of a message body when the body itself is not."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transforms.records import as_frame

# GSM 03.38, basic set and its extension table: a body of these alone fits 160 characters a
# segment, any other needs UCS-2 with 70
# (twilio.com/docs/glossary/what-is-gsm-7-character-encoding).
_GSM7 = (
    r"^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà"
    r"\f^{}\\\[~\]|€]*$"
)
# Twilio's default English keywords (twilio.com/docs/messaging/tutorials/advanced-opt-out) and
# the words Spanish-speaking customers are told to send.
_OPT_OUT = [
    "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE",
    "BAJA", "ALTO", "PARAR", "DETENER", "CANCELAR",
]  # fmt: skip


def describe_bodies(bodies: pa.ChunkedArray, is_inbound: pa.ChunkedArray) -> pd.DataFrame:
    """`body_length` (characters), `body_encoding` (gsm7 or ucs2) and `is_opt_out_request`."""
    length = pc.utf8_length(bodies)
    has_text = pc.greater(length, 0)
    is_gsm7 = pc.match_substring_regex(bodies, _GSM7)
    encoding = pc.if_else(has_text, pc.if_else(is_gsm7, "gsm7", "ucs2"), None)
    inbound_words = pc.utf8_upper(
        pc.utf8_trim(pc.if_else(is_inbound, bodies, None), characters=" .!¡\r\n\t\"'")
    )
    return as_frame(
        {
            "body_length": length,
            "body_encoding": encoding,
            "is_opt_out_request": pc.fill_null(
                pc.is_in(inbound_words, value_set=pa.array(_OPT_OUT)), False
            ),
        }
    )
