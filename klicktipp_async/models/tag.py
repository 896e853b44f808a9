"""Tags: labels that start automations."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from klickdoxie_core import wire_name


@attrs.frozen(kw_only=True)
class Tag:
    """A manual tag or a SmartTag.

    Attributes:
        text: The description; None or empty where there is none.
        extra: What else the service sends.
    """

    id: int = attrs.field(metadata=wire_name("tagid"))
    name: str
    text: str | None = None
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)
