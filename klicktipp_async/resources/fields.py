"""Data fields of contacts."""

from __future__ import annotations

from klicktipp_async.convert import Ack
from klicktipp_async.errors import NotFound
from klicktipp_async.field_schema import bare_key
from klicktipp_async.models.field import DataField
from klicktipp_async.models.option import Option, sorted_options
from klicktipp_async.resources.base import KlickTippResource, check_name


class Fields(KlickTippResource):
    """Data fields of contacts. Keys are taken with or without the prefix `field`."""

    async def all(self) -> dict[str, str]:
        """Every data field, key (with its prefix) to label in the account's language (List Data Fields)."""
        return await self._get("List Data Fields", dict[str, str], "/field")

    async def options(self) -> list[Option]:
        """Every data field for a drop-down list, sorted by label (List Data Fields)."""
        return sorted_options(await self.all())

    async def get(self, key: str) -> DataField:
        """A data field by its key (Get Data Field). Raises `FieldNotFound`."""
        return await self._get("Get Data Field", DataField, "/field/{key}", path={"key": bare_key(key)})

    async def create(self, name: str) -> int:
        """Create a data field of one line and return its number. The vendor does not document this operation."""
        check_name(name)
        (number,) = await self._post("Create Data Field", tuple[int], "/field", body={"name": name})
        return number

    async def update(self, key: str, name: str) -> None:
        """Rename a data field. The vendor does not document this operation. Raises `FieldNotFound`."""
        check_name(name)
        path = {"key": bare_key(key)}
        await self._put("Update Data Field", Ack, "/field/{key}", path=path, body={"name": name}, empty_ok=True)

    async def delete(self, key: str) -> None:
        """Delete a data field with the values of all contacts. The vendor does not document this operation.

        Raises `FieldNotFound`.
        """
        path = {"key": bare_key(key)}
        await self._delete("Delete Data Field", Ack, "/field/{key}", path=path, empty_ok=True, done_if=(NotFound,))
