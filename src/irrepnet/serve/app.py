"""The application: pages, and beside them the same as JSON."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Path, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from irrepnet import __version__
from irrepnet.crystals import FileInMemory
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.groups.reports import (
    describe_correlation,
    describe_coupling,
    describe_covariants,
    describe_double_group,
    describe_group,
    describe_product,
    describe_subduction,
    group_called,
    list_groups,
    natural_parity,
)
from irrepnet.outlets import for_terminal
from irrepnet.report.html import policy_of, render, template_text
from irrepnet.serve.explorer import Choice, group_list_page, group_page
from irrepnet.serve.guard import Guard
from irrepnet.serve.worker import Limits, Unanswered, Worker
from irrepnet.training.where import SHIPPED, card_of, named_runs


class Parity(StrEnum):
    """Under inversion."""

    natural = "natural"
    even = "even"
    odd = "odd"


class Refusal(BaseModel):
    """Why there is no answer."""

    detail: Any


GroupName = Annotated[
    str, Path(max_length=40, description="a name of a point group or of a space group: m-3m, Oh, 4/mmm, Fm-3m, 225")
]
SubgroupName = Annotated[str, Path(max_length=40, description="a name of a point group")]
IrrepLabel = Annotated[
    str, Query(max_length=40, description="an irrep: T1u, or of a double group any of its names, such as G6-")
]
Double = Annotated[bool, Query(description="the double group, for spin; complex numbers are [real, imaginary]")]
Upload = Annotated[UploadFile | None, File(description="one crystal: CIF, POSCAR, extended XYZ or JSON, by its name")]
Symprec = Annotated[
    float, Form(gt=0, le=1, allow_inf_nan=False, description="Å, how far from symmetric an atom may be")
]
_OR_JSON = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": "one crystal: species, frac_coords, and lattice in Å, rows; or pymatgen's Structure",
                    "example": {
                        "species": ["Ni", "Al"],
                        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
                        "lattice": [[2.88, 0, 0], [0, 2.88, 0], [0, 0, 2.88]],
                    },
                }
            }
        }
    }
}
"""What may be sent instead of a form."""
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": meaning}
    for status, meaning in {
        400: "cannot be used, and why",
        403: "a page from elsewhere asks",
        404: "there is nothing at this address",
        408: "sending takes too long",
        413: "too large",
        500: "an error in irrepnet, or want of memory",
        503: "too many uploads at a time",
        504: "takes too long",
        507: "takes too much memory",
    }.items()
}


def create_app(limits: Limits | None = None, hosts: Iterable[str] = (), runs: Iterable[str | FilePath] = ()) -> Guard:
    """The application, behind its checks. While it runs it has a process that looks at uploads.

    Args:
        limits: of uploads.
        hosts: names of this machine, besides localhost, by which it may be asked.
        runs: folders of trained runs that predict besides the models that come with the package.

    Raises:
        IrrepnetError: a folder holds no finished run, or one of Hamiltonians.
    """
    limits = limits or Limits()
    models = named_runs(runs)
    MultiPartParser.spool_max_size = limits.bytes + 1  # larger files, of which there are none, would go to the disk
    desk = _Desk(limits, tuple(folder for folder in models.values() if folder.parent != SHIPPED))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.open()
        yield
        desk.close()

    app = FastAPI(
        title="irrepnet",
        version=__version__,
        description="Point groups; crystals, and what symmetry and the models that come with irrepnet say of them.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=_REFUSALS,
    )
    app.add_exception_handler(IrrepnetError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(Exception, _refused)
    app.state.limits = limits
    _add_pages(app, desk)
    _add_groups(app)
    _add_crystals(app, desk, models)
    return Guard(app, limits, hosts)


class _Desk:
    """Where uploads wait for the process that looks at them."""

    def __init__(self, limits: Limits, runs: Sequence[FilePath] = ()) -> None:
        self._limits = limits
        self._runs = runs
        self._waiting = 0
        self._worker: Worker | None = None

    @property
    def bands_seconds(self) -> float:
        """What is left for bands of the time that a crystal may take."""
        return self._limits.seconds / 2

    def open(self) -> None:
        self._worker = Worker(self._limits)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    async def ask(self, work: str, upload: UploadFile | None, request: Request, **options: Any) -> str:
        """As `Worker.ask`, of the file in a form, or of the crystal in a request of JSON; 503 when too many wait."""
        assert self._worker is not None  # for the application has started
        if self._waiting >= self._limits.waiting:
            raise Unanswered(f"{self._waiting} crystals are waiting already; try again soon", 503)
        self._waiting += 1
        try:
            if upload is not None:
                file = FileInMemory(_shown_name(upload.filename), await upload.read())
            elif request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
                file = FileInMemory("crystal.json", await request.body())
            else:
                raise IrrepnetError("send a form with one crystal as `file`, or its JSON as application/json")
            return await asyncio.to_thread(self._worker.ask, work, file, runs=self._runs, **options)
        finally:
            self._waiting -= 1


def _shown_name(name: str | None) -> str:
    """The name of an upload without folders, without what is no text, and short; its ending stays."""
    base = re.split(r"[/\\]", name or "")[-1]
    return " ".join(for_terminal(base).split())[-100:] or "the file"


def _add_pages(app: FastAPI, desk: _Desk) -> None:
    @app.get("/", include_in_schema=False)
    def start() -> Response:
        return _start_page(app.state.limits)

    @app.post("/report", include_in_schema=False)
    async def report(request: Request, file: Upload = None, symprec: Symprec = 0.01) -> Response:
        return _html(await desk.ask("page", file, request, symprec=symprec, bands_seconds=desk.bands_seconds))

    @app.get("/report", include_in_schema=False)
    def report_again() -> Response:
        return RedirectResponse("/", 303)

    @app.get("/groups", include_in_schema=False)
    def groups(name: Annotated[str, Query(max_length=40)] = "") -> Response:
        if name:
            return RedirectResponse(f"/groups/{PointGroup(name).name}", 303)
        return _html(group_list_page())

    @app.get("/groups/{name:path}", include_in_schema=False)
    def group(
        name: GroupName,
        a: IrrepLabel = "",
        b: IrrepLabel = "",
        c: IrrepLabel = "",
        subgroup: IrrepLabel = "",
        irrep: IrrepLabel = "",
        double: Double = False,
    ) -> Response:
        return _html(group_page(group_called(name, double), Choice(a, b, c, subgroup, irrep)))

    @app.get("/api", include_in_schema=False)
    def api(request: Request) -> Response:
        page = render("api.html", "API", connects=True, schema=app.openapi(), address=str(request.base_url))
        return _html(page)


def _add_groups(app: FastAPI) -> None:
    @app.get("/api/groups")
    def groups() -> list[dict[str, Any]]:
        """The 32 point groups, and the further named settings."""
        return list_groups()

    @app.get("/api/groups/{name:path}/product")
    def product(name: GroupName, a: IrrepLabel, b: IrrepLabel, double: Double = False) -> dict[str, Any]:
        """The decomposition of A ⊗ B."""
        return describe_product(group_called(name, double), a, b)

    @app.get("/api/groups/{name:path}/couplings")
    def couplings(
        name: GroupName, a: IrrepLabel, b: IrrepLabel, c: IrrepLabel, double: Double = False
    ) -> dict[str, Any]:
        """Coupling coefficients U[copy, n, i, j] of A ⊗ B → C, orthonormal; none if C is not in it."""
        return describe_coupling(group_called(name, double), a, b, c)

    @app.get("/api/groups/{name:path}/subduction/{subgroup:path}")
    def subduction(name: GroupName, subgroup: SubgroupName, double: Double = False) -> dict[str, Any]:
        """The irreps of a subgroup in those of the group, and where the subgroup has its axes."""
        return describe_correlation(group_called(name, double), subgroup)

    @app.get("/api/groups/{name:path}/subduction")
    def subduction_from_sphere(
        name: GroupName,
        j: Annotated[float, Query(ge=0, le=12, multiple_of=0.5, description="angular momentum: 2, or 1.5 with spin")],
        parity: Annotated[Parity, Query(description="under inversion; natural is (−1)^j, of half-integers even")] = (
            Parity.natural
        ),
        double: Double = False,
    ) -> dict[str, Any]:
        """The irreps in an irrep of O(3), with their bases in real harmonics in the order of m; l = 1 is x, y, z."""
        twice = round(2 * j)
        sign = {Parity.natural: natural_parity(twice), Parity.even: 1, Parity.odd: -1}[parity]
        return describe_subduction(group_called(name, double or twice % 2 == 1), twice, sign)

    @app.get("/api/groups/{name:path}/covariants")
    def covariants(name: GroupName, irrep: IrrepLabel) -> dict[str, Any]:
        """Generators of the polynomial maps of a vector into an irrep that commute with the group."""
        return describe_covariants(PointGroup(name), irrep)

    @app.get("/api/groups/{name:path}")
    def group(name: GroupName, double: Double = False) -> dict[str, Any]:
        """Operations, classes, irreps with their characters and names in other conventions."""
        g = group_called(name, double)
        return describe_group(g) if isinstance(g, PointGroup) else describe_double_group(g)


def _add_crystals(app: FastAPI, desk: _Desk, names: Mapping[str, FilePath]) -> None:
    @app.post("/api/report", response_model=dict[str, Any], openapi_extra=_OR_JSON)
    async def report(request: Request, file: Upload = None, symprec: Symprec = 0.01) -> Response:
        """All that the page of a crystal says, in the standard frame: symmetry, sites, modes, tensors, predictions."""
        return _json(await desk.ask("report", file, request, symprec=symprec, bands_seconds=desk.bands_seconds))

    @app.post("/api/predict", response_model=dict[str, Any], openapi_extra=_OR_JSON)
    async def predict(
        request: Request,
        file: Upload = None,
        model: Annotated[str, Query(max_length=40, description="a name of /api/models, or all")] = "all",
    ) -> Response:
        """Predictions for a crystal, with bounds and the nearest training crystals; tensors are in the file's axes."""
        return _json(await desk.ask("predictions", file, request, model=model))

    @app.get("/api/models")
    def models() -> dict[str, Any]:
        """The models: what they were trained on, and how good they are."""
        return {name: card_of(folder) for name, folder in names.items()}


def _start_page(limits: Limits, error: str = "", status: int = 200) -> Response:
    page = render(
        "start.html",
        "All that symmetry and trained models say of a crystal",
        scripts=[template_text("upload.js")],
        connects=True,
        error=error,
        megabytes=limits.megabytes,
        atoms=limits.atoms,
        seconds=f"{limits.seconds:g}",
    )
    return _html(page, status)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, {"Content-Security-Policy": f"{policy_of(page)}; frame-ancestors 'none'"})


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    """Why not, as JSON or as a page; of an error in the program only that there is one, for the log has it."""
    detail: Any = str(error)
    status = 400
    match error:
        case Unanswered():
            status = error.status
        case IrrepnetError():
            pass
        case HTTPException():
            status, detail = error.status_code, error.detail
        case RequestValidationError():
            fields = [{key: each[key] for key in ("loc", "msg", "type")} for each in error.errors()]
            status, detail = 422, fields
        case _:
            status, detail = 500, "this shows an error in irrepnet, which its log describes"
    if isinstance(detail, str):
        detail = for_terminal(detail)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": detail}, status)
    if isinstance(detail, list):
        detail = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in detail)
    return _start_page(request.app.state.limits, detail, status)
