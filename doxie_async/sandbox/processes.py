"""The operations of administrators on processes."""

from __future__ import annotations

from typing import Final

from doxie_async.sandbox import lifecycle
from doxie_async.sandbox.store import Status, Store, StoredProcess, moment
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done

RECORDS_A_PAGE: Final = 20


def list_processes(store: Store, ask: Ask) -> object:
    """List processes, the newest first."""
    return done(ask.listing("processes", list(reversed(store.processes.values())), _shown))


def show_process(store: Store, ask: Ask) -> object:
    """Show a process and its associated records: of each collection the page that its own parameter asks for."""
    process = find_process(store, ask.hole("uuid"))
    pages = {
        name: list(ask.window(f"{name}_page", records, RECORDS_A_PAGE)) for name, records in process.records.items()
    }
    return done({**ask.wire_format.record("process", _shown(process)), **pages})


def cancel(store: Store, ask: Ask) -> object:
    """Cancel a process."""
    process = cancel_process(store, ask.hole("uuid"))
    return done(ask.wire_format.record("process", _shown(process)), Text.PROCESS_CANCELLED)


def find_process(store: Store, uuid: str) -> StoredProcess:
    """The process with this UUID."""
    process = store.processes.get(uuid)
    if process is None:
        raise Refused(404, Text.NO_PROCESS)
    return process


def cancel_process(store: Store, uuid: str) -> StoredProcess:
    """Cancel a process that is under way; any other is refused."""
    process = find_process(store, uuid)
    if process.status is Status.CANCELLED:
        raise Refused(422, Text.ALREADY_CANCELLED)
    if not process.ongoing:
        raise Refused(422, Text.ALREADY_FINISHED)
    lifecycle.cancel(store, process)
    return process


def _shown(process: StoredProcess) -> dict[str, object]:
    return {
        "uuid": process.uuid,
        "status": process.status,
        "type": process.type,
        "event_slug": process.event_slug,
        "payload": process.payload,
        "created_at": moment(process.created),
        "ended_at": moment(process.ended),
    }
