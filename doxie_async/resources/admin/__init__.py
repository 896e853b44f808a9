"""The admin API, signed with an OAuth2 token."""

from __future__ import annotations

from doxie_async.resources.admin.assets import Assets
from doxie_async.resources.admin.brands import Brands
from doxie_async.resources.admin.dashboard import Dashboards
from doxie_async.resources.admin.pages import LandingPages, Layouts
from doxie_async.resources.admin.processes import AdminProcesses
from doxie_async.resources.admin.schedules import MessagingSchedules
from doxie_async.resources.admin.tenant import TenantSettings
from doxie_async.resources.admin.users import ApiUsers
from doxie_async.resources.admin.webhook_endpoints import WebhookEndpoints
from doxie_async.resources.base import Client


class Admin:
    """The groups of the admin API."""

    def __init__(self, client: Client) -> None:
        self.brands = Brands(client)
        self.api_users = ApiUsers(client)
        self.tenant = TenantSettings(client)
        self.dashboard = Dashboards(client)
        self.processes = AdminProcesses(client)
        self.messaging_schedules = MessagingSchedules(client)
        self.landing_pages = LandingPages(client)
        self.layouts = Layouts(client)
        self.webhook_endpoints = WebhookEndpoints(client)
        self.assets = Assets(client)
