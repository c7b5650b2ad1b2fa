"""Models behind somebody else's API: added by a name or any URL, tested at once, answered beside those of this machine.

File map: ``presets`` APIs by name, as data · ``probe`` the test · ``faults`` what went wrong, told apart · ``store`` the file
with the keys · ``cli`` and ``routes`` the two doors. The gateway reaches their models as ``NAME/MODEL``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from zhilu.context import Context
from zhilu.errors import InputError, NotFoundError, nearest
from zhilu.messages import T
from zhilu.models.apis.faults import checked_key
from zhilu.models.apis.presets import first_of, presets
from zhilu.models.apis.probe import Probe, probe
from zhilu.models.apis.store import Api, ApiStore

__all__ = ["Api", "ApiStore", "Probe", "add_api", "choose_models", "test_api"]

_OFFERED = 12  # models in menus where nobody chose: a list of three hundred is no menu
# In the id of a model that answers no chat.
_OTHER = (
    "embed", "rerank", "bge-", "minilm", "e5-", "gte-", "whisper", "tts", "asr", "image", "dall-e", "audio", "speech", "realtime", "moderation",
    "video", "transcribe", "ocr", "cogview", "cosyvoice", "wanx", "wan2", "flux", "stable-diffusion",
)  # fmt: skip


def add_api(
    context: Context,
    name: str,
    *,
    base_url: str | None = None,
    key: str | None = None,
    models: Sequence[str] = (),
    replaces: bool = False,
) -> tuple[Api, Probe]:
    """Test an API as it will be used, and keep it with its key: nothing is kept of one that fails.

    Args:
        name: of a preset, or any where ``base_url`` is given.
        models: that menus offer; by default the first of those that it lists.
        replaces: it takes the place of the one of that name, whose key it keeps where none is given and the server is
            the same.

    Raises:
        NotFoundError: no preset of that name, and no URL. ConflictError: the name is taken. Else what ``probe`` raises.
    """
    preset = presets().get(name)
    url = base_url or (preset.base_url if preset else None)
    if url is None:
        close = nearest(name, presets())
        there = ", ".join(presets())
        raise NotFoundError(
            T(
                f"No API called {name!r} is known." + (f" Did you mean {close!r}?" if close else f" Known: {there}."),
                f"不认识名为 {name!r} 的 API。" + (f"是不是 {close!r}？" if close else f"已知：{there}。"),
            ),
            param="name",
            fix=f"zhilu model api add {name} --base-url https://HOST/v1",
        )
    store, key = ApiStore(context.home), checked_key(key)
    before = {api.name: api for api in store.list()}.get(name)
    store.check(name, replaces=replaces)
    if before and key is None and _server(before.root) == _server(url):
        key = before.api_key
    if preset and preset.needs_key and base_url is None and key is None:
        raise InputError(
            T(f"{preset.en} wants a key: {preset.keys}", f"{preset.zh} 需要密钥：{preset.keys}"),
            param="api_key",
            code="api_key_missing",
            fix=f"zhilu model api add {name}",
        )
    first = preset.first if preset else ()
    found = probe(name, url, key, models, first)
    chosen = tuple(models) or _offered(found, first)
    api = Api(name, found.root, key, chosen, preset=preset.name if preset and base_url is None else None)
    return store.add(api, replaces=replaces), found


def test_api(context: Context, name: str, model: str | None = None) -> tuple[Api, Probe]:
    """Test an API that was added; ``model``: one of it to ask. Raises what ``probe`` raises, or NotFoundError."""
    api = ApiStore(context.home).get(name)
    asked = (model,) if model else api.models[:1]
    return api, probe(name, api.root, api.api_key, asked)


test_api.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def choose_models(context: Context, name: str, models: Sequence[str]) -> Api:
    """The models that menus offer from now on; any other is answered by its name all the same."""
    store = ApiStore(context.home)
    return store.add(replace(store.get(name), models=tuple(models)), replaces=True)


def _offered(found: Probe, first: Sequence[str]) -> tuple[str, ...]:
    """The one that answered, and the first of those that can chat by their names."""
    able = [model for model in found.models if not any(word in model.lower() for word in _OTHER)]
    return tuple(dict.fromkeys([found.model, *first_of(able, first)]))[:_OFFERED]


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
