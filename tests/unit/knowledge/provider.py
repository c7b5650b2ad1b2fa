"""A small OpenID provider over HTTP: discovery, authorization with PKCE, token endpoint with a secret, keys. It signs with RS256 or
ES256, checks what it is sent by the letter, and can be told to lie."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT, SECRET = "zhilu", "s3cret"
REDIRECT = "http://127.0.0.1:8642/enterprise/signed-in"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Provider:
    """``lie``: called with (header, claims) before signing, may change them; ``sign_with``: another key than the published."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.algorithm = "RS256"
        self.lie: Any = None
        self.sign_with: Any = None
        self.claims: dict[str, Any] = {
            "sub": "s-1",
            "preferred_username": "mei",
            "name": "Mei Lin",
            "groups": ["hr", "nobody"],
        }
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.token(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def get(self, request: Any) -> None:
        path, _, query = request.path.partition("?")
        if path == "/.well-known/openid-configuration":
            send(request, 200, {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            })  # fmt: skip
        elif path == "/keys":
            n, p = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
            send(request, 200, {"keys": [
                {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": number(n.n), "e": number(n.e)},
                {"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(p.x.to_bytes(32, "big")), "y": b64(p.y.to_bytes(32, "big"))},
            ]})  # fmt: skip
        elif path == "/authorize":
            asked = {k: v[0] for k, v in parse_qs(query).items()}
            right = (
                asked["response_type"] == "code" and asked["client_id"] == CLIENT and asked["redirect_uri"] == REDIRECT
                and asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
            )  # fmt: skip
            if not right:
                send(request, 400, {"error": "invalid_request"})
                return
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            request.send_response(302)
            request.send_header(
                "location", f"{REDIRECT}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"
            )
            request.send_header("content-length", "0")
            request.end_headers()
        else:
            send(request, 404, {})

    def token(self, request: Any) -> None:
        form = {
            k: v[0] for k, v in parse_qs(request.rfile.read(int(request.headers["content-length"])).decode()).items()
        }
        given = request.headers.get("authorization", "")
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            given != "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            or asked is None or challenge != asked["code_challenge"] or form.get("redirect_uri") != REDIRECT
        ):  # fmt: skip
            send(request, 400, {"error": "invalid_grant"})
            return
        send(request, 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])})

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        header = {"alg": self.algorithm, "kid": "r" if self.algorithm == "RS256" else "e", "typ": "JWT"}
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce, **self.claims}
        if self.lie is not None:
            self.lie(header, claims)
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{signed}.{b64(self.sign(header['alg'], signed.encode()))}"

    def sign(self, algorithm: str, signed: bytes) -> bytes:
        if algorithm == "RS256":
            return (self.sign_with or self.rsa).sign(signed, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "ES256":
            r, s = decode_dss_signature((self.sign_with or self.ec).sign(signed, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if algorithm == "HS256":  # the public key as a secret: the classic confusion
            import hmac

            n = self.rsa.public_key().public_numbers().n
            return hmac.digest(number(n).encode(), signed, "sha256")
        return b""


def send(request: Any, status: int, body: Any) -> None:
    data = json.dumps(body).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)


def returned(location: str) -> dict[str, str]:
    """What the provider appended to the page's address."""
    return {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
