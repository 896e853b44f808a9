"""Data fields of contacts."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class DataField:
    """A data field. The API tells no types; say them in a `FieldSchema`.

    Attributes:
        id: The key without its prefix: `12345` or `FirstName`.
        name: The label in the user interface.
        extra: What else the service sends.
    """

    id: str
    name: str
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)

    @property
    def key(self) -> str:
        """The key as it stands in a contact's fields: `field12345` or `fieldFirstName`."""
        return f"field{self.id}"
