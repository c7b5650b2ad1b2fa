"""Signing in at an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0; RFC 7636, RFC 9700).

The page asks for the provider's address (``begin``), goes there, and hands what it comes back with to ``finish``. Both are calls
of the page itself, so every cookie is ``SameSite=Strict``: state, nonce and verifier stay here, and a cookie ties them to the
browser that began. Of the answer only the ID token is believed, after its signature, issuer, audience, nonce and times.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import time
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import APIRouter, Cookie, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.knowledge.accounts.id_token import checked_id_token
from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People
from zhilu.apps.knowledge.accounts.session import Ledgered, set_cookie
from zhilu.apps.knowledge.accounts.sign_in import begin_session
from zhilu.apps.knowledge.audit import record
from zhilu.apps.knowledge.store import Ledger
from zhilu.errors import AuthError, DamagedError, InputError, MissingComponentError, UnreachableError, UpstreamError
from zhilu.home import atomic_write
from zhilu.host.security import is_loopback
from zhilu.messages import T

__all__ = ["Provider", "finish", "keep_provider", "provider_of", "router", "start"]

router = APIRouter(prefix="/oidc")

_MINUTES = 10
_SECONDS = 15.0
_MOST_BYTES = 1 << 20
_BOUND = "zhilu_knowledge_oidc"
_PATH = "/zhilu/v1/knowledge/oidc"


class Provider(BaseModel):
    """What ``zhilu knowledge oidc`` keeps in ``apps/knowledge/oidc.json``, readable by its owner alone.

    Attributes:
        redirect_uri: the page that the provider sends the browser back to, as registered there.
        groups_claim: the claim whose names make a person a member of groups that exist here; None: groups are given here.
    """

    issuer: str
    client_id: str
    client_secret: str | None = None
    redirect_uri: str
    groups_claim: str | None = None
    title: str = "OpenID"


class OidcStarted(BaseModel):
    url: str


class OidcAnswer(BaseModel):
    """What the provider appended to the address of the page."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field("", max_length=4000)
    state: str = Field(min_length=1, max_length=200)
    error: str | None = Field(None, max_length=200)
    iss: str | None = Field(None, max_length=1000)


@router.post("/begin")
def begin_oidc(request: Request, response: Response, ledger: Ledgered) -> OidcStarted:
    url, bound = start(ledger)
    response.set_cookie(
        _BOUND, bound, max_age=_MINUTES * 60, path=_PATH, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return OidcStarted(url=url)


@router.post("/finish")
def finish_oidc(
    body: OidcAnswer, request: Request, response: Response, ledger: Ledgered,
    bound: Annotated[str | None, Cookie(alias=_BOUND)] = None,
) -> KnowledgePerson:  # fmt: skip
    person = finish(ledger, body, bound)
    set_cookie(response, request, begin_session(ledger, person))
    response.delete_cookie(_BOUND, path=_PATH)
    return person


def provider_of(ledger: Ledger) -> Provider | None:
    """
    Raises:
        DamagedError: its file cannot be read.
    """
    path = ledger.folder / "oidc.json"
    try:
        return Provider.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # without the error's words: they could quote the file
        raise DamagedError(
            T(f"{str(path)!r} cannot be read.", f"{str(path)!r} 无法读取。"), fix="zhilu knowledge oidc set …"
        ) from error


def keep_provider(ledger: Ledger, provider: Provider | None, *, who: str) -> None:
    """
    Raises:
        InputError: an issuer that is not https, unless it is on this machine. MissingComponentError: signatures cannot be checked.
    """
    path = ledger.folder / "oidc.json"
    if provider is None:
        path.unlink(missing_ok=True)
        record(ledger, who, "oidc.remove")
        return
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise MissingComponentError(
            T("Signatures need the package cryptography.", "检查签名需要 cryptography 包。"),
            fix="pip install 'zhilu[oidc]'",
        ) from error
    _checked(provider.issuer)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    atomic_write(path, provider.model_dump_json())
    os.chmod(path, 0o600)
    record(ledger, who, "oidc.set", provider.issuer, client_id=provider.client_id)


def start(ledger: Ledger) -> tuple[str, str]:
    """``(the provider's address, what binds this browser)``."""
    provider = _needed(ledger)
    config = _configuration(provider)
    state, nonce, verifier, bound = (secrets.token_urlsafe(32) for _ in range(4))
    now = time.time()
    with ledger.write() as connection:
        connection.execute("DELETE FROM flows WHERE ends_at < ?", (now,))
        connection.execute(
            "INSERT INTO flows VALUES (?, ?, ?, ?)", (_key(state, bound), nonce, verifier, now + _MINUTES * 60)
        )
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code", "client_id": provider.client_id, "redirect_uri": provider.redirect_uri,
        "scope": "openid profile email" + (f" {provider.groups_claim}" if provider.groups_claim == "groups" else ""),
        "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    where = str(config["authorization_endpoint"])
    return f"{where}{'&' if urlsplit(where).query else '?'}{urlencode(asked)}", bound


def finish(ledger: Ledger, answer: OidcAnswer, bound: str | None) -> KnowledgePerson:
    """
    Raises:
        AuthError: this browser began no such sign-in, the provider refused, or its ID token does not hold.
    """
    provider = _needed(ledger)
    with ledger.write() as connection:  # used once, whatever comes of it
        key = _key(answer.state, bound or "")
        flow = connection.execute("SELECT * FROM flows WHERE state = ? AND ends_at > ?", (key, time.time())).fetchone()
        connection.execute("DELETE FROM flows WHERE state = ?", (key,))
    if flow is None:
        raise _refused(
            ledger,
            "state",
            T("This sign-in was not begun here, or took too long.", "此登录不是在这里开始的，或已超时。"),
        )
    if answer.error or not answer.code:
        raise _refused(ledger, "provider", T("The provider did not let you in.", "身份提供方未允许登录。"))
    if answer.iss is not None and answer.iss != provider.issuer:  # RFC 9207: another provider's answer
        raise _refused(ledger, "iss", T("The answer is another provider's.", "应答来自另一个身份提供方。"))
    config = _configuration(provider)
    tokens = _tokens(provider, config, answer.code, flow["verifier"])
    keys = _json("GET", str(config["jwks_uri"])).get("keys", [])
    try:
        claims = checked_id_token(
            str(tokens.get("id_token", "")), keys, issuer=provider.issuer, audience=provider.client_id, nonce=flow["nonce"],
            now=time.time(),
        )  # fmt: skip
    except AuthError as error:
        record(ledger, "", "sign_in.failed", "", oidc=error.code)
        raise
    person = People(ledger).known_by(
        provider.issuer, claims["sub"], str(claims.get("preferred_username") or claims.get("email") or claims["sub"]),
        str(claims.get("name") or ""), _groups(provider, claims),
    )  # fmt: skip
    if person.disabled:
        raise _refused(ledger, "disabled", T("This account is disabled.", "该账号已停用。"))
    record(ledger, person.name, "sign_in", person.name, oidc=provider.issuer)
    return person


def _groups(provider: Provider, claims: dict[str, Any]) -> list[str] | None:
    if provider.groups_claim is None:
        return None
    named = claims.get(provider.groups_claim, [])
    return [str(g) for g in (named if isinstance(named, list) else [named])]


def _tokens(provider: Provider, config: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": provider.redirect_uri, "code_verifier": verifier,
        "client_id": provider.client_id,
    }  # fmt: skip
    auth = None
    if provider.client_secret:
        methods = config.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            auth = httpx.BasicAuth(provider.client_id, provider.client_secret)
        else:
            form["client_secret"] = provider.client_secret
    return _json("POST", str(config["token_endpoint"]), data=form, auth=auth)


def _configuration(provider: Provider) -> dict[str, Any]:
    config = _json("GET", provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if config.get("issuer") != provider.issuer:
        raise UpstreamError(
            T(
                f"The provider calls itself {config.get('issuer')!r}.",
                f"身份提供方自称 {config.get('issuer')!r}，与设置不符。",
            )
        )
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        _checked(str(config.get(name, "")))
    return config


def _json(method: str, url: str, **sent: Any) -> dict[str, Any]:
    try:
        with (
            httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(method, url, headers={"Accept": "application/json"}, **sent) as response,
        ):
            content = bytearray()
            for block in response.iter_bytes():
                content += block
                if len(content) > _MOST_BYTES:
                    raise UpstreamError(T("The provider says too much.", "身份提供方的应答过长。"))
    except httpx.HTTPError as error:
        why = type(error).__name__
        raise UnreachableError(T(f"The provider does not answer: {why}.", f"身份提供方没有应答：{why}。")) from error
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if response.status_code != 200 or not isinstance(found, dict):
        raise UpstreamError(
            T(f"The provider answered {response.status_code}.", f"身份提供方返回 {response.status_code}。"),
            code="oidc_refused",
        )
    return found


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if (
        not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")))
        or not parts.hostname
    ):
        raise InputError(T(f"{url!r} is not https.", f"{url!r} 不是 https 地址。"), param="issuer")
    return url


def _needed(ledger: Ledger) -> Provider:
    provider = provider_of(ledger)
    if provider is None:
        raise MissingComponentError(
            T("No OpenID provider is set up.", "还没有设置 OpenID 身份提供方。"),
            fix="zhilu knowledge oidc set --issuer https://… --client-id …",
        )
    return provider


def _refused(ledger: Ledger, why: str, said: T) -> AuthError:
    record(ledger, "", "sign_in.failed", "", oidc=why)
    return AuthError(said, code=f"oidc_{why}")


def _key(state: str, bound: str) -> str:
    return hashlib.sha256(f"{state}\n{bound}".encode()).hexdigest()
