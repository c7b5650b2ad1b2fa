"""Signing in at a real, small OpenID provider, through the routes; and every way in which its answer may not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

pytest.importorskip("cryptography")

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from zhilu.apps.knowledge.accounts.oidc import Provider as Kept
from zhilu.apps.knowledge.accounts.oidc import keep_provider
from zhilu.apps.knowledge.accounts.people import People
from zhilu.apps.knowledge.audit import entries
from zhilu.apps.knowledge.store import Ledger
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.host.app import create_app

from .provider import CLIENT, REDIRECT, SECRET, Provider, returned

AT = "/zhilu/v1/knowledge"


@pytest.fixture
def provider(ledger: Ledger, people: People) -> Iterator[Provider]:
    people.add_group("hr", who="test")
    made = Provider()
    kept = Kept(
        issuer=made.issuer,
        client_id=CLIENT,
        client_secret=SECRET,
        redirect_uri=REDIRECT,
        groups_claim="groups",
        title="Desk",
    )
    keep_provider(ledger, kept, who="test")
    yield made
    made.close()


@pytest.fixture
def browser(context: Context) -> Iterator[Callable[[], TestClient]]:
    opened: list[TestClient] = []

    def make() -> TestClient:
        client = TestClient(
            create_app(context, only=("knowledge",)), base_url="http://127.0.0.1:8642", client=("127.0.0.1", 5000)
        )
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


def begin(client: TestClient) -> dict[str, str]:
    """To the provider and back: what it appends to the page's address."""
    url = client.post(f"{AT}/oidc/begin").json()["url"]
    answer = httpx.get(url, follow_redirects=False, trust_env=False)
    assert answer.status_code == 302
    return returned(answer.headers["location"])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_person_comes_in(
    algorithm: str, provider: Provider, browser: Callable[[], TestClient], ledger: Ledger
) -> None:
    provider.algorithm = algorithm
    client = browser()
    assert client.get(f"{AT}/me").json()["oidc"] == "Desk"
    done = client.post(f"{AT}/oidc/finish", json=begin(client))
    assert done.status_code == 200, done.text
    assert (done.json()["name"], done.json()["role"], done.json()["groups"]) == ("mei", "reader", ["hr"])
    cookie = next(c for c in done.headers.get_list("set-cookie") if c.startswith("zhilu_knowledge="))
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/zhilu/v1/knowledge" in cookie
    assert client.get(f"{AT}/me").json()["person"]["name"] == "mei"
    provider.claims["groups"] = []  # taken away at the provider, taken away here
    again = browser()
    assert again.post(f"{AT}/oidc/finish", json=begin(again)).json()["groups"] == []
    assert len(People(ledger).every()) == 1


def test_the_answer_is_good_once_and_in_the_browser_that_began(
    provider: Provider, browser: Callable[[], TestClient]
) -> None:
    mine, other = browser(), browser()
    answer = begin(mine)
    assert other.post(f"{AT}/oidc/finish", json=answer).status_code == 401  # nobody is signed in by a link
    assert mine.post(f"{AT}/oidc/finish", json={**answer, "state": "x" * 43}).status_code == 401
    assert mine.post(f"{AT}/oidc/finish", json=answer).status_code == 200
    assert mine.post(f"{AT}/oidc/finish", json=answer).status_code == 401


def _set(**claims: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, found: found.update(claims)


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (_set(nonce="another"), "oidc_nonce"),
        (_set(aud="another"), "oidc_audience"),
        (_set(aud=[CLIENT, "another"]), "oidc_audience"),
        (_set(aud=[CLIENT, "another"], azp="another"), "oidc_audience"),
        (_set(iss="https://evil.example"), "oidc_issuer"),
        (_set(exp=1), "oidc_expired"),
        (_set(exp="never"), "oidc_expired"),
        (_set(iat=9e12), "oidc_expired"),
        (_set(nbf=9e12), "oidc_expired"),
        (_set(sub=""), "oidc_subject"),
        (_set(sub=7), "oidc_subject"),
        (lambda header, claims: header.update(alg="none"), "oidc_signature"),
        (lambda header, claims: header.update(alg="HS256"), "oidc_signature"),
        (lambda header, claims: header.update(alg="ES256"), "oidc_signature"),
        (lambda header, claims: header.update(kid="unknown"), "oidc_signature"),
        (lambda header, claims: header.update(crit=["x"]), "oidc_signature"),
    ],
)
def test_a_token_that_does_not_hold(
    lie: Any, code: str, provider: Provider, browser: Callable[[], TestClient], ledger: Ledger
) -> None:
    provider.lie = lie
    client = browser()
    refused = client.post(f"{AT}/oidc/finish", json=begin(client))
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, code)
    assert client.get(f"{AT}/me").json()["person"] is None and People(ledger).every() == []
    assert entries(ledger, limit=1)[0].did == "sign_in.failed"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_key_that_is_not_the_provider_s(
    algorithm: str, provider: Provider, browser: Callable[[], TestClient]
) -> None:
    provider.algorithm = algorithm
    provider.sign_with = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if algorithm == "RS256"
        else ec.generate_private_key(ec.SECP256R1())
    )
    client = browser()
    assert client.post(f"{AT}/oidc/finish", json=begin(client)).json()["error"]["code"] == "oidc_signature"


def test_another_provider_s_answer_and_a_refusal(provider: Provider, browser: Callable[[], TestClient]) -> None:
    client = browser()
    mixed = client.post(f"{AT}/oidc/finish", json={**begin(client), "iss": "https://evil.example"})
    assert mixed.json()["error"]["code"] == "oidc_iss"
    denied = client.post(f"{AT}/oidc/finish", json={"state": begin(client)["state"], "error": "access_denied"})
    assert denied.json()["error"]["code"] == "oidc_provider"


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://id.example", "https://", "id.example"])
def test_an_issuer_is_https(issuer: str, ledger: Ledger) -> None:
    with pytest.raises(InputError):
        keep_provider(ledger, Kept(issuer=issuer, client_id="x", redirect_uri=REDIRECT), who="test")
