"""Tags: labels put on contacts."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from klickdoxie_core import UNSET, SdkError, Unset
from klicktipp_async.convert import Ack
from klicktipp_async.errors import ArgumentError, BusinessError, Conflict, NotFound
from klicktipp_async.models.option import Option, sorted_options
from klicktipp_async.models.tag import Tag
from klicktipp_async.resources._settle import settle
from klicktipp_async.resources.base import Client, KlickTippResource, check_name, check_tag_id, check_text


class Tags(KlickTippResource):
    """Labels put on contacts; setting one may start an automation."""

    def __init__(self, client: Client, lock: anyio.Lock) -> None:
        super().__init__(client)
        self._lock = lock

    async def all(self) -> dict[int, str]:
        """Every manual tag, id to name (List Tags). SmartTags are not listed; their ids come with contacts."""
        return await self._get("List Tags", dict[int, str], "/tag")

    async def options(self) -> list[Option]:
        """Every manual tag for a drop-down list, sorted by name (List Tags)."""
        return sorted_options(await self.all())

    async def get(self, tag_id: int) -> Tag:
        """A tag by its id, SmartTags too (Get Tag). Raises `TagNotFound`."""
        return await self._get("Get Tag", Tag, "/tag/{tag_id}", path=_path(tag_id))

    async def create(self, name: str, *, text: str | None = None, confirm: bool = True) -> int:
        """Create a manual tag and return its id (Create Tag).

        When the answer is lost, the tag is looked up by its name and only created again if it is not there. For a tag
        that may exist already, `ensure` gives its id.

        Args:
            name: Unique in the account.
            text: A description; None for none.
            confirm: False raises an error with `maybe_applied=True` instead of looking.

        Raises:
            BusinessError: The name is taken or not accepted.
        """
        check_name(name)
        if text is not None:
            check_text("text", text)

        async def send() -> int:
            body = {"name": name} | ({} if text is None else {"text": text})
            (tag_id,) = await self._post("Create Tag", tuple[int], "/tag", body=body)
            return tag_id

        async def look_up(_: SdkError) -> int | None:
            return _by_name(await self.all()).get(name)

        if not confirm:
            return await send()
        return await settle(send, look_up, self._kt.pause_before_look_up, self._kt.deadline)

    async def update(self, tag_id: int, *, name: str | Unset = UNSET, text: str | Unset | None = UNSET) -> None:
        """Rename a tag or change its description; what is not given stays (Update Tag). Raises `TagNotFound`."""
        body = {key: value for key, value in (("name", name), ("text", text)) if not isinstance(value, Unset)}
        if not body:
            raise ArgumentError("give a name or a text to change")
        if not isinstance(name, Unset):
            check_name(name)
        if text is not None and not isinstance(text, Unset):
            check_text("text", text)
        await self._put("Update Tag", Ack, "/tag/{tag_id}", path=_path(tag_id), body=body, empty_ok=True)

    async def delete(self, tag_id: int) -> None:
        """Delete a tag, and take it off all contacts (Delete Tag). Raises `TagNotFound`."""
        path = _path(tag_id)
        await self._delete("Delete Tag", Ack, "/tag/{tag_id}", path=path, empty_ok=True, done_if=(NotFound,))

    async def ensure(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of tags by name; what is missing is created, once even under concurrent calls (several calls)."""
        # A single text would be taken letter by letter.
        if isinstance(names, str | bytes) or not isinstance(names, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError("names must be several names of tags")
        given = list(names)
        for name in given:
            check_name(name)
        wanted = list(dict.fromkeys(given))
        if not wanted:
            return {}
        async with self._lock:
            known = _by_name(await self.all())
            for name in wanted:
                if name not in known:
                    known[name] = await self._create_or_find(name)
            return {name: known[name] for name in wanted}

    async def _create_or_find(self, name: str) -> int:
        try:
            return await self.create(name)
        except (BusinessError, Conflict):
            # Somebody else may have created it since we looked.
            found = _by_name(await self.all()).get(name)
            if found is None:
                raise
            return found


def _path(tag_id: int) -> dict[str, int]:
    # An id in digits does no harm here; a name would be looked for as an id.
    if not (isinstance(tag_id, str) and tag_id.isdecimal()):
        check_tag_id("tag_id", tag_id)
    return {"tag_id": tag_id}


def _by_name(tags: dict[int, str]) -> dict[str, int]:
    return {name: tag_id for tag_id, name in sorted(tags.items(), reverse=True)}
