"""The operations on the tenant: its settings, its API users, its dashboards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from doxie_async.models.sending import EventType
from doxie_async.sandbox import lifecycle
from doxie_async.sandbox.crud import Crud, shown
from doxie_async.sandbox.records import Attributes, Record, masked
from doxie_async.sandbox.store import Store, StoredProcess
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done

_CHART_DAYS = 28


def _check_api_user(store: Store, attributes: Attributes, record: Record | None) -> None:
    del record
    username = attributes.get("username")
    if not (isinstance(username, str) and username.strip()):
        raise Refused(422, "Benutzername muss ausgefüllt werden")
    if any(user.attributes.get("username") == username for user in store.api_users):
        raise Refused(422, Text.TAKEN)
    attributes["password"] = attributes.get("password") or store.token("password")[:20]


API_USERS: Final = Crud[Record](
    table=lambda store: store.api_users,
    root="api_user",
    name="api_user",
    names="api_users",
    deleted=Text.API_USER_DELETED,
    check=_check_api_user,
)


def create_api_user(store: Store, ask: Ask) -> object:
    """Create an API user; its password is told this once."""
    attributes = ask.attributes(API_USERS.root)
    API_USERS.check(store, attributes, None)
    user = store.api_users.add(attributes)
    told = {**shown(user), "password": user.attributes["password"]}
    return done(ask.wire_format.record(API_USERS.name, told), Text.CREATED)


def show_settings(store: Store, ask: Ask) -> object:
    """Show tenant settings."""
    return done(ask.wire_format.record("tenant", masked(store.settings)))


def update_settings(store: Store, ask: Ask) -> object:
    """Update tenant settings; the slug stays."""
    store.settings |= {**ask.attributes("tenant_params"), "slug": store.tenant}
    return done(ask.wire_format.record("tenant", masked(store.settings)), Text.TENANT_UPDATED)


def show_overview(store: Store, ask: Ask) -> object:
    """Show main dashboard statistics: processes a day, for each kind of them."""
    today = _today(store)
    charts = {
        kind: _chart((process for process in store.processes.values() if process.type == kind), today)
        for kind in (*EventType, lifecycle.CONSENT)
    }
    return done(ask.wire_format.record("dashboard", charts))


def show_statistics(store: Store, ask: Ask) -> object:
    """Show dashboard statistics: processes a day, and processes a month in the time range that is asked for."""
    today = _today(store)
    first, last = _time_range(ask, today)
    days = [day for process in store.processes.values() if first <= (day := _day(process.created)) <= last]
    months = Counter(day.strftime("%Y-%m") for day in days)
    figures = {
        "overview_chart": _chart(store.processes.values(), today),
        "start_date": first.isoformat(),
        "end_date": last.isoformat(),
        "statistics": [{"month": month, "count": count} for month, count in sorted(months.items())],
    }
    return done(ask.wire_format.record("dashboard", figures))


def _time_range(ask: Ask, today: date) -> tuple[date, date]:
    """A month, the current one by default, or any range."""
    wanted = ask.query.get("time_range") or today.isoformat()
    try:
        if wanted != "custom":
            first = date.fromisoformat(wanted).replace(day=1)
            return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        first, last = (date.fromisoformat(ask.query.get(name, "")) for name in ("start_date", "end_date"))
    except (ValueError, OverflowError):
        raise Refused(422, Text.BAD_RANGE) from None
    if last < first:
        raise Refused(422, Text.BAD_RANGE)
    return first, last


def _chart(processes: Iterable[StoredProcess], today: date) -> list[dict[str, object]]:
    """The last four weeks, one entry a day."""
    counts = Counter(_day(process.created) for process in processes)
    days = (today - timedelta(days=back) for back in reversed(range(_CHART_DAYS)))
    return [{"date": day.isoformat(), "count": counts[day]} for day in days]


def _today(store: Store) -> date:
    return _day(store.now())


def _day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
