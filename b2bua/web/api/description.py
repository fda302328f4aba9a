"""The API's own description (OpenAPI), made to say what is true and no more."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

__all__ = ["describe", "operation_id"]

_GENERATED: Final = ("HTTPValidationError", "ValidationError")


def operation_id(route: APIRoute) -> str:
    """The function's name, which is unique among ours."""
    return route.name


def describe(app: FastAPI) -> None:
    """Correct what is generated for ``app`` where it does not fit."""
    generate = app.openapi

    def corrected() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            for path in document["paths"].values():
                for operation in path.values():
                    # Wrong parameters are answered with 400, and what names nothing with 404.
                    operation["responses"].pop("422", None)
                    for parameter in operation.get("parameters", ()):
                        parameter["schema"] = _without_null(parameter["schema"])
            schemas = document.get("components", {}).get("schemas", {})
            for name in _GENERATED:
                schemas.pop(name, None)
            for name, schema in schemas.items():
                if name.endswith("Form"):
                    schema["properties"] = {k: _without_null(v) for k, v in schema["properties"].items()}
        return app.openapi_schema or {}

    app.openapi = corrected  # type: ignore[method-assign]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; there is no way to write null into a form or a query."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kinds[0], **rest}
