"""The page itself: its files, and what it is told of this server."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .. import __version__, facs
from ..files.pictures import STILLS
from ..motion.easing import EASINGS
from ..motion.timeline import DEFAULT_FPS
from . import suggest
from .guard import Refused
from .service import PREVIEW_SIZES, SIZES, ZONE_COLOURS, Service, formats
from .settings import Limits

PICTURE_FORMATS = tuple(suffix[1:] for suffix in STILLS)
TOLD = ("code", "number", "name", "muscle", "area", "drawing")  # of an Action Unit
TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
}  # fmt: skip


class Pages:
    """Answers that are the same for everybody."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self.service, self.limits = service, limits
        # Read once, looked up by name: no request opens a file of the package.
        self.assets = {
            entry.name: (entry.read_bytes(), TYPES[Path(entry.name).suffix])
            for entry in (resources.files(__package__) / "page").iterdir()
            if entry.is_file()
        }

    async def page(self, name: str, request: Request) -> Response:
        content, kind = self.assets[name]
        return Response(content, media_type=kind)

    async def asset(self, request: Request) -> Response:
        asset = self.assets.get(request.path_params["name"])
        if asset is None:
            raise Refused(404, "there is no such page")
        return Response(asset[0], media_type=asset[1])

    async def about(self, request: Request) -> Response:
        offered = self.service.studio.units
        return JSONResponse({
            "version": __version__,
            "units": [
                {name: getattr(facs.UNITS[code], name) for name in TOLD} for code in offered
            ],
            "zones": list(ZONE_COLOURS),
            "expressions": suggest.possible(facs.EXPRESSIONS, offered),
            "variants": suggest.possible(facs.VARIANTS, offered),
            "easings": list(EASINGS),
            "fps": DEFAULT_FPS,
            "film_formats": formats(),
            "picture_formats": PICTURE_FORMATS,
            "sizes": SIZES,
            "preview_sizes": PREVIEW_SIZES,
            "qualities": list(self.service.qualities),
            "cannot_measure": self.service.can_measure,
            "photo_bytes": self.limits.photo_bytes,
            "photo_pixels": self.limits.photo_pixels,
            "table_bytes": self.limits.table_bytes,
            "film_frames": self.limits.film_frames,
            "idle_minutes": round(self.limits.idle_seconds / 60),
        })  # fmt: skip
