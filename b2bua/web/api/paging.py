"""Pages of a list: which page a request asks for, and the link to the next one.

A page is found by its token, so that a list that grows at its beginning neither repeats nor skips an item. A
page can only be reached from the previous one; ``Page`` is only a counter.
"""

from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from starlette.datastructures import URL

from b2bua.web.api.directory import PageRequest, Slice
from b2bua.web.api.errors import BadParameter

__all__ = ["MAX_PAGE_SIZE", "PageLinks", "Paging", "PagingQuery", "part_of"]

MAX_PAGE_SIZE: Final = 1000

_PAGE_SIZE: Final = f"The maximum is {MAX_PAGE_SIZE}; larger values are reduced to it."

T = TypeVar("T")

_TOKEN: Final = r"^[A-Za-z0-9_.~=-]{1,200}$"


class PageLinks(BaseModel):
    """Paging information of a list."""

    uri: str
    first_page_uri: str
    next_page_uri: str | None
    """Relative; null on the last page."""
    previous_page_uri: None = None
    """Always null: pages are read forward."""
    page: int
    page_size: int
    start: int
    """Index in the list of the first resource of this page, counted from 0."""
    end: int
    """Index of the last resource of this page."""


class PagingQuery:
    """The part of a list that a request asks for.

    Args:
        url: URL of the request.
        number: number of the page, only a counter.
        wanted: the part to read.
    """

    def __init__(self, url: URL, number: int, wanted: PageRequest) -> None:
        self._url = url
        self._page = number
        self.wanted = wanted

    async def read(self, reading: Awaitable[Slice[T]]) -> Slice[T]:
        """Await the requested part; raises BadParameter for an invalid token."""
        try:
            return await reading
        except ValueError as error:
            raise BadParameter("PageToken", "not a page token", 20006) from error

    def links(self, part: Slice[Any]) -> dict[str, Any]:
        """Return the values of ``PageLinks``."""
        start = self._page * self.wanted.size
        return {
            "uri": self._uri(self._page, self.wanted.token),
            "first_page_uri": self._uri(0, None),
            "next_page_uri": self._uri(self._page + 1, part.next_token) if part.next_token else None,
            "page": self._page,
            "page_size": self.wanted.size,
            "start": start,
            "end": max(start, start + len(part.items) - 1),
        }

    def _uri(self, page: int, token: str | None) -> str:
        paging = frozenset(("Page", "PageSize", "PageToken"))
        kept = [pair for pair in parse_qsl(self._url.query, keep_blank_values=True) if pair[0] not in paging]
        asked = {"Page": page, "PageSize": self.wanted.size} | ({"PageToken": token} if token else {})
        return f"{self._url.path}?{urlencode([*kept, *asked.items()])}"


async def part_of(rows: Sequence[T], page: PageRequest) -> Slice[T]:
    """Return one page of a list that does not change: a token is the place at which the page starts.

    Raises:
        ValueError: it is no token of such a list.
    """
    start = int(page.token) if page.token else 0
    if start < 0:
        raise ValueError(page.token)
    end = start + page.size
    return Slice(items=tuple(rows[start:end]), next_token=str(end) if end < len(rows) else None)


async def _paging(
    request: Request,
    page_size: Annotated[int, Query(alias="PageSize", ge=1, description=_PAGE_SIZE)] = 50,
    page: Annotated[int, Query(alias="Page", ge=0, le=1_000_000)] = 0,
    token: Annotated[str | None, Query(alias="PageToken", pattern=_TOKEN)] = None,
) -> PagingQuery:
    # The SDK requests the total number that its user wants, e.g. 5000, and continues from page to page.
    wanted = PageRequest(size=min(page_size, MAX_PAGE_SIZE), token=token)
    return PagingQuery(request.url, page if token else 0, wanted)


Paging = Annotated[PagingQuery, Depends(_paging)]
