"""Landing pages and their layouts, with what the visual editor keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.models.admin import Editor, LandingPage, Layout
from doxie_async.resources.base import PAGE_SIZE, Attributes, DoxieResource, plain, rooted
from klickdoxie_core import Effect, Pages
from klickdoxie_core.errors import NotFound

PAGE_ROOT, LAYOUT_ROOT = "pages_landing_page", "pages_landing_page_layout"
PAGE = Annotated[LandingPage, Under("landing_page")]
LAYOUT = Annotated[Layout, Under("landing_page_layout")]
EDITOR = Annotated[Editor, Under()]


class LandingPages(DoxieResource):
    """Landing pages."""

    async def create(self, attributes: Attributes) -> LandingPage:
        """Create a landing page for its owner (Create a landing page). Never sent twice."""
        return await self._run(routes.CREATE_LANDING_PAGE, Effect.ONCE, PAGE, body=rooted(PAGE_ROOT, attributes))

    async def update(self, id: int | str, attributes: Attributes) -> LandingPage:  # noqa: A002 - the vendor's word
        """Change what is given and nothing else (Update a landing page). Raises `NotFound`."""
        body = rooted(PAGE_ROOT, attributes)
        return await self._run(routes.UPDATE_LANDING_PAGE, Effect.REPEATABLE, PAGE, path={"id": id}, body=body)

    async def delete(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Delete a landing page (Delete a landing page). Raises `NotFound`."""
        await self._do(routes.DELETE_LANDING_PAGE, Effect.REPEATABLE, path={"id": id}, done_if=(NotFound,))

    async def editor(self, id: int | str) -> Editor:  # noqa: A002 - the vendor's word
        """What the editor needs (Show editor landing page configuration). Raises `Rejected` without permission."""
        return await self._run(routes.SHOW_LANDING_PAGE_EDITOR, Effect.SAFE, EDITOR, path={"id": id})

    async def update_content(self, id: int | str, content_state: Mapping[str, object]) -> None:  # noqa: A002
        """Replace the document that is edited (Update landing page content state)."""
        body = {"content_state": plain("content_state", content_state)}
        await self._do(routes.UPDATE_LANDING_PAGE_CONTENT, Effect.REPEATABLE, path={"id": id}, body=body)

    async def publish(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Put the page online (Publish a landing page). Never sent twice."""
        await self._do(routes.PUBLISH_LANDING_PAGE, Effect.ONCE, path={"id": id})


class Layouts(DoxieResource):
    """Layouts of landing pages."""

    def all(self, *, page_size: int = PAGE_SIZE) -> Pages[Layout]:
        """Every layout (List landing page layouts)."""
        return self._pages(routes.LIST_LAYOUTS, Layout, "landing_page_layouts", page_size)

    async def create(self, attributes: Attributes) -> Layout:
        """Create a layout (Create a landing page layout). Never sent twice."""
        return await self._run(routes.CREATE_LAYOUT, Effect.ONCE, LAYOUT, body=rooted(LAYOUT_ROOT, attributes))

    async def get(self, id: int | str) -> Layout:  # noqa: A002 - the vendor's word
        """A layout by its id (Show a landing page layout). Raises `NotFound`."""
        return await self._run(routes.SHOW_LAYOUT, Effect.SAFE, LAYOUT, path={"id": id})

    async def update(self, id: int | str, attributes: Attributes) -> Layout:  # noqa: A002 - the vendor's word
        """Change what is given and nothing else (Update a landing page layout). Raises `NotFound`."""
        body = rooted(LAYOUT_ROOT, attributes)
        return await self._run(routes.UPDATE_LAYOUT, Effect.REPEATABLE, LAYOUT, path={"id": id}, body=body)

    async def delete(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Delete a layout (Delete a landing page layout). Raises `NotFound`."""
        await self._do(routes.DELETE_LAYOUT, Effect.REPEATABLE, path={"id": id}, done_if=(NotFound,))

    async def editor(self, id: int | str) -> Editor:  # noqa: A002 - the vendor's word
        """What the editor needs (Show editor landing page layout configuration)."""
        return await self._run(routes.SHOW_LAYOUT_EDITOR, Effect.SAFE, EDITOR, path={"id": id})

    async def update_content(self, id: int | str, content_state: Mapping[str, object]) -> None:  # noqa: A002
        """Replace the document that is edited (Update landing page layout content state)."""
        body = {"content_state": plain("content_state", content_state)}
        await self._do(routes.UPDATE_LAYOUT_CONTENT, Effect.REPEATABLE, path={"id": id}, body=body)
