"""The operations on the files of the visual editor."""

from __future__ import annotations

import hashlib

from doxie_async.sandbox.store import Store, moment
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done
from klickdoxie_core.sandbox import form_parts

_FILES = "https://doxie.sandbox/assets"


def list_assets(store: Store, ask: Ask) -> object:
    """List editor assets: a bare list."""
    del ask
    return list(store.assets.values())


def upload_asset(store: Store, ask: Ask) -> object:
    """Upload an editor asset; the form's own `filename` wins over that of the file."""
    parts = form_parts(ask.inbound)
    file = parts.get("file")
    if file is None:
        raise Refused(422, Text.NO_FILE)
    given = bytes(parts["filename"].content).decode("utf-8", "replace") if "filename" in parts else ""
    uuid = store.uuid("asset")
    store.assets[uuid] = {
        "uuid": uuid,
        "filename": given or file.filename or "datei",
        "size": len(file.content),
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "url": f"{_FILES}/{uuid}",
        "created_at": moment(store.now()),
    }
    return done(ask.wire_format.record("asset", store.assets[uuid]), Text.CREATED)


def delete_asset(store: Store, ask: Ask) -> object:
    """Delete an editor asset."""
    asset = store.assets.pop(ask.hole("id"), None)
    if asset is None:
        raise Refused(404, Text.NO_RECORD)
    return done(ask.wire_format.record("asset", asset), Text.DELETED)
