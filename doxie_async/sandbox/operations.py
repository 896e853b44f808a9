"""What carries out each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from doxie_async import routes as r
from doxie_async.sandbox import assets, brands, endpoints, processes, sending, tenant
from doxie_async.sandbox.brands import BRANDS, Notifications
from doxie_async.sandbox.endpoints import ENDPOINTS
from doxie_async.sandbox.pages import LANDING_PAGES, LAYOUTS, SCHEDULES, Editor
from doxie_async.sandbox.store import Store
from doxie_async.sandbox.tenant import API_USERS
from doxie_async.sandbox.wire_format import Ask

_MAILJET, _RCS, _SMS = Notifications("mailjet"), Notifications("rcs"), Notifications("sms")
_PAGE_EDITOR, _LAYOUT_EDITOR = Editor(LANDING_PAGES), Editor(LAYOUTS)

HANDLERS: Final[Mapping[r.Operation, Callable[[Store, Ask], object]]] = {
    r.SEND_MAIL: sending.send_mail,
    r.CREATE_INJECTION: sending.create_injection,
    r.CANCEL_PROCESS: sending.cancel,
    r.SHOW_EVENT: sending.show_event,
    r.CREATE_INQUIRY: sending.create_inquiry,
    r.CREATE_QR_CODE: sending.create_qr_code,
    r.INITIATE_CONSENT: sending.initiate_consent,
    r.REVOKE_CONSENTS: sending.revoke_consents,
    r.LIST_BRANDS: BRANDS.all,
    r.CREATE_BRAND: BRANDS.create,
    r.SHOW_BRAND: BRANDS.show,
    r.UPDATE_BRAND: BRANDS.update,
    r.DELETE_BRAND: BRANDS.delete,
    r.SHOW_MAILJET: _MAILJET.show,
    r.REGISTER_MAILJET: _MAILJET.register,
    r.REMOVE_MAILJET: _MAILJET.remove,
    r.SHOW_RCS: _RCS.show,
    r.REGISTER_RCS: _RCS.register,
    r.REMOVE_RCS: _RCS.remove,
    r.SHOW_SMS: _SMS.show,
    r.REGISTER_SMS: _SMS.register,
    r.REMOVE_SMS: _SMS.remove,
    r.SETUP_SES: brands.setup_ses,
    r.TEST_SMTP: brands.check_smtp,
    r.LIST_API_USERS: API_USERS.all,
    r.CREATE_API_USER: tenant.create_api_user,
    r.DELETE_API_USER: API_USERS.delete,
    r.SHOW_TENANT: tenant.show_settings,
    r.UPDATE_TENANT: tenant.update_settings,
    r.SHOW_OVERVIEW: tenant.show_overview,
    r.SHOW_STATISTICS: tenant.show_statistics,
    r.LIST_PROCESSES: processes.list_processes,
    r.SHOW_PROCESS: processes.show_process,
    r.ADMIN_CANCEL_PROCESS: processes.cancel,
    r.CREATE_MESSAGING_SCHEDULE: SCHEDULES.create,
    r.UPDATE_MESSAGING_SCHEDULE: SCHEDULES.update,
    r.DELETE_MESSAGING_SCHEDULE: SCHEDULES.delete,
    r.CREATE_LANDING_PAGE: LANDING_PAGES.create,
    r.UPDATE_LANDING_PAGE: LANDING_PAGES.update,
    r.DELETE_LANDING_PAGE: LANDING_PAGES.delete,
    r.LIST_WEBHOOK_ENDPOINTS: endpoints.list_endpoints,
    r.CREATE_WEBHOOK_ENDPOINT: ENDPOINTS.create,
    r.SHOW_WEBHOOK_ENDPOINT: endpoints.show_endpoint,
    r.UPDATE_WEBHOOK_ENDPOINT: ENDPOINTS.update,
    r.DELETE_WEBHOOK_ENDPOINT: ENDPOINTS.delete,
    r.SHOW_LANDING_PAGE_EDITOR: _PAGE_EDITOR.show,
    r.UPDATE_LANDING_PAGE_CONTENT: _PAGE_EDITOR.update,
    r.PUBLISH_LANDING_PAGE: _PAGE_EDITOR.publish,
    r.SHOW_LAYOUT_EDITOR: _LAYOUT_EDITOR.show,
    r.UPDATE_LAYOUT_CONTENT: _LAYOUT_EDITOR.update,
    r.LIST_ASSETS: assets.list_assets,
    r.UPLOAD_ASSET: assets.upload_asset,
    r.DELETE_ASSET: assets.delete_asset,
    r.LIST_LAYOUTS: LAYOUTS.all,
    r.CREATE_LAYOUT: LAYOUTS.create,
    r.SHOW_LAYOUT: LAYOUTS.show,
    r.UPDATE_LAYOUT: LAYOUTS.update,
    r.DELETE_LAYOUT: LAYOUTS.delete,
}
