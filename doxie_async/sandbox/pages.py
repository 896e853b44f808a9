"""The operations on messaging schedules, landing pages and their layouts, and on what the visual editor keeps."""

from __future__ import annotations

from typing import Final, cast

from doxie_async.sandbox.crud import Crud, require_name, shown
from doxie_async.sandbox.records import Attributes, PageRecord, Record
from doxie_async.sandbox.store import Store, moment
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done


def _require_brand(store: Store, attributes: Attributes) -> None:
    brand_id = attributes.get("brand_id")
    if brand_id is not None and not (isinstance(brand_id, int) and store.brands.get(brand_id)):
        raise Refused(422, Text.NO_BRAND)


def _check_page(store: Store, attributes: Attributes, record: Record | None) -> None:
    del record
    _require_brand(store, attributes)


def _check_layout(store: Store, attributes: Attributes, record: Record | None) -> None:
    require_name(attributes, record)
    _require_brand(store, attributes)


SCHEDULES: Final = Crud[Record](
    table=lambda store: store.schedules,
    root="shared_messaging_schedule",
    name="messaging_schedule",
    names="messaging_schedules",
    changed=Text.SCHEDULE_EDITED,
)
LANDING_PAGES: Final = Crud[PageRecord](
    table=lambda store: store.landing_pages,
    root="pages_landing_page",
    name="landing_page",
    names="landing_pages",
    changed=Text.PAGE_UPDATED,
    check=_check_page,
)
LAYOUTS: Final = Crud[PageRecord](
    table=lambda store: store.layouts,
    root="pages_landing_page_layout",
    name="landing_page_layout",
    names="landing_page_layouts",
    check=_check_layout,
)


class Editor:
    """The visual editor for one kind of page."""

    def __init__(self, pages: Crud[PageRecord]) -> None:
        self._pages = pages

    def show(self, store: Store, ask: Ask) -> object:
        """Show the editor configuration, without an envelope."""
        page = self._pages.find(store, ask)
        brand_id = page.attributes.get("brand_id")
        brand = store.brands.get(brand_id) if isinstance(brand_id, int) else None
        return {
            "id": page.id,
            "content_state": page.content_state,
            "brand": shown(brand) if brand else None,
            "published_at": moment(page.published),
            "editor": {"locale": "de"},
        }

    def update(self, store: Store, ask: Ask) -> object:
        """Replace the content state."""
        page, content = self._pages.find(store, ask), ask.payload().get("content_state")
        if not isinstance(content, dict):
            raise Refused(422, Text.BAD_CONTENT)
        page.content_state = cast("Attributes", content)
        return self._pages.answer(ask, page, Text.EDITED)

    def publish(self, store: Store, ask: Ask) -> object:
        """Publish the page; the rendering is done at once."""
        page = self._pages.find(store, ask)
        page.published = store.now()
        return done({"id": page.id, "published_at": moment(page.published)}, Text.PAGE_UPDATED)
