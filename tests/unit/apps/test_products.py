"""The list of products, their acceptance runs, and the templates that people take home."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from zhilu.apps.checking import Acceptance, last_acceptance, run_acceptance
from zhilu.apps.checking_job import APP_CHECK
from zhilu.apps.product import Product, Scored, products
from zhilu.apps.taking import take_home
from zhilu.cli import main
from zhilu.context import Context, open_context
from zhilu.errors import ConflictError, InputError, UpstreamError
from zhilu.host.app import create_app
from zhilu.messages import T
from zhilu.registry import Registry

PRODUCTS = products().names()


def product(tmp_path: Path, rights: list[bool], floor: float = 0.5, *, breaks: bool = False) -> Product:
    async def acceptance(context: Context, client: Any, model: str) -> AsyncIterator[Scored]:
        for number, right in enumerate(rights):
            yield Scored(f"question {number}", right, "said", None if right else T("because", "因为"))
        if breaks:
            raise UpstreamError("the server went away")

    return Product("sample", T("Sample", "示例"), T("says", "说明"), "/x", acceptance, floor, tmp_path / "template")


def run(context: Context, one: Product, **rest: Any) -> Acceptance:
    return asyncio.run(run_acceptance(context, None, one, model="m", **rest))  # type: ignore[arg-type]


@pytest.mark.parametrize(("rights", "passed"), [([True, False], True), ([True, False, False], False), ([], False)])
def test_a_run_is_counted_held_against_the_floor_and_kept(tmp_path: Path, rights: list[bool], passed: bool) -> None:
    context, heard = open_context(), list[tuple[int, bool]]()
    made = run(context, product(tmp_path, rights), each=lambda n, scored: heard.append((n, scored.right)))
    assert (made.num_right, made.passed) == (sum(rights), passed)
    assert heard == list(enumerate(rights, start=1))
    assert last_acceptance(context, "sample") == made


def test_a_run_that_breaks_off_replaces_nothing(tmp_path: Path) -> None:
    context = open_context()
    before = run(context, product(tmp_path, [True]))
    with pytest.raises(UpstreamError):
        run(context, product(tmp_path, [False], breaks=True))
    assert last_acceptance(context, "sample") == before
    (context.home.path / "apps/sample/acceptance.json").write_text("{")
    assert last_acceptance(context, "sample") is None


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_whole(name: str) -> None:
    one = products().get(name)
    assert one.name == name
    own = Path(__file__).parents[3] / "ui" / "src" / "features" / name / "page.ts"
    assert one.page == f"/{name}" or f'href: "{one.page}"' in own.read_text(encoding="utf-8")
    assert re.search("[\u4e00-\u9fff]", one.title.zh + one.says.zh) and 0.5 <= one.floor <= 1
    for part in ("app.py", "requirements.txt", "Dockerfile", "README.md", "static", "tests"):
        assert (one.template / part).exists(), part


def test_the_list_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom zhilu.apps.product import products\nlist(products().items())\n"
        "heavy = {'torch', 'openvino', 'fastapi', 'sqlalchemy', 'numpy', 'openai', 'sqlglot'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# Each is a run of pytest with an application of its own: one by default, all of them with the slow tests.
@pytest.mark.parametrize("name", [n if n == "support" else pytest.param(n, marks=pytest.mark.slow) for n in PRODUCTS])
def test_a_template_becomes_a_folder_whose_own_tests_pass(name: str, tmp_path: Path) -> None:
    one, folder = products().get(name), tmp_path / "deep" / "mine"
    files = take_home(one, folder)
    assert {"app.py", "Dockerfile", "requirements.txt"} <= set(files)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "ZHILU_URL" in readme and "uvicorn app:app" in readme and one.title.zh in readme
    assert [p.name for p in folder.parent.iterdir()] == ["mine"], "nothing is left beside it"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    done = subprocess.run([*argv, str(folder)], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"[3-9]\d* passed|\d\d passed", done.stdout), done.stdout


def test_nothing_of_a_person_is_written_over(tmp_path: Path) -> None:
    one = products().get("report")
    mine = tmp_path / "mine"
    mine.mkdir()
    take_home(one, mine)  # an empty folder is taken
    (mine / "app.py").write_text("my own")
    with pytest.raises(ConflictError):
        take_home(one, mine)
    assert (mine / "app.py").read_text() == "my own"
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("file", "link", "file/below"):
        with pytest.raises(InputError):
            take_home(one, tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_run_of_the_template_left_is_not_copied(tmp_path: Path) -> None:
    template = tmp_path / "template"
    for name in ("app.py", "__pycache__/app.cpython-311.pyc", "tests/.pytest_cache/v", ".venv/bin/python"):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_text("x")
    (template / "secret").symlink_to("/etc/hostname")
    assert take_home(product(tmp_path, []), tmp_path / "mine") == ["app.py"]


def test_the_verbs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def say(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["--lang", "en", *words])
        return int(left.value.code or 0), capsys.readouterr().out

    run(open_context(), replace(product(tmp_path, [True, False]), name="report"))
    code, out = say("app", "list", "--json")
    found = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and set(found) == set(PRODUCTS) and found["report"]["last"]["num_right"] == 1
    assert "1/2 (50%) m" in say("app", "list")[1]
    assert say("app", "new", str(tmp_path / "own"), "--from", "reprot")[0] == 2
    code, out = say("app", "new", str(tmp_path / "own"), "--from", "report")
    assert code == 0 and "README.md" in out and (tmp_path / "own/app.py").is_file()


def test_a_check_below_the_floor_exits_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry: Registry[Product] = Registry(T("product", "产品"))
    registry.add("sample", product(tmp_path, [True, True, False], floor=0.9))
    monkeypatch.setattr("zhilu.apps.product.products", lambda: registry)
    monkeypatch.setenv("ZHILU_BASE_URL", "http://127.0.0.1:9/v1")  # no case of this product asks it
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", "app", "check", "sample"])
    out = capsys.readouterr().out
    assert left.value.code == 1
    assert "2 of 3 right (67%), floor 90%" in out and "question 2" in out and "because" in out
    registry.add("sample", product(tmp_path, [True, True, False], floor=0.6))
    with pytest.raises(SystemExit) as left:
        main(["app", "check"])
    assert not left.value.code


def test_over_http(tmp_path: Path) -> None:
    context = open_context()
    run(context, replace(product(tmp_path, [True]), name="report"))
    with TestClient(create_app(context, only=("apps",)), base_url="http://127.0.0.1") as client:
        found = {row["name"]: row for row in client.get("/zhilu/v1/apps").json()}
        assert set(found) == set(PRODUCTS)
        assert (found["report"]["last"]["num_right"], found["report"]["last"]["passed"]) == (1, True)
        assert client.post("/zhilu/v1/apps/reprot/check").status_code == 404
        job = client.post("/zhilu/v1/apps/report/check").json()
        assert (job["kind"], job["params"]["apps"]) == ("app-check", ["report"])


class Worker:
    """What a running job is given, and what it said."""

    id = "job-1"
    attempt = 1

    def __init__(self, context: Context) -> None:
        self.context = context
        self.lines: list[str] = []
        self.fractions: list[float] = []

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.fractions.append(fraction)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def check(self) -> None:
        pass


def test_a_job_that_is_resumed_asks_only_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[Product] = Registry(T("product", "产品"))
    registry.add("first", replace(product(tmp_path, [True]), name="first"))
    registry.add("second", replace(product(tmp_path, [True, False], floor=0.9), name="second"))
    monkeypatch.setattr("zhilu.apps.checking_job.products", lambda: registry)
    context = open_context({"base_url": "http://127.0.0.1:9/v1"})
    before = run(context, registry.get("first"), job="job-1")
    run(context, registry.get("second"), job="another job")
    worker = Worker(context)
    result = APP_CHECK.run(worker, {"apps": ["first", "second"], "model": "m"})
    assert result == {"passed": {"first": True, "second": False}}
    assert last_acceptance(context, "first") == before
    assert [line for line in worker.lines if line.startswith(("+", "-"))] == [
        "+ question 0: said",
        "- question 1: said",
    ]
    assert worker.fractions == sorted(worker.fractions) and max(worker.fractions) < 1
