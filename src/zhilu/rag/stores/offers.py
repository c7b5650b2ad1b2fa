"""Which stores can be had here, with the reason and the command where one cannot."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from zhilu.errors import error_body
from zhilu.jobs.base import Text
from zhilu.rag.stores import DEFAULT, STORES, StoreKind
from zhilu.settings import Settings

__all__ = ["StoreOffer", "store_offers", "url_of"]


class StoreOffer(BaseModel):
    """A store by name. ``error``: the inside of ``errors.error_body``, why it cannot be had here; None where it can."""

    name: str
    title: Text
    exact: bool
    elsewhere: bool
    is_default: bool
    error: dict[str, Any] | None


def url_of(kind: StoreKind, settings: Settings | None) -> str | None:
    """Where the server of a store is, by the settings."""
    return getattr(settings, kind.url_setting) if kind.url_setting and settings is not None else None


def store_offers(settings: Settings) -> list[StoreOffer]:
    """All of them, the default first. Nothing is imported and no server is asked."""
    offers = []
    for name, kind in STORES.items():
        refusal, facts = kind.refusal(url_of(kind, settings)), kind.facts
        error = error_body(refusal)["error"] if refusal is not None else None
        about = {"title": facts.title, "exact": facts.exact, "elsewhere": facts.elsewhere}
        offers.append(StoreOffer(name=name, is_default=name == DEFAULT, error=error, **about))
    return sorted(offers, key=lambda o: not o.is_default)
