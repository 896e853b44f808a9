"""Every method of the client once: its operation, its effect, what it sends, and a way to call it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any

import attrs

from doxie_async import Doxie, Effect, Operation
from doxie_async import routes as r

SAFE, REPEATABLE, ONCE = Effect.SAFE, Effect.REPEATABLE, Effect.ONCE
FORM = object()
"""In place of a body: a form with a file, which has tests of its own."""


@attrs.frozen
class Use:
    """One method."""

    operation: Operation
    effect: Effect
    sends: str
    call: Callable[[Doxie], Awaitable[object]]
    body: Any = None
    query: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)

    def __str__(self) -> str:
        return self.operation.name

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.sends.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path that a client of the tenant `ts` calls."""
        return "/api/ts" + self.sends.partition(" ")[2]


PAGE = {"limit": "200", "page": "1"}
NEW: dict[str, Any] = {"name": "Stadtwerke Süd"}

SENDING = (
    Use(r.SEND_MAIL, ONCE, "POST /mailer/willkommen", lambda d: d.mailer.send("willkommen", NEW), NEW),
    Use(r.CREATE_INJECTION, ONCE, "POST /injector/reise", lambda d: d.injector.create("reise", NEW), NEW),
    Use(r.CANCEL_PROCESS, REPEATABLE, "POST /processes/9a5d/cancel", lambda d: d.processes.cancel("9a5d")),
    Use(r.SHOW_EVENT, SAFE, "GET /events/12", lambda d: d.events.get(12, type="qr_code"), query={"type": "qr_code"}),
    Use(
        r.CREATE_INQUIRY,
        ONCE,
        "POST /survey/umfrage",
        lambda d: d.surveys.create_inquiry("umfrage", NEW, email="a@example.com"),
        NEW | {"email": "a@example.com"},
    ),
    Use(r.CREATE_QR_CODE, ONCE, "POST /qr_code/plakat", lambda d: d.qr_codes.create("plakat", NEW), NEW),
    Use(
        r.INITIATE_CONSENT,
        ONCE,
        "POST /mpm/consents/initiate",
        lambda d: d.consents.initiate("K-1", "newsletter", phone="+491771234567"),
        {"customer_id": "K-1", "consent_slug": "newsletter", "phone": "+491771234567"},
    ),
    Use(
        r.REVOKE_CONSENTS,
        REPEATABLE,
        "POST /mpm/consents/revoke",
        lambda d: d.consents.revoke("K-1", revoke_all=True),
        {"customer_id": "K-1", "revoke_all": True},
    ),
)

BRANDS = (
    Use(r.LIST_BRANDS, SAFE, "GET /admin/brands", lambda d: d.admin.brands.all().to_list(), query=PAGE),
    Use(r.CREATE_BRAND, ONCE, "POST /admin/brands", lambda d: d.admin.brands.create(NEW), {"brand": NEW}),
    Use(r.SHOW_BRAND, SAFE, "GET /admin/brands/1", lambda d: d.admin.brands.get(1)),
    Use(r.UPDATE_BRAND, REPEATABLE, "PATCH /admin/brands/1", lambda d: d.admin.brands.update(1, NEW), {"brand": NEW}),
    Use(r.DELETE_BRAND, REPEATABLE, "DELETE /admin/brands/1", lambda d: d.admin.brands.delete(1)),
    Use(r.SHOW_MAILJET, SAFE, "GET /admin/brands/1/mailjet_webhooks", lambda d: d.admin.brands.mailjet.status(1)),
    Use(
        r.REGISTER_MAILJET, ONCE, "POST /admin/brands/1/mailjet_webhooks", lambda d: d.admin.brands.mailjet.register(1)
    ),
    Use(r.REMOVE_MAILJET, ONCE, "DELETE /admin/brands/1/mailjet_webhooks", lambda d: d.admin.brands.mailjet.remove(1)),
    Use(r.SHOW_RCS, SAFE, "GET /admin/brands/1/rcs_webhook", lambda d: d.admin.brands.rcs.status(1)),
    Use(r.REGISTER_RCS, ONCE, "POST /admin/brands/1/rcs_webhook", lambda d: d.admin.brands.rcs.register(1)),
    Use(r.REMOVE_RCS, ONCE, "DELETE /admin/brands/1/rcs_webhook", lambda d: d.admin.brands.rcs.remove(1)),
    Use(r.SHOW_SMS, SAFE, "GET /admin/brands/1/sms_webhook", lambda d: d.admin.brands.sms.status(1)),
    Use(r.REGISTER_SMS, ONCE, "POST /admin/brands/1/sms_webhook", lambda d: d.admin.brands.sms.register(1)),
    Use(r.REMOVE_SMS, ONCE, "DELETE /admin/brands/1/sms_webhook", lambda d: d.admin.brands.sms.remove(1)),
    Use(r.SETUP_SES, ONCE, "POST /admin/brands/1/ses_setup", lambda d: d.admin.brands.setup_ses(1)),
    Use(r.TEST_SMTP, ONCE, "POST /admin/brands/1/smtp_test", lambda d: d.admin.brands.test_smtp(1)),
)

TENANTS = (
    Use(r.LIST_API_USERS, SAFE, "GET /admin/api_users", lambda d: d.admin.api_users.all().to_list(), query=PAGE),
    Use(r.CREATE_API_USER, ONCE, "POST /admin/api_users", lambda d: d.admin.api_users.create(NEW), {"api_user": NEW}),
    Use(r.DELETE_API_USER, REPEATABLE, "DELETE /admin/api_users/1", lambda d: d.admin.api_users.delete(1)),
    Use(r.SHOW_TENANT, SAFE, "GET /admin/tenant", lambda d: d.admin.tenant.get()),
    Use(
        r.UPDATE_TENANT, REPEATABLE, "PATCH /admin/tenant", lambda d: d.admin.tenant.update(NEW), {"tenant_params": NEW}
    ),
    Use(r.SHOW_OVERVIEW, SAFE, "GET /admin/dashboard", lambda d: d.admin.dashboard.overview()),
    Use(
        r.SHOW_STATISTICS,
        SAFE,
        "GET /admin/shared/dashboard",
        lambda d: d.admin.dashboard.statistics(start=date(2024, 1, 1), end=date(2024, 1, 31)),
        query={"time_range": "custom", "start_date": "2024-01-01", "end_date": "2024-01-31"},
    ),
)

SHARED = (
    Use(r.LIST_PROCESSES, SAFE, "GET /admin/shared/processes", lambda d: d.admin.processes.all().to_list(), query=PAGE),
    Use(r.SHOW_PROCESS, SAFE, "GET /admin/shared/processes/9a5d", lambda d: d.admin.processes.get("9a5d")),
    Use(
        r.ADMIN_CANCEL_PROCESS,
        REPEATABLE,
        "POST /admin/shared/processes/9a5d/cancel",
        lambda d: d.admin.processes.cancel("9a5d"),
    ),
    Use(
        r.CREATE_MESSAGING_SCHEDULE,
        ONCE,
        "POST /admin/shared/messaging_schedules",
        lambda d: d.admin.messaging_schedules.create(NEW),
        {"shared_messaging_schedule": NEW},
    ),
    Use(
        r.UPDATE_MESSAGING_SCHEDULE,
        REPEATABLE,
        "PATCH /admin/shared/messaging_schedules/10",
        lambda d: d.admin.messaging_schedules.update(10, NEW),
        {"shared_messaging_schedule": NEW},
    ),
    Use(
        r.DELETE_MESSAGING_SCHEDULE,
        REPEATABLE,
        "DELETE /admin/shared/messaging_schedules/10",
        lambda d: d.admin.messaging_schedules.delete(10),
    ),
    Use(
        r.CREATE_LANDING_PAGE,
        ONCE,
        "POST /admin/shared/landing_pages",
        lambda d: d.admin.landing_pages.create(NEW),
        {"pages_landing_page": NEW},
    ),
    Use(
        r.UPDATE_LANDING_PAGE,
        REPEATABLE,
        "PATCH /admin/shared/landing_pages/15",
        lambda d: d.admin.landing_pages.update(15, NEW),
        {"pages_landing_page": NEW},
    ),
    Use(
        r.DELETE_LANDING_PAGE,
        REPEATABLE,
        "DELETE /admin/shared/landing_pages/15",
        lambda d: d.admin.landing_pages.delete(15),
    ),
)

ENDPOINTS = (
    Use(
        r.LIST_WEBHOOK_ENDPOINTS,
        SAFE,
        "GET /admin/webhook/endpoints",
        lambda d: d.admin.webhook_endpoints.all(show_inactive=True).to_list(),
        query=PAGE | {"show_inactive": "true"},
    ),
    Use(
        r.CREATE_WEBHOOK_ENDPOINT,
        ONCE,
        "POST /admin/webhook/endpoints",
        lambda d: d.admin.webhook_endpoints.create(NEW),
        {"webhook_abstract_endpoint": NEW},
    ),
    Use(r.SHOW_WEBHOOK_ENDPOINT, SAFE, "GET /admin/webhook/endpoints/1", lambda d: d.admin.webhook_endpoints.get(1)),
    Use(
        r.UPDATE_WEBHOOK_ENDPOINT,
        REPEATABLE,
        "PATCH /admin/webhook/endpoints/1",
        lambda d: d.admin.webhook_endpoints.update(1, NEW),
        {"webhook_abstract_endpoint": NEW},
    ),
    Use(
        r.DELETE_WEBHOOK_ENDPOINT,
        REPEATABLE,
        "DELETE /admin/webhook/endpoints/1",
        lambda d: d.admin.webhook_endpoints.delete(1),
    ),
)

CONTENT: dict[str, Any] = {"blocks": [{"text": "Grüße"}]}

EDITOR = (
    Use(
        r.SHOW_LANDING_PAGE_EDITOR,
        SAFE,
        "GET /admin/editor/landing_pages/15",
        lambda d: d.admin.landing_pages.editor(15),
    ),
    Use(
        r.UPDATE_LANDING_PAGE_CONTENT,
        REPEATABLE,
        "PATCH /admin/editor/landing_pages/15/content_state",
        lambda d: d.admin.landing_pages.update_content(15, CONTENT),
        {"content_state": CONTENT},
    ),
    Use(
        r.PUBLISH_LANDING_PAGE,
        ONCE,
        "POST /admin/editor/landing_pages/15/publish",
        lambda d: d.admin.landing_pages.publish(15),
    ),
    Use(r.SHOW_LAYOUT_EDITOR, SAFE, "GET /admin/editor/landing_page_layouts/4", lambda d: d.admin.layouts.editor(4)),
    Use(
        r.UPDATE_LAYOUT_CONTENT,
        REPEATABLE,
        "PATCH /admin/editor/landing_page_layouts/4/content_state",
        lambda d: d.admin.layouts.update_content(4, CONTENT),
        {"content_state": CONTENT},
    ),
    Use(r.LIST_ASSETS, SAFE, "GET /admin/editor/assets", lambda d: d.admin.assets.all()),
    Use(
        r.UPLOAD_ASSET,
        ONCE,
        "POST /admin/editor/assets",
        lambda d: d.admin.assets.upload(b"bytes", filename="logo.png"),
        FORM,
    ),
    Use(r.DELETE_ASSET, REPEATABLE, "DELETE /admin/editor/assets/a1b2", lambda d: d.admin.assets.delete("a1b2")),
)

LAYOUTS = (
    Use(
        r.LIST_LAYOUTS,
        SAFE,
        "GET /admin/pages/landing_page_layouts",
        lambda d: d.admin.layouts.all().to_list(),
        query=PAGE,
    ),
    Use(
        r.CREATE_LAYOUT,
        ONCE,
        "POST /admin/pages/landing_page_layouts",
        lambda d: d.admin.layouts.create(NEW),
        {"pages_landing_page_layout": NEW},
    ),
    Use(r.SHOW_LAYOUT, SAFE, "GET /admin/pages/landing_page_layouts/4", lambda d: d.admin.layouts.get(4)),
    Use(
        r.UPDATE_LAYOUT,
        REPEATABLE,
        "PATCH /admin/pages/landing_page_layouts/4",
        lambda d: d.admin.layouts.update(4, NEW),
        {"pages_landing_page_layout": NEW},
    ),
    Use(r.DELETE_LAYOUT, REPEATABLE, "DELETE /admin/pages/landing_page_layouts/4", lambda d: d.admin.layouts.delete(4)),
)

ADMIN = (*BRANDS, *TENANTS, *SHARED, *ENDPOINTS, *EDITOR, *LAYOUTS)
EVERY = (*SENDING, *ADMIN)
"""One use of each operation, in the order of the vendor's list."""
