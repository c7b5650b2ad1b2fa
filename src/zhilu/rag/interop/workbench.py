"""A running workbench over HTTP, for the classes that other frameworks use: nothing of a knowledge base is loaded there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import httpx

__all__ = ["Workbench"]

_BATCH = 200  # texts a request
_LOOK_EVERY = 0.3  # seconds


class Workbench:
    """One knowledge base of a workbench.

    Raises (every method):
        httpx.HTTPStatusError: the workbench refuses, with its words in the message. httpx.ConnectError: none runs there.
    """

    def __init__(self, knowledge_base: str, base_url: str, api_key: str | None, timeout: float) -> None:
        self.knowledge_base = knowledge_base
        self.base_url = base_url
        self.api_key = api_key
        self.timeout = timeout

    def put(self, texts: Sequence[dict[str, Any]]) -> None:
        """``texts``: id, text and metadata each; returns when they can be found."""
        for at in range(0, len(texts), _BATCH):
            job = self._post("texts", {"texts": list(texts[at : at + _BATCH])})["job"]
            if job is not None:
                self._wait(job["id"])

    def get(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        found = [self._post("texts/get", {"ids": list(ids[at : at + 1000])}) for at in range(0, len(ids), 1000)]
        return [text for some in found for text in some["texts"]]

    def remove(self, ids: Sequence[str]) -> int:
        parts = [ids[at : at + 1000] for at in range(0, len(ids), 1000)]
        return sum(self._post("texts/remove", {"ids": list(part)})["removed"] for part in parts)

    def remove_where(self, filters: dict[str, Any]) -> int:
        """Remove the texts whose metadata pass."""
        return int(self._post("texts/remove", {"filters": filters})["removed"])

    def search(
        self, query: str, k: int, filters: dict[str, Any] | None = None, weight: float | None = None
    ) -> list[dict[str, Any]]:
        body = {"query": query, "k": k, "filters": filters, "weight": weight}
        found: list[dict[str, Any]] = self._post("texts/search", body)["texts"]
        return found

    def ensure(self) -> None:
        """Make the knowledge base where there is none of this name."""
        with self._client() as client:
            there = client.get("/zhilu/v1/kbs/" + self.knowledge_base)
            if there.status_code == 404:
                there = client.post("/zhilu/v1/kbs", json={"name": self.knowledge_base})
            _raise(there)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._client() as client:
            response = client.post(f"/zhilu/v1/kbs/{self.knowledge_base}/{path}", json=body)
        found: dict[str, Any] = _raise(response).json()
        return found

    def _wait(self, job_id: str) -> None:
        with self._client() as client:
            while True:
                job = _raise(client.get(f"/zhilu/v1/jobs/{job_id}")).json()
                if job["status"] == "done":
                    return
                if job["status"] in ("failed", "cancelled"):
                    raise RuntimeError(
                        f"the texts were not read: {(job.get('error') or {}).get('message', job['status'])}"
                    )
                time.sleep(_LOOK_EVERY)

    def _client(self) -> httpx.Client:
        local = httpx.URL(self.base_url).host in ("127.0.0.1", "localhost", "::1")  # no proxy stands between
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=self.timeout, trust_env=not local)


def _raise(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        try:
            said = response.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            said = response.reason_phrase
        raise httpx.HTTPStatusError(f"{response.status_code}: {said}", request=response.request, response=response)
    return response
