"""An S3-compatible store: the signature by Amazon's own example, and a store on loopback that checks every signature anew."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from zhilu.context import Context
from zhilu.errors import AuthError
from zhilu.rag.sources.s3 import signed
from zhilu.rag.sources.secrets import SourceSecrets

NAME, KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def test_the_signature_is_amazons() -> None:
    """The example "GET Bucket (List Objects)" of Amazon's "Signature Calculations for the Authorization Header", s3."""
    url, headers = signed(
        "https://examplebucket.s3.amazonaws.com", "/", {"max-keys": "2", "prefix": "J"}, "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region="us-east-1", now=datetime(2013, 5, 24, tzinfo=timezone.utc),
    )  # fmt: skip
    assert url == "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J"
    assert headers["authorization"].endswith(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


class Store:
    """Objects by key; checks signatures by the letter of the specification, two objects to a page."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def __call__(self, path: str, headers: Any) -> tuple[int, str, bytes]:
        parts = urlsplit(path)
        if not self._is_signed(parts.path, parts.query, headers):
            return 403, "application/xml", b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        key = unquote(parts.path).removeprefix("/bucket").lstrip("/")
        if key:
            return (
                (200, "application/octet-stream", self.objects[key]) if key in self.objects else (404, "text/xml", b"")
            )
        query = dict(parse_qsl(parts.query))
        keys = sorted(k for k in self.objects if k.startswith(query.get("prefix", "")))
        first = int(query.get("continuation-token", "0"))
        shown, more = keys[first : first + 2], first + 2 < len(keys)
        rows = "".join(
            f"<Contents><Key>{k}</Key><ETag>&quot;{hashlib.md5(self.objects[k]).hexdigest()}&quot;</ETag><Size>{len(self.objects[k])}</Size></Contents>"
            for k in shown
        )
        token = f"<NextContinuationToken>{first + 2}</NextContinuationToken>" if more else ""
        body = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>'
        return 200, "application/xml", body.encode()

    def _is_signed(self, path: str, query: str, headers: Any) -> bool:
        said = headers.get("authorization", "")
        day, region = headers["x-amz-date"][:8], "eu-1"
        asked = "&".join(sorted(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in parse_qsl(query, True)))
        named = ["host", "x-amz-content-sha256", "x-amz-date"]
        lines = "".join(f"{n}:{headers[n]}\n" for n in named)
        canonical = f"GET\n{path}\n{asked}\n{lines}\n{';'.join(named)}\n{headers['x-amz-content-sha256']}"
        key = f"AWS4{KEY}".encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{day}/{region}/s3/aws4_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        return said.endswith(hmac.new(key, text.encode(), hashlib.sha256).hexdigest())


def test_a_bucket_is_followed(context: Context, serve: Any, add: Any, walk: Any, names: Any) -> None:
    objects = {f"team/docs/n {i}.md": f"# Note {i}\n\nNumber {i} is here.\n".encode() for i in range(5)}
    objects |= {
        "team/docs/年假 (1).md": "# 年假\n\n十五天。\n".encode(),
        "team/docs/": b"",
        "other/x.md": b"# X\n\nno\n",
    }
    server = serve(Store(objects))
    source = add("s3://bucket/team/docs/", endpoint=server.url, region="eu-1")
    with pytest.raises(AuthError):
        walk(source)
    SourceSecrets(context.home).set(source.address, (NAME, "wrong"))
    with pytest.raises(AuthError):
        walk(source)
    SourceSecrets(context.home).set(source.address, (NAME, KEY))
    assert walk(source)["added"] == 6
    assert names() == {f"bucket/n {i}.md" for i in range(5)} | {"bucket/年假 (1).md"}
    objects["team/docs/n 1.md"] = b"# Note 1\n\nNumber one has changed.\n"
    del objects["team/docs/n 4.md"]
    report = walk(source)
    assert (report["changed"], report["removed"], report["same"]) == (1, 1, 4)
