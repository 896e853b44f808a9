"""Opt-in processes: how a contact confirms."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from klickdoxie_core import wire_name


@attrs.frozen(kw_only=True)
class OptInProcess:
    """An opt-in process.

    Attributes:
        id: Its number.
        name: Empty for the account's own double opt-in process.
        single: No confirmation is asked for.
        pending_url: Where a contact waits for the confirmation; may be empty.
        thank_you_url: Where a contact goes after the confirmation; may be empty.
        resends_confirmation: A repeated subscription sends the confirmation mail again.
        changes_email: A changed address has to be confirmed.
        extra: What else the service sends.
    """

    id: int = attrs.field(metadata=wire_name("listid"))
    name: str = ""
    single: bool | None = attrs.field(default=None, metadata=wire_name("usesingleoptin"))
    pending_url: str | None = attrs.field(default=None, metadata=wire_name("pendingurl"))
    thank_you_url: str | None = attrs.field(default=None, metadata=wire_name("thankyouurl"))
    resends_confirmation: bool | None = attrs.field(default=None, metadata=wire_name("resendconfirmationemail"))
    changes_email: bool | None = attrs.field(default=None, metadata=wire_name("usechangeemail"))
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)
