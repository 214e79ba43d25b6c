"""The OpenAPI 3.1 document, made from the route table and the pydantic models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from node.api.models import Problem

if TYPE_CHECKING:
    from node.api.routes import Route

_REF = "#/components/schemas/{model}"


def openapi_document(routes: Iterable[Route]) -> bytes:
    """JSON of the document."""
    table = tuple(routes)
    models = {Problem} | {
        model for route in table for model in (route.answer, route.unfinished, route.body) if model is not None
    }
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "gridchain node", "version": "1", "summary": "HTTP interface of one node"},
        "paths": paths,
        "components": {"schemas": schema["$defs"]},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query)],
        "responses": {"200": _success(route), "4XX": _problem("the request is refused")},
    }
    if route.unfinished is not None:
        content = {route.media: {"schema": _ref(route.unfinished)}}
        operation["responses"]["202"] = {"description": "not done yet", "content": content}
    if route.media == "websocket":
        operation["responses"] = {"101": {"description": route.summary}, "4XX": _problem("the request is refused")}
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/msgpack": {"schema": {"type": "string", "format": "binary"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "application/json": {"schema": _ref(route.body)},
            },
        }
    return operation


def _operation_id(route: Route) -> str:
    of_chain = "chain_" if "{chain}" in route.path else ""
    return of_chain + route.handler.__module__.rsplit(".", 1)[-1] + "_" + route.handler.__name__


def _success(route: Route) -> dict[str, Any]:
    if route.answer is None:
        return {"description": route.summary, "content": {route.media: {"schema": {"type": "string"}}}}
    schema: dict[str, Any] = {"type": "array", "items": _ref(route.answer)} if route.many else _ref(route.answer)
    return {"description": route.summary, "content": {route.media: {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _ref(Problem)}}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REF.format(model=model.__name__)}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    properties = model.model_json_schema(by_alias=True).get("properties", {})
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]
