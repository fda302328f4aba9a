"""Corrects the generated description of the API (OpenAPI), so that it states what is true and no more."""

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

__all__ = ["allowed_methods", "describe", "operation_id"]

_GENERATED: Final = ("HTTPValidationError", "ValidationError")

_PARAMETER: Final = re.compile(r"\{[^}]+\}")
_FORM: Final = "application/x-www-form-urlencoded"


def operation_id(route: APIRoute) -> str:
    """Return the name of the route's function, which is unique among our routes."""
    return route.name


def describe(app: FastAPI) -> None:
    """Correct the description that FastAPI generates for ``app``."""
    generate = app.openapi

    def corrected() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document.get("components", {}).get("schemas", {})
            for name in _GENERATED:
                schemas.pop(name, None)
            for path in document["paths"].values():
                for operation in path.values():
                    _correct(operation, schemas)
        return app.openapi_schema or {}

    app.openapi = corrected  # type: ignore[method-assign]


def allowed_methods(app: FastAPI, path: str) -> str:
    """Return the value of Allow: all methods that ``path`` supports (RFC 9110 §10.2.1)."""
    paths = app.openapi()["paths"]
    for template in sorted(paths, key=len, reverse=True):  # paths with a suffix come before those without
        if re.fullmatch(_PARAMETER.sub("[^/]+", template.replace(".", r"\.")), path):
            methods = {method.upper() for method in paths[template]}
            return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    return ""


def _correct(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    # Wrong parameters are answered with 400, and unknown resources with 404.
    operation["responses"].pop("422", None)
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    body = operation.get("requestBody")
    if body is not None:
        form = schemas[body["content"][_FORM]["schema"]["$ref"].rpartition("/")[2]]
        required = form.get("required", ())
        form["properties"] = {
            name: each if name in required else _perhaps_empty(_without_null(each))
            for name, each in form["properties"].items()
        }
        body["required"] = bool(required)


def _perhaps_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow an empty value, which counts as absent in a form."""
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}]}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove null from a parameter's schema: a form or a query can omit a parameter but not contain null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kinds[0], **rest}
