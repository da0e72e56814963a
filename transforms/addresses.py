"""Addresses as Twilio writes them: `+525512345678`, `whatsapp:+34…`, `messenger:…`, `MyShop`."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from transforms.distinct import map_distinct

PhoneNumbers = Literal["plain", "masked", "hashed"]

_NUMBER = r"^\+[1-9]\d{6,14}$"
# At least seven digits, with what people write between them; not the digits of an identifier.
_ANY_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?\(?\d(?:[ ().\-/]*\d){6,}(?![0-9A-Za-z])")


def without_channel(addresses: pa.ChunkedArray) -> pa.ChunkedArray:
    """The address after its channel prefix, the part up to the first `:`."""
    return pc.replace_substring_regex(addresses, r"^[^:]*:", "")


def countries(addresses: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 3166 alpha-2 country of each address's number; null for what is no E.164 number.

    A calling code of one country decides alone; +1 needs the area code; of the few others that
    countries share (+44, +7, +39 …) the whole number is looked at.
    """
    numbers = without_channel(addresses)
    numbers = pc.if_else(pc.match_substring_regex(numbers, _NUMBER), numbers, None)
    # Five characters hold any calling code, and +1 with its area code: few distinct values.
    by_prefix = _map_distinct(pc.utf8_slice_codeunits(numbers, 0, 5), _country_of_prefix)
    shared = pc.equal(by_prefix, _SHARED)
    if not pc.any(shared).as_py():
        return by_prefix
    by_number = _map_distinct(pc.if_else(shared, numbers, None), _country_of_number)
    return pc.if_else(shared, by_number, by_prefix)


def protect(addresses: pa.ChunkedArray, mode: PhoneNumbers, key: str) -> pa.ChunkedArray:
    """Texts with every phone number in them masked or hashed, however it is written.

    `masked` keeps the first three and last two characters and a keyed suffix, so that two people
    stay two; `hashed` keeps nothing but a keyed digest. The channel prefix stays.
    """
    if mode == "plain":
        return addresses

    def hidden(match: re.Match[str]) -> str:
        number = re.sub(r"[^\d+]", "", match[0])
        digest = hmac.new(key.encode(), number.encode(), hashlib.sha256).hexdigest()
        return f"{number[:3]}…{number[-2:]}#{digest[:8]}" if mode == "masked" else digest[:32]

    return _map_distinct(addresses, lambda address: _ANY_NUMBER.sub(hidden, address))


_SHARED = "shared"


def _map_distinct(
    values: pa.ChunkedArray, function: Callable[[str], str | None]
) -> pa.ChunkedArray:
    """The function of each value, called once for each distinct one."""
    return map_distinct(
        values,
        lambda distinct: pa.array([function(text) for text in distinct.to_pylist()], pa.string()),
    )


@lru_cache(maxsize=10_000)
def _country_of_prefix(prefix: str) -> str | None:
    for length in (2, 3, 4):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(prefix[1:length]))
        if regions is None:
            continue
        if regions == ("001",):  # satellite and other networks of no country
            return None
        if len(regions) == 1:
            return str(regions[0])
        return _country_of_number(f"{prefix}5550123") if prefix[1] == "1" else _SHARED
    return None


@lru_cache(maxsize=100_000)
def _country_of_number(number: str) -> str | None:
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    # A number of a range not known to be in use belongs to the code's main country.
    return str(region or phonenumbers.region_code_for_country_code(parsed.country_code or 0))
