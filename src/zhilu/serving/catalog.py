"""Which models may be served: those of the store and of the APIs that were added, or those that a command named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from zhilu.context import Context
from zhilu.errors import DamagedError, InputError, NotFoundError, ZhiluError, nearest
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.serving.facts import Remote, ServedModel

__all__ = ["Catalog", "FixedCatalog", "StoreCatalog", "no_such_model"]

log = get_logger(__name__)


class Catalog(Protocol):
    """The seam to the model store. Both methods may read the disk: call them in a thread."""

    def list(self) -> Sequence[dict[str, Any]]:
        """One entry a model for ``GET /v1/models``: ``id``, and ``max_model_len`` where known."""
        ...

    def get(self, name: str) -> ServedModel:
        """Raises NotFoundError, or InputError for a model that no engine can load."""
        ...


class StoreCatalog:
    """Every model of the store, and those of the APIs that were added. One that the embedded engine cannot run says why, and
    may run in another."""

    def __init__(self, context: Context) -> None:
        from zhilu.models import ModelStore
        from zhilu.models.apis.store import ApiStore

        self._store = ModelStore(context)
        self._apis = ApiStore(context.home)

    def list(self) -> list[dict[str, Any]]:
        models = [model for model in self._store.list() if model.supported]
        ours = [{"id": m.name, **({"max_model_len": m.context_length} if m.context_length else {})} for m in models]
        try:
            apis = self._apis.list()
        except DamagedError as error:  # what is on this machine is served all the same
            log.warning("apis_unreadable", error=error.message.en)
            apis = []
        return ours + [{"id": name, "owned_by": api.name, "state": "ready"} for api in apis for name in api.called()]

    def get(self, name: str) -> ServedModel:
        from zhilu.models.check import gguf_files
        from zhilu.models.inspect import inspect_folder

        if (found := self._apis.find(name)) is not None:
            api, there = found
            return ServedModel(name, remote=Remote(api.name, api.root, there, api.api_key))
        model = self._store.get(name)
        path = Path(model.path)
        if model.format == "gguf" and model.supported:
            return ServedModel(model.name, gguf_files(path)[0])
        if not model.supported:
            try:
                inspect_folder(path)
            except ZhiluError as error:  # broken: nothing can load it
                raise InputError(
                    T(
                        f"The model {name!r} cannot be served: {error.message.en}",
                        f"模型 {name!r} 无法运行：{error.message.zh}",
                    ),
                    param="model",
                    fix=f"zhilu model show {name}",
                ) from error
            return ServedModel(model.name, path, not_ours=T.of(model.why_not or "?"))
        return ServedModel(model.name, path)


class FixedCatalog:
    """Just these models, for ``zhilu serve`` and tests."""

    def __init__(self, *models: ServedModel) -> None:
        self._models = {model.name: model for model in models}

    def list(self) -> list[dict[str, Any]]:
        return [{"id": name} for name in self._models]

    def get(self, name: str) -> ServedModel:
        if name not in self._models:
            raise no_such_model(name, list(self._models))
        return self._models[name]


def no_such_model(name: str, there: Sequence[str]) -> NotFoundError:
    """OpenAI's ``model_not_found``, with the names there are and the nearest."""
    close = nearest(name, there)
    listed = ", ".join(there) or "-"
    return NotFoundError(
        T(
            f"The model {name!r} does not exist."
            + (f" Did you mean {close!r}?" if close else "")
            + f" There are: {listed}.",
            f"模型 {name!r} 不存在。" + (f"是不是 {close!r}？" if close else "") + f"现有：{listed}。",
        ),
        param="model",
        code="model_not_found",
        fix="zhilu model list",
    )
