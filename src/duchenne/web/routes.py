"""What the page can ask for. What a request means is in the other modules."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from .. import facs
from ..errors import DescriptorError, InputError
from . import asked_for, bodies, recipe, suggest, tasks
from .guard import PASS_COOKIE, PASS_SECONDS, Passes, Refused, whose
from .jobs import Busy, Job, Queue
from .motions import asked_course, asked_motion, asked_reading, read_motion_file
from .pages import PICTURE_FORMATS, Pages
from .service import PREVIEW_SIZES, Service, Shape, formats
from .settings import Limits
from .visitors import Sitter, Visitor, Visitors

COOKIE = "duchenne_visitor"
ASKING = 4  # quick questions of one visitor at a time
MAX_SEED = 2**31 - 1

T = TypeVar("T")


class Routes:
    """The routes of one server."""

    def __init__(
        self,
        service: Service,
        queue: Queue,
        visitors: Visitors,
        passes: Passes,
        limits: Limits,
    ) -> None:
        self.service, self.queue, self.visitors = service, queue, visitors
        self.passes, self.limits = passes, limits
        # Not the threads that write uploads and read results: those never wait for a picture.
        self._threads = anyio.CapacityLimiter(ASKING * limits.visitors)
        self._pages = Pages(service, limits)

    def table(self) -> list[Route]:
        get, post = ["GET"], ["POST"]
        return [
            Route("/", partial(self._pages.page, "index.html"), methods=get),
            Route("/login", partial(self._pages.page, "login.html"), methods=get),
            Route("/login", self.login, methods=post),
            Route("/page/{name}", self._pages.asset, methods=get),
            Route("/api/about", self._pages.about, methods=get),
            Route("/api/state", self.state, methods=get),
            Route("/api/photo", self.photo, methods=post),
            Route("/api/photo", self.shown_photo, methods=get),
            Route("/api/face", self.face, methods=post),
            Route("/api/sample", self.sample, methods=post),
            Route("/api/job", self.job, methods=get),
            Route("/api/job/cancel", self.cancel, methods=post),
            Route("/api/preview", self.preview, methods=post),
            Route("/api/profile", self.profile, methods=post),
            Route("/api/live", self.live, methods=post),
            Route("/api/region/{zone}", self.region, methods=get),
            Route("/api/random", self.random, methods=post),
            Route("/api/recipe", self.recipe, methods=post),
            Route("/api/picture", self.picture, methods=post),
            Route("/api/timeline/file", self.timeline_file, methods=post),
            Route("/api/timeline/keys", self.timeline_keys, methods=post),
            Route("/api/film", self.film, methods=post),
            Route("/api/file/{number}", self.file, methods=get),
            Route("/api/leave", self.leave, methods=post),
        ]

    # Who comes in

    async def login(self, request: Request) -> Response:
        asked = await self._json(request)
        cookie = await self.passes.admit(str(asked.get("password", ""))[:1000])
        if cookie is None:
            raise Refused(401, "that is not the password")
        answer = JSONResponse({})
        self._set_cookie(request, answer, PASS_COOKIE, cookie, PASS_SECONDS)
        return answer

    # The visitor's face

    async def state(self, request: Request) -> Response:
        visitor = self._find(request)
        return JSONResponse({} if visitor is None else self._state(visitor))

    async def photo(self, request: Request) -> Response:
        """A photo comes in; a job looks for faces, and encodes one if there is just one."""
        known = self._find(request)
        if known is None:
            self.visitors.require_room(whose(request))
        else:
            known.require_free()
        name = asked_for.name_of(request, "photo.jpg")
        quality = self._quality(request.query_params)
        # Nobody becomes a visitor by an upload that never ends.
        path = self.visitors.new_file(".photo")
        await bodies.save_body(request, path, self.limits.photo_bytes, self.limits)
        try:
            async with self._entered(request) as (token, visitor):
                path = path.rename(visitor.folder / path.name)
                work = partial(tasks.open_photo, self.service, visitor, path, name, quality)
                return self._submit(request, token, visitor, Job("photo", work))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    async def shown_photo(self, request: Request) -> Response:
        upload = self._visitor(request).upload
        if upload is None:
            raise Refused(404, "there is no photo")
        return FileResponse(upload.shown, media_type="image/jpeg")

    async def face(self, request: Request) -> Response:
        """One of several faces was chosen; a job encodes it."""
        visitor = self._visitor(request)
        asked = await self._json(request)
        index = asked_for.whole(asked, "index", 0, 1000)
        if visitor.upload is None:
            raise Refused(409, "there is no photo; choose one first")
        work = partial(
            tasks.encode_face, self.service, visitor, visitor.upload, index, self._quality(asked)
        )
        return self._submit(request, None, visitor, Job("encode", work))

    async def sample(self, request: Request) -> Response:
        seed = asked_for.whole(await self._json(request), "seed", 0, MAX_SEED)
        async with self._entered(request) as (token, visitor):
            work = partial(tasks.open_sample, self.service, visitor, seed)
            return self._submit(request, token, visitor, Job("sample", work))

    async def leave(self, request: Request) -> Response:
        """Everything of this visitor is deleted now."""
        token = request.cookies.get(COOKIE, "")
        visitor = self.visitors.find(token)
        if visitor is not None:
            sitter = visitor.sitter
            await anyio.to_thread.run_sync(self.visitors.leave, token)
            if sitter is not None:
                await anyio.to_thread.run_sync(self.service.close, sitter)
        answer = JSONResponse({})
        answer.delete_cookie(COOKIE)
        return answer

    # Jobs

    async def job(self, request: Request) -> Response:
        job = self._visitor(request).job
        return JSONResponse({} if job is None else self._job(job))

    async def cancel(self, request: Request) -> Response:
        job = self._visitor(request).job
        if job is not None:
            job.cancel()
        return JSONResponse({})

    # Quick questions

    async def preview(self, request: Request) -> Response:
        visitor, sitter, asked = await self._asked(request)
        descriptor = asked_for.descriptor_of(asked)
        paste = asked_for.flag(asked, "paste") and sitter.photo is not None
        shape = Shape(paste, asked_for.one_of(asked, "size", PREVIEW_SIZES))
        # The picture of before the edit overtakes none of the sliders, and none overtakes it.
        before = asked_for.flag(asked, "before")
        visitor.newest = number = visitor.newest + (not before)
        work = partial(
            self.service.preview, sitter, descriptor, shape,
            lambda: not before and visitor.newest != number,
        )  # fmt: skip
        return Response(await self._quick(visitor, work), media_type="image/jpeg")

    async def profile(self, request: Request) -> Response:
        visitor, sitter, asked = await self._asked(request)
        if self.service.can_measure is not None:
            raise Refused(501, self.service.can_measure)
        work = partial(
            self.service.profile, sitter, asked_for.descriptor_of(asked), lambda: visitor.gone
        )
        measured = await self._quick(visitor, work)
        return JSONResponse({
            when: dict(zip(facs.CODES, values, strict=True)) for when, values in measured.items()
        })  # fmt: skip

    async def live(self, request: Request) -> Response:
        """A picture of the visitor's camera: what their face shows beyond its rest."""
        visitor = self._visitor(request)
        if self.service.can_measure is not None:
            raise Refused(501, self.service.can_measure)
        path = visitor.new_file(".camera")
        try:
            await bodies.save_body(request, path, self.limits.camera_bytes, self.limits)
            again = "rest" in request.query_params
            look = partial(self.service.look, visitor, path, again)
            return JSONResponse(await self._quick(visitor, look))
        finally:
            path.unlink(missing_ok=True)

    async def region(self, request: Request) -> Response:
        visitor = self._visitor(request)
        work = partial(
            self.service.region, asked_for.sitter_of(visitor), request.path_params["zone"]
        )
        return Response(await self._quick(visitor, work), media_type="image/png")

    async def random(self, request: Request) -> Response:
        asked = await self._json(request)
        seed = asked_for.whole({"seed": secrets.randbelow(MAX_SEED), **asked}, "seed", 0, MAX_SEED)
        shown = suggest.plausible(seed, self.service.studio.units)
        return JSONResponse({"seed": seed, "au": shown})

    async def recipe(self, request: Request) -> Response:
        _, sitter, asked = await self._asked(request)
        descriptor = {
            code: value for code, value in asked_for.descriptor_of(asked).items() if value
        }
        paste = asked_for.flag(asked, "paste") and sitter.photo is not None
        origin = tasks.origin_of(self.service, sitter)
        return JSONResponse({
            "command": recipe.command_line(origin, descriptor, paste=paste),
            "python": recipe.python_code(origin, descriptor, paste=paste),
        })  # fmt: skip

    # Results

    async def picture(self, request: Request) -> Response:
        visitor, sitter, asked = await self._asked(request)
        shape = asked_for.shape_of(asked, sitter)
        suffix = "." + asked_for.one_of(asked, "format", PICTURE_FORMATS)
        descriptor, keep = asked_for.descriptor_of(asked), self.limits.files
        work = partial(
            tasks.draw_picture, self.service, visitor, sitter, descriptor, shape, suffix, keep
        )
        return self._submit(request, None, visitor, Job("picture", work))

    async def timeline_file(self, request: Request) -> Response:
        """A CSV comes in: keyframes are given back as rows, a recording is kept."""
        visitor = self._visitor(request)
        path = visitor.new_file(".csv")
        limits = self.limits
        await bodies.save_body(request, path, limits.table_bytes, limits)
        try:
            settings, units = asked_reading(request.query_params, limits), self.service.studio.units
            work = partial(read_motion_file, path, settings, units, limits)
            table, shown_course = await self._quick(visitor, work)
        except (InputError, DescriptorError) as error:
            shown = asked_for.name_of(request, "table.csv")
            raise type(error)(str(error).replace(path.name, shown)) from None
        finally:
            path.unlink(missing_ok=True)
        visitor.recording = table.timeline if table.kind == "recording" else None
        return JSONResponse({
            "kind": table.kind, "rows": table.rows, "faces": table.faces,
            "notes": [note.replace(str(path), "the file") for note in table.notes],
            **shown_course,
        })  # fmt: skip

    async def timeline_keys(self, request: Request) -> Response:
        """What the keys of the table amount to."""
        visitor = self._visitor(request)
        work = partial(asked_course, await self._json(request), visitor.recording, self.limits)
        return JSONResponse(await self._quick(visitor, work))

    async def film(self, request: Request) -> Response:
        visitor, sitter, asked = await self._asked(request)
        shape = asked_for.shape_of(asked, sitter)
        form = asked_for.one_of(asked, "format", formats())
        most = self.limits.film_frames
        timeline = await self._quick(visitor, partial(asked_motion, asked, visitor.recording, most))
        work = partial(
            tasks.draw_film, self.service, visitor, sitter, timeline, shape, form, self.limits.files
        )
        return self._submit(request, None, visitor, Job("film", work))

    async def file(self, request: Request) -> Response:
        number = request.path_params["number"]
        known = number.isascii() and number.isdigit() and len(number) < 20
        stored = self._visitor(request).files.get(int(number)) if known else None
        if stored is None or not stored.path.is_file():
            raise Refused(404, "this result is gone; make it again")
        kind = "inline" if "play" in request.query_params else "attachment"
        return FileResponse(
            stored.path, media_type=stored.media_type, filename=stored.name,
            content_disposition_type=kind,
        )  # fmt: skip

    # What they share

    def _find(self, request: Request) -> Visitor | None:
        return self.visitors.find(request.cookies.get(COOKIE))

    def _visitor(self, request: Request) -> Visitor:
        visitor = self._find(request)
        if visitor is None:
            raise Refused(410, "your pictures were deleted after a pause; start again")
        return visitor

    @asynccontextmanager
    async def _entered(self, request: Request) -> AsyncIterator[tuple[str | None, Visitor]]:
        """The visitor, or a new one with the secret for their cookie; not kept if it fails."""
        known = self._find(request)
        if known is not None:
            yield None, known
            return
        in_thread = anyio.to_thread.run_sync
        token, visitor = await in_thread(self.visitors.enter, whose(request))
        try:
            yield token, visitor
        except BaseException:
            await in_thread(self.visitors.leave, token)
            raise

    def _submit(self, request: Request, token: str | None, visitor: Visitor, job: Job) -> Response:
        visitor.require_free()
        job.address = whose(request)
        visitor.job = self.queue.submit(job)
        answer = JSONResponse(self._job(job), 202)
        if token is not None:
            self._set_cookie(request, answer, COOKIE, token, None)
        return answer

    def _set_cookie(
        self, request: Request, answer: Response, name: str, value: str, seconds: int | None
    ) -> None:
        secure = request.scope["scheme"] == "https"
        answer.set_cookie(
            name, value, max_age=seconds, httponly=True, samesite="strict", secure=secure
        )

    async def _json(self, request: Request) -> dict[str, Any]:
        return await bodies.json_of(request, self.limits)

    async def _asked(self, request: Request) -> tuple[Visitor, Sitter, dict[str, Any]]:
        visitor = self._visitor(request)
        return visitor, asked_for.sitter_of(visitor), await self._json(request)

    async def _quick(self, visitor: Visitor, work: Callable[[], T]) -> T:
        """Run something short in a thread; a visitor has a few of them at a time."""
        if visitor.asking >= ASKING:
            raise Busy("too many questions at once; wait for an answer")
        visitor.asking += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        finally:
            visitor.asking -= 1

    def _job(self, job: Job) -> dict[str, Any]:
        left = job.left()
        return {
            "kind": job.kind, "state": job.state, "stage": job.stage, "done": job.done,
            "total": job.total, "left": None if left is None else round(left, 1),
            "ahead": self.queue.ahead(job), "message": job.message, "result": job.result,
        }  # fmt: skip

    def _state(self, visitor: Visitor) -> dict[str, Any]:
        sitter, job = visitor.sitter, visitor.job
        return {
            "sitter": None if sitter is None else tasks.told(sitter),
            "job": self._job(job) if job is not None and job.active else None,
            "recording": visitor.recording is not None,
        }

    def _quality(self, asked: Mapping[str, Any]) -> str:
        known = list(self.service.qualities)
        return str(asked_for.one_of({"quality": known[0], **asked}, "quality", known))
