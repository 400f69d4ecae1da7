"""The sandbox's own OpenAPI document: what it takes and what it answers."""

from __future__ import annotations

from typing import Any


def document(url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the sandbox at `url`."""
    answer = {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "string", "description": "received, accepted, rejected, duplicate, not-found, …"},
            "receipt": {"type": "string", "description": "empty until it is accepted"},
            "message": {"type": "string"},
            "rows": {
                "type": "array",
                "items": {"type": "object", "properties": {"n": {"type": "string"}, "message": {"type": "string"}}},
                "description": "rows of the report that were rejected",
            },
        },
    }
    submission = {
        "type": "object",
        "properties": {
            "submission_id": {"type": "string"},
            "amends": {"type": ["string", "null"], "description": "the accepted submission that this one corrects"},
            "amends_receipt": {"type": ["string", "null"], "description": "the receipt given for it, however it was handed in"},
            "month": {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
            "version": {"type": "integer", "minimum": 1},
            "digest": {"type": "string", "description": "SHA-256 of the canonical report"},
            "report_base64": {"type": "string", "description": "report.json"},
            "signature": {"type": ["string", "null"], "description": "detached CMS over report.json, DER, base64"},
        },
    }

    def told(description: str) -> dict[str, Any]:
        return {"description": description, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}}

    return {
        "openapi": "3.1.0",
        "info": {"title": "Esep sandbox", "version": "1", "description": "A filing service for trials. Nobody's real interface."},
        "servers": [{"url": url}],
        "paths": {
            "/submissions": {
                "post": {
                    "operationId": "submit",
                    "parameters": [{"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Submission"}}},
                    },
                    "responses": {
                        "201": told("accepted, with its receipt"),
                        "202": told("received: ask later"),
                        "400": told("not a submission"),
                        "401": told("no token, or another"),
                        "409": told("known already under this id with these bytes"),
                        "422": told("rejected, or the id is known with other bytes"),
                        "503": told("nothing was taken"),
                    },
                }
            },
            "/submissions/{submission_id}": {
                "get": {
                    "operationId": "status",
                    "parameters": [{"name": "submission_id", "in": "path", "required": True, "schema": {"type": "string"}}],
                    "responses": {"200": told("what became of it"), "404": told("not known")},
                }
            },
        },
        "components": {"schemas": {"Answer": answer, "Submission": submission}},
    }
