"""The static files, kept by browsers for good: their address changes with their content."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import RedirectResponse, Response

from pipeline.web.access import Anyone
from pipeline.web.assets import assets

router = APIRouter()


@router.get("/static/{digest}/{name}")
def static(_: Anyone, digest: str, name: str) -> Response:
    """One file of `static/`."""
    asset = assets().get(name)
    if asset is None or not asset.digest.startswith(digest) or len(digest) != 16:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


@router.get("/favicon.ico")
def favicon(_: Anyone) -> Response:
    """For browsers that ask for it whatever the page says."""
    return RedirectResponse(assets()["esep.svg"].address, 308)
