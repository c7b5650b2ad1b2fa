"""An ID token, believed only whole: signature by a key of the provider's, issuer, audience, nonce, times (OpenID Connect Core 3.1.3.7).

RS256 and ES256, and nothing else: ``none`` and the symmetric algorithms are how such checks are got around.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from zhilu.errors import AuthError
from zhilu.messages import T

__all__ = ["checked_id_token"]

_SLACK = 60.0  # seconds that two clocks may be apart
_LONGEST = 20_000
_SMALLEST_RSA = 2048


def checked_id_token(
    token: str, keys: Sequence[Mapping[str, Any]], *, issuer: str, audience: str, nonce: str, now: float
) -> dict[str, Any]:
    """The claims.

    Raises:
        AuthError: with the code of the first thing that does not hold: ``oidc_format``, ``oidc_signature``, ``oidc_issuer``,
            ``oidc_audience``, ``oidc_expired``, ``oidc_nonce``, ``oidc_subject``.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST:
        raise _wrong("format")
    header, claims = _object(parts[0]), _object(parts[1])
    signed, signature = f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2])
    fitting = [k for k in keys if _fits(k, header)]
    if not any(_verifies(k, str(header.get("alg")), signed, signature) for k in fitting):
        raise _wrong("signature")
    if claims.get("iss") != issuer:
        raise _wrong("issuer")
    meant = claims.get("aud")
    audiences = meant if isinstance(meant, list) else [meant]
    if audience not in audiences or (len(audiences) > 1 and claims.get("azp") != audience):
        raise _wrong("audience")
    if claims.get("azp") not in (None, audience):
        raise _wrong("audience")
    ends, made = claims.get("exp"), claims.get("iat")
    if not isinstance(ends, (int, float)) or ends < now - _SLACK:
        raise _wrong("expired")
    begins = claims.get("nbf", 0)
    if not all(isinstance(t, (int, float)) and t <= now + _SLACK for t in (made, begins)):
        raise _wrong("expired")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise _wrong("nonce")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise _wrong("subject")
    return claims


def _fits(key: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    """Of the algorithm's kind, for signatures, and the one that is named, if one is."""
    kind = {"RS256": "RSA", "ES256": "EC"}.get(str(header.get("alg")))
    return (
        kind is not None
        and key.get("kty") == kind
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, header.get("alg"))
        and header.get("kid") in (None, key.get("kid"))
        and "crit" not in header
    )


def _verifies(key: Mapping[str, Any], algorithm: str, signed: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        if algorithm == "RS256":
            public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
            if public.key_size < _SMALLEST_RSA:
                return False
            public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            return True
        if key.get("crv") != "P-256" or len(signature) != 64:
            return False
        point = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP256R1()).public_key()
        halves = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        point.verify(encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, KeyError, TypeError, AuthError):
        return False
    return True


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _wrong("format")
    return found


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise _wrong("format") from error


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _wrong(what: str) -> AuthError:
    return AuthError(
        T(f"The provider's ID token does not hold: {what}.", f"身份提供方的 ID 令牌无效：{what}。"), code=f"oidc_{what}"
    )
