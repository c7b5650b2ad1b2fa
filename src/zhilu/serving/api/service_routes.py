"""One route for each path of each registered service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Depends, Request, Response

from zhilu import wire
from zhilu.host.services import Service, service_registry
from zhilu.serving.api.vllm_routes import body_of, gateway_of, json_only

__all__ = ["mount", "router"]

router = APIRouter()


def mount(router: APIRouter, name: str, service: Service) -> None:
    """Add the routes of ``service`` to ``router``."""
    for path in service.paths:
        router.post(
            path,
            name=name,
            tags=[service.tag],
            description=service.__doc__,
            dependencies=[] if issubclass(service.request, wire.FormRequest) else [Depends(json_only)],
            openapi_extra=body_of(service.request),
        )(_endpoint(service))


def _endpoint(service: Service) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return await gateway_of(request).serve(request, service)

    return serve


for _name, _service in service_registry().items():
    mount(router, _name, _service)
