"""The ABI of an instance as an OpenAPI 3.1 document: a POST path for each export, a GET path for each view.

A node serves exactly these paths. What travels to a POST is the signed transaction; which arguments it has to carry,
and what its receipt may say, is in the schemas beside it.
"""

from __future__ import annotations

from typing import Any

from contracts.abi_schema import abi_schema
from contracts.compile import Program
from contracts.error_codes import HOST_CODES

_REF = "#/components/schemas/"


def abi_openapi(program: Program, instance: str) -> dict[str, Any]:
    """The document for an instance of that name."""
    abi = abi_schema(program)
    schemas: dict[str, Any] = dict(abi["$defs"])
    schemas |= {f"event.{name}": shown for name, shown in abi["events"].items()}
    paths: dict[str, Any] = {}
    for name, entry in abi["entries"].items():
        schemas[f"{name}.arguments"] = entry["arguments"]
        schemas[f"{name}.value"] = entry["returns"]
        schemas[f"{name}.code"] = _codes(entry["errors"])
        path = f"/v1/contracts/{instance}/{name}"
        if entry["role"] == "view":
            paths[path] = {"get": _view(name)}
        elif entry["role"] == "export" and not entry["scheduled"]:
            paths[path] = {"post": _export(name, entry)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": instance, "version": abi["source_hash"], "summary": f"contract in {abi['language']}"},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    moved: dict[str, Any] = _moved(document)
    return moved


def _moved(value: Any) -> Any:
    """References of the schema document as references of this one."""
    if isinstance(value, dict):
        return {
            key: item.replace("#/$defs/", _REF) if key == "$ref" and isinstance(item, str) else _moved(item)
            for key, item in value.items()
        }
    return [_moved(item) for item in value] if isinstance(value, list) else value


def _codes(errors: dict[str, Any]) -> dict[str, Any]:
    listed = {"type": "string", "enum": ["", *errors["codes"], *HOST_CODES]}
    if not errors["more"]:
        return listed
    return {"anyOf": [listed, {"type": "string"}], "description": "or a code of a contract that is called"}


def _view(name: str) -> dict[str, Any]:
    arguments = {"application/json": {"schema": {"$ref": f"{_REF}{name}.arguments"}}}
    answer = {
        "type": "object",
        "properties": {"height": {"type": "integer"}, "value": {"$ref": f"{_REF}{name}.value"}},
        "required": ["height", "value"],
    }
    return {
        "operationId": name,
        "parameters": [
            {"name": "args", "in": "query", "content": arguments},
            {"name": "height", "in": "query", "schema": {"type": "integer", "minimum": 0}},
        ],
        "responses": {
            "200": {"description": "the value", "content": {"application/json": {"schema": answer}}},
            "4XX": {"description": "refused, or the view failed", "x-code": {"$ref": f"{_REF}{name}.code"}},
        },
    }


def _export(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "operationId": name,
        "x-arguments": {"$ref": f"{_REF}{name}.arguments"},
        "x-auth": entry["auth"],
        "x-signers": entry["signers"],
        "requestBody": {"required": True, "content": {"application/octet-stream": binary}},
        "responses": {
            "200": {
                "description": "admitted; its receipt is at GET /v1/transactions/{id}",
                "x-receipt": {"value": {"$ref": f"{_REF}{name}.value"}, "code": {"$ref": f"{_REF}{name}.code"}},
            },
            "4XX": {"description": "the request is refused"},
        },
    }
