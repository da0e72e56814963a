"""Answers as Twilio writes them: pages of a list, one record, errors."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

MOST_RECORDS = 1000
USUAL_RECORDS = 50


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def json_answer(content: bytes, status: int = 200) -> Response:
    """An answer with a body of JSON."""
    return Response(content, status, media_type="application/json;charset=utf-8")


def missing(path: str) -> RefusedError:
    """That there is no such thing."""
    return RefusedError(404, 20404, f"The requested resource {path} was not found")


def page_of(
    request: Request, key: str, contents: Sequence[bytes], number: int, size: int,
    previous_token: str | None, next_token: str | None,
) -> Response:  # fmt: skip
    """A page of a list, with the addresses of its neighbours."""
    filters = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("Page", "PageToken", "PageSize")
    ]
    path = request.url.path

    def uri(page: int, token: str | None) -> str:
        paging = [("PageSize", str(size)), ("Page", str(page))]
        return f"{path}?" + urlencode(
            [*filters, *paging, *([("PageToken", token)] if token else [])]
        )

    start = number * size
    rest: dict[str, Any] = {
        "end": start + max(0, len(contents) - 1),
        "first_page_uri": uri(0, None),
        "next_page_uri": uri(number + 1, next_token) if next_token else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": (
            uri(number - 1, previous_token) if number and previous_token else None
        ),
        "start": start,
        "uri": uri(number, request.query_params.get("PageToken")),
    }
    body = b'{"%s":[%s],%s' % (key.encode(), b",".join(contents), orjson.dumps(rest)[1:])
    return json_answer(body)


def counted_page(request: Request, key: str, contents: list[bytes]) -> Response:
    """A page of a list whose token is its number, as usage's `APMQ==`."""
    size, number = page_size(request.query_params), page_number(request.query_params)
    token = request.query_params.get("PageToken")
    if number > 0 and token is None:
        raise RefusedError(400, 20001, "PageToken is required for paging")
    if token is not None and token != _numbered_token(number):
        raise RefusedError(400, 21481, "Invalid PageToken")
    page = contents[number * size : (number + 1) * size]
    has_more = len(contents) > (number + 1) * size
    return page_of(
        request, key, page, number, size,
        _numbered_token(number - 1) if number else None,
        _numbered_token(number + 1) if has_more else None,
    )  # fmt: skip


def _numbered_token(number: int) -> str:
    return "AP" + base64.b64encode(str(number).encode()).decode()


def page_size(query: QueryParams) -> int:
    """How many records a page is to have, as far as Twilio goes along."""
    try:
        wanted = int(query.get("PageSize", USUAL_RECORDS))
    except ValueError:
        wanted = USUAL_RECORDS
    return min(max(1, wanted), MOST_RECORDS)


def page_number(query: QueryParams) -> int:
    """Which page is asked for, from 0 on."""
    try:
        return max(0, int(query.get("Page", 0)))
    except ValueError:
        return 0
