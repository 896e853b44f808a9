"""The base of what the admin API hands out: a few known fields, and all of it as it came."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Record:
    """Something that Doxie keeps.

    The reference does not tell what is inside, so only the fields that it names are attributes.

    Attributes:
        raw: All of it, as it came.
        extra: What came beyond the known fields.
    """

    raw: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)
