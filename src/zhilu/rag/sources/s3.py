"""An S3-compatible store (Amazon, MinIO, Ceph, OSS and COS in S3 mode): a bucket's objects by signed requests.

Signature version 4 as Amazon documents it ("Authenticating Requests: Using the Authorization Header"). The bucket stands in the
path, which every store takes. Redirects are not followed: a signature is for one host.
"""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import IO, cast
from urllib.parse import quote, urlsplit

import httpx

from zhilu.errors import AuthError, InputError, UnreachableError, UpstreamError
from zhilu.messages import T
from zhilu.rag.load.admission import check_size
from zhilu.rag.sources.base import Found, SourceKind, SourcePlace

__all__ = ["S3", "S3Walk", "signed"]

_SECONDS = 60.0
_EMPTY = hashlib.sha256(b"").hexdigest()
_IN_MEMORY = 4 << 20


class S3Walk:
    """An object's stamp is its ETag."""

    def __init__(self, place: SourcePlace) -> None:
        self.place = place
        parts = urlsplit(place.address)
        self.bucket, self.under = parts.netloc, parts.path.lstrip("/")
        region = place.options.region
        self.endpoint = (place.options.endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
        self.whole = False

    def __iter__(self) -> Iterator[Found]:
        if not self.bucket or urlsplit(self.endpoint).scheme not in ("http", "https"):
            raise InputError(T("An address is s3://BUCKET/FOLDER.", "地址形如 s3://桶/目录。"), param="address")
        if self.place.secret is None:
            raise AuthError(
                T(f"There is no key for {self.place.address}.", f"没有 {self.place.address} 的访问密钥。"),
                fix="export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…  # then the same command again",
            )
        token = ""
        while True:
            query = {"list-type": "2", "prefix": self.under, "max-keys": "1000"}
            if token:
                query["continuation-token"] = token
            objects, token = _listed(self._get("", query).content)
            for key, stamp, size in objects:
                name = key[len(self.under.rpartition("/")[0]) :].strip("/")
                if name and not key.endswith("/") and not name.rpartition("/")[2].startswith("."):
                    yield Found(key, name, stamp, lambda k=key, n=size: self._object(k, n))  # type: ignore[misc]
            if not token:
                break
        self.whole = True

    def _object(self, key: str, size: int) -> IO[bytes]:
        check_size(size, self.place.max_mb)
        kept = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        try:
            url, headers = self._signed(key, {})
            with httpx.stream("GET", url, headers=headers, timeout=_SECONDS, trust_env=False) as response:
                if response.is_error or response.is_redirect:
                    response.read()
                    raise self._refused(response)
                taken = 0
                for block in response.iter_bytes():
                    taken += len(block)
                    check_size(taken, self.place.max_mb)
                    kept.write(block)
        except httpx.HTTPError as error:
            kept.close()
            raise self._silent(error) from error
        except BaseException:
            kept.close()
            raise
        kept.seek(0)
        return kept

    def _get(self, key: str, query: dict[str, str]) -> httpx.Response:
        url, headers = self._signed(key, query)
        try:
            response = httpx.get(url, headers=headers, timeout=_SECONDS, follow_redirects=False, trust_env=False)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if response.is_error or response.is_redirect:
            raise self._refused(response)
        return response

    def _signed(self, key: str, query: dict[str, str]) -> tuple[str, dict[str, str]]:
        assert self.place.secret is not None
        path = f"/{self.bucket}/{key}" if key else f"/{self.bucket}"
        return signed(
            self.endpoint,
            path,
            query,
            *self.place.secret,
            region=self.place.options.region,
            now=datetime.now(timezone.utc),
        )

    def _refused(self, response: httpx.Response) -> AuthError | UpstreamError:
        text = T(
            f"{self.endpoint} answered {response.status_code} for {self.place.address}.",
            f"{self.endpoint} 对 {self.place.address} 返回 {response.status_code}。",
        )
        return AuthError(text) if response.status_code in (401, 403) else UpstreamError(text)

    def _silent(self, error: Exception) -> UnreachableError:
        why = type(error).__name__
        return UnreachableError(T(f"{self.endpoint} does not answer: {why}.", f"{self.endpoint} 没有应答：{why}。"))


def signed(
    endpoint: str, path: str, query: dict[str, str], name: str, key: str, *, region: str, now: datetime
) -> tuple[str, dict[str, str]]:
    """``(url, headers)`` of a GET with an empty body, signed for this moment."""
    host = urlsplit(endpoint).netloc
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    where = urlsplit(endpoint).path.rstrip("/") + quote(path, safe="/-_.~")
    asked = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(query.items()))
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (
        f"GET\n{where}\n{asked}\nhost:{host}\nx-amz-content-sha256:{_EMPTY}\nx-amz-date:{stamp}\n\n{names}\n{_EMPTY}"
    )
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    made = f"AWS4{key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        made = hmac.digest(made, part.encode(), "sha256")
    signature = hmac.new(made, to_sign.encode(), "sha256").hexdigest()
    headers = {
        "host": host, "x-amz-date": stamp, "x-amz-content-sha256": _EMPTY,
        "authorization": f"AWS4-HMAC-SHA256 Credential={name}/{scope}, SignedHeaders={names}, Signature={signature}",
    }  # fmt: skip
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{host}{where}" + (f"?{asked}" if asked else ""), headers


def _listed(content: bytes) -> tuple[list[tuple[str, str, int]], str]:
    """``(key, stamp, bytes)`` of the objects, and the token of the next page, empty at the last."""
    from lxml import etree  # type: ignore[import-untyped]

    try:
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
        objects = [
            (e.findtext("{*}Key") or "", (e.findtext("{*}ETag") or "").strip('"'), int(e.findtext("{*}Size") or 0))
            for e in root.iter("{*}Contents")
        ]
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UpstreamError(T("The store answered with no list of objects.", "存储服务返回的不是对象列表。")) from error
    more = (root.findtext("{*}IsTruncated") or "").lower() == "true"
    return objects, (root.findtext("{*}NextContinuationToken") or "") if more else ""


S3 = SourceKind("s3", False, lambda address: urlsplit(address).netloc or "bucket", S3Walk)
