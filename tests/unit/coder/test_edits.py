"""A change is checked before it is shown, written only on approval, and undone whole."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zhilu.agents.sandbox.wall import can_wall
from zhilu.apps.coder.edits.blocks import Refused, changed_text, unified
from zhilu.apps.coder.edits.kept import CodeEdit, Edits, open_file
from zhilu.apps.coder.edits.propose import propose
from zhilu.apps.coder.edits.testing import Trial, copied, run_tests
from zhilu.apps.coder.index.python import outline_python
from zhilu.apps.coder.index.store import CodeSymbol
from zhilu.apps.coder.job import index_now
from zhilu.apps.coder.repos import Repos
from zhilu.context import Context, open_context
from zhilu.errors import ConflictError, InputError, NotFoundError, ZhiluError

FILE = "import os\n\n\nclass A:\n    def f(self, x):\n        return x\n\n    def g(self):\n        return 1\n\n\ndef h(x):\n    return x\n"


class Writer:
    """Says what it is told, one reply after the other: the model's part, where the rules are what is tested."""

    def __init__(self, *replies: str) -> None:
        self.replies: Iterator[str] = iter(replies)
        self.asked: list[list[dict[str, str]]] = []

    async def chat(self, messages: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        self.asked.append(messages)
        return {"choices": [{"message": {"content": next(self.replies)}}]}


def target(name: str) -> CodeSymbol:
    found = next(s for s in outline_python(FILE).symbols if s.name == name)
    return CodeSymbol(path="a.py", **found.__dict__)


def fenced(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\nDone."


# ------------------------------------------------------------ what may be written


def test_a_whole_function_takes_its_place() -> None:
    after = changed_text(FILE, fenced("def h(x):\n    return x + 1"), "python", target("h"))
    assert after == FILE.replace("def h(x):\n    return x\n", "def h(x):\n    return x + 1\n")


@pytest.mark.parametrize(
    "code",
    [
        "def f(self, x):\n    return x + 1",
        "    def f(self, x):\n        return x + 1",
        "class A:\n    def f(self, x):\n        return x + 1",
    ],
)
def test_a_method_keeps_its_indentation_however_it_is_written(code: str) -> None:
    after = changed_text(FILE, fenced(code), "python", target("f"))
    assert after == FILE.replace("        return x\n\n", "        return x + 1\n\n")


def test_of_several_blocks_the_last_that_defines_it_is_meant() -> None:
    blocks = ["h(1)  # as it is called", "def h(x):\n    return x", "def h(x):\n    return x + 1", "print(h(1))"]
    reply = "\n".join(fenced(block) for block in blocks)
    assert "return x + 1" in changed_text(FILE, reply, "python", target("h"))


def test_imports_that_a_function_needs_go_to_the_top() -> None:
    after = changed_text(
        FILE, fenced("import os\nimport math\n\ndef h(x):\n    return math.floor(x)"), "python", target("h")
    )
    assert after.startswith("import os\nimport math\n\n\nclass A:") and after.count("import os") == 1


def test_a_definition_is_found_in_an_answer_that_was_cut_off_behind_it() -> None:
    cut = "```python\nclass A:\n    def f(self, x):\n        return x + 1\n\n    def g(self):\n        return (1"
    assert changed_text(FILE, cut, "python", target("f")) == FILE.replace(
        "        return x\n\n", "        return x + 1\n\n"
    )
    with pytest.raises(Refused, match="does not parse"):
        changed_text(FILE, "```python\ndef f(self, x):\n    return (x", "python", target("f"))


def test_search_and_replace() -> None:
    reply = "<<<<<<< SEARCH\n    def g(self):\n        return 1\n=======\n    def g(self):\n        return 2\n>>>>>>> REPLACE"
    assert changed_text(FILE, reply, "python", None) == FILE.replace("return 1", "return 2")
    gone = "<<<<<<< SEARCH\nimport os\n=======\n>>>>>>> REPLACE"
    assert changed_text(FILE, gone, "python", None) == FILE.removeprefix("import os\n")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("<<<<<<< SEARCH\n        return y\n=======\n        return 2\n>>>>>>> REPLACE", "0 times"),
        ("<<<<<<< SEARCH\nreturn\n=======\nreturn 2\n>>>>>>> REPLACE", "0 times"),  # a part of a line is no line
        ("<<<<<<< SEARCH\n\n=======\nx\n>>>>>>> REPLACE", "empty"),
        ("<<<<<<< SEARCH\nimport os\n=======\nimport (\n>>>>>>> REPLACE", "does not parse"),
        (fenced("def h(x):\n    return (x"), "does not parse"),
        (fenced("def other(x):\n    return x"), "does not define"),
        (fenced("def h(x):\n    return x"), "same as before"),
        ("```\n```", "no code"),
        ("I cannot do that.", "does not parse"),
    ],
)
def test_what_cannot_be_applied_is_refused_with_the_reason(reply: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        changed_text(FILE, reply, "python", target("h"))


def test_a_search_text_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(Refused, match="2 times"):
        changed_text("a\nb\na\n", "<<<<<<< SEARCH\na\n=======\nc\n>>>>>>> REPLACE", "text", None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FILE, FILE.replace("return x\n", "return x + 1\n")), ("a\nb", "a\nc"), ("a\n", "a"), ("a", "a\n"), ("a\n", "b\n\n"),
        ("x = '\x0c'\ny\n", "x = '\x0c'\nz\n"), ("a\n\n\nb\n", "b\n"),
    ],
)  # fmt: skip
def test_the_diff_is_one_that_other_programs_apply(tmp_path: Path, before: str, after: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    (tmp_path / "a.py").write_text(before)
    done = subprocess.run(
        ["git", "apply", "-"], input=unified("a.py", before, after), text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0 and (tmp_path / "a.py").read_text() == after


# ------------------------------------------------------------ on a repository


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = open_context({"home": str(tmp_path / "home")})
    yield context
    context.close()


@pytest.fixture
def edits(context: Context) -> Edits:
    repos = Repos(context)
    repo = repos.add_sample()
    index_now(context, repo)
    return Edits(context, repo)


def proposed(edits: Edits, writer: Writer, instruction: str, **where: str) -> CodeEdit:
    store = Repos(edits.context).index(edits.repo)
    edit = edits.new(instruction, "m")
    made = asyncio.run(propose(writer, "m", store, edits.root, edit, **where))  # type: ignore[arg-type]
    edits.save(made)
    return made


SLUG = fenced('def slugify(text):\n    """A name for an address."""\n    return "_".join(text.lower().split())')


def test_proposed_applied_undone(edits: Edits) -> None:
    place = edits.root / "shop/names.py"
    place.chmod(0o640)
    before = place.read_bytes()
    made = proposed(edits, Writer(SLUG), "Join with underscores in `slugify`.")
    assert (made.status, made.path, made.symbol, made.attempts) == ("proposed", "shop/names.py", "slugify", 1)
    assert place.read_bytes() == before
    applied = edits.apply(made.id)
    assert applied.status == "applied" and place.read_text() == made.after
    assert place.stat().st_mode & 0o777 == 0o640
    store = Repos(edits.context).index(edits.repo)
    assert '"_".join' in (store.text("shop/names.py") or "")
    with pytest.raises(ConflictError):
        edits.apply(made.id)
    assert edits.undo(made.id).status == "undone" and place.read_bytes() == before
    with pytest.raises(ConflictError):
        edits.undo(made.id)
    assert edits.apply(made.id).status == "applied"  # an undone one can be had again
    assert [path.name for path in place.parent.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize("when", ["apply", "undo"])
def test_a_file_that_changed_since_is_not_overwritten(edits: Edits, when: str) -> None:
    made = proposed(edits, Writer(SLUG), "Join with underscores in `slugify`.")
    if when == "undo":
        edits.apply(made.id)
    place = edits.root / "shop/names.py"
    place.write_text(place.read_text() + "# mine\n")
    mine = place.read_bytes()
    with pytest.raises(ConflictError) as caught:
        (edits.apply if when == "apply" else edits.undo)(made.id)
    assert caught.value.code == "stale" and place.read_bytes() == mine


def test_a_kill_between_file_and_note_is_no_conflict(edits: Edits) -> None:
    made = proposed(edits, Writer(SLUG), "Join with underscores in `slugify`.")
    (edits.root / "shop/names.py").write_text(made.after)  # written, and then the power went
    assert edits.apply(made.id).status == "applied"


def test_a_target_that_became_a_link_is_not_followed(edits: Edits, tmp_path: Path) -> None:
    made = proposed(edits, Writer(SLUG), "Join with underscores in `slugify`.")
    victim = tmp_path / "victim.py"
    victim.write_text(made.before)
    place = edits.root / "shop/names.py"
    place.unlink()
    place.symlink_to(victim)
    with pytest.raises(ZhiluError):
        edits.apply(made.id)
    assert victim.read_text() == made.before
    folder = tmp_path / "elsewhere"
    shutil.copytree(edits.root / "shop", folder, symlinks=True)
    shutil.rmtree(edits.root / "shop")
    (edits.root / "shop").symlink_to(folder)
    with pytest.raises(ZhiluError):
        edits.apply(made.id)


def test_what_is_refused_is_asked_for_once_more_with_the_reason(edits: Edits) -> None:
    writer = Writer("Sorry.", SLUG)
    made = proposed(edits, writer, "Join with underscores in `slugify`.")
    assert (made.status, made.attempts) == ("proposed", 2)
    assert "does not parse" in writer.asked[1][-1]["content"]
    made = proposed(edits, Writer("Sorry.", "No.", "Never."), "Join with underscores in `slugify`.")
    assert made.status == "refused" and made.problem is not None and made.diff == ""
    with pytest.raises(ConflictError):
        edits.apply(made.id)


def test_the_function_is_found_by_the_words(edits: Edits) -> None:
    writer = Writer(fenced("def delivery_days(city, express=False):\n    return 1"))
    assert proposed(edits, writer, "加急送达最少需要两天").symbol == "delivery_days"
    shown = writer.asked[0][-1]["content"]
    assert "def delivery_days(city, express=False):" in shown and "def zone_of" in shown  # with what it calls


def test_what_is_meant_must_be_there_once(edits: Edits) -> None:
    with pytest.raises(NotFoundError):
        proposed(edits, Writer(), "x", symbol="no_such")
    with pytest.raises(InputError, match="more than once"):
        proposed(edits, Writer(), "x", symbol="__init__")
    with pytest.raises(InputError, match="which function or file"):
        proposed(edits, Writer(), "%%%")
    made = proposed(
        edits, Writer("<<<<<<< SEARCH\nTODAY = 100\n=======\nTODAY = 1\n>>>>>>> REPLACE"), "x", path="shop/coupons.py"
    )
    assert made.status == "proposed" and "+TODAY = 1" in made.diff


@pytest.mark.parametrize("path", ["../secret.py", "/etc/passwd", "shop/../../x.py", "", "shop"])
def test_files_outside_are_not_opened(edits: Edits, path: str) -> None:
    (edits.root.parent / "secret.py").write_text("KEY = 1\n")
    with pytest.raises(ZhiluError):
        open_file(edits.root, path)


def test_line_ends_are_kept(edits: Edits) -> None:
    place = edits.root / "shop/names.py"
    place.write_bytes(place.read_bytes().replace(b"\n", b"\r\n"))
    made = proposed(edits, Writer(SLUG), "Join with underscores in `slugify`.")
    edits.apply(made.id)
    after = place.read_bytes()
    assert after.count(b"\r\n") == after.count(b"\n") > 10 and b'"_".join' in after
    place.write_bytes(b"a = 1\r\nb = 2\n")
    with pytest.raises(InputError, match="two kinds"):
        open_file(edits.root, "shop/names.py")
    place.write_bytes("# 你好\n".encode("gb18030"))
    with pytest.raises(InputError, match="UTF-8"):
        open_file(edits.root, "shop/names.py")


def test_an_id_is_no_path(edits: Edits) -> None:
    for name in ("../repo", "x", "", "0" * 12):
        with pytest.raises(NotFoundError):
            edits.get(name)


# ------------------------------------------------------------ tests in the sandbox


def test_a_copy_has_no_links_and_nothing_hidden(edits: Edits, tmp_path: Path) -> None:
    (edits.root / "data.bin").write_bytes(b"\0\1")
    (edits.root / ".env").write_text("KEY=1")
    (edits.root / "out.py").symlink_to("/etc/hostname")
    copied(edits.root, tmp_path / "copy")
    names = {p.name for p in (tmp_path / "copy").rglob("*")}
    assert "data.bin" in names and not names & {".env", "out.py"}


needs_walls = pytest.mark.skipif(not can_wall()[0], reason="no sandbox here")


@needs_walls
def test_tests_run_on_a_copy_with_the_change(edits: Edits) -> None:
    assert asyncio.run(run_tests(edits.context, edits.root)).passed
    wrong = fenced('def parse_amount(text):\n    """Cents from a text such as "12.50" or "7"."""\n    return 0')
    made = proposed(edits, Writer(wrong), "Break `parse_amount`.")
    ran = asyncio.run(run_tests(edits.context, edits.root, made))
    assert not ran.passed and "test_money" in ran.output
    assert asyncio.run(run_tests(edits.context, edits.root)).passed  # the repository itself is untouched


@needs_walls
def test_what_breaks_tests_is_mended_once_or_stays_as_it_was_asked_for(edits: Edits) -> None:
    right = fenced('def parse_amount(text):\n    whole, _, cents = text.replace(",", ".").strip().partition(".")\n'
                   '    return int(whole) * 100 + int((cents + "00")[:2])')  # fmt: skip
    wrong = fenced("def parse_amount(text):\n    return 0")
    store = Repos(edits.context).index(edits.repo)

    def made(writer: Writer) -> CodeEdit:
        edit = edits.new("`parse_amount` takes a comma too.", "m")
        tried = Trial(edits.context, edits.root)
        return asyncio.run(propose(writer, "m", store, edits.root, edit, tried=tried))  # type: ignore[arg-type]

    writer = Writer("no example", wrong, right)
    mended = made(writer)
    assert mended.tests is not None and mended.tests.passed and mended.attempts == 2
    assert "test_money" in writer.asked[2][-1]["content"]
    afresh = Writer("", wrong, "Sorry.", right)
    assert made(afresh).attempts == 3 and afresh.asked[3] == afresh.asked[1]
    for second in (wrong.replace("0", "1"), "Sorry."):
        kept = made(Writer("", wrong, second, second))
        assert kept.status == "proposed" and "return 0" in kept.after
        assert kept.tests is not None and not kept.tests.passed


@needs_walls
def test_an_example_written_first_finds_what_the_tests_do_not_know(edits: Edits) -> None:
    store = Repos(edits.context).index(edits.repo)
    shutil.rmtree(edits.root / "tests")  # what is tried is the example alone
    wanted = 'assert initials("ada lovelace") == "A.L."'
    half = fenced("def initials(name):\n    return '.'.join(part[0].upper() for part in name.split())")
    whole = fenced("def initials(name):\n    return ''.join(part[0].upper() + '.' for part in name.split())")

    def made(*said: str) -> tuple[CodeEdit, Writer]:
        writer, edit = Writer(*said), edits.new("`initials` should put a dot after each letter, as in A.L.", "m")
        tried = Trial(edits.context, edits.root)
        return asyncio.run(propose(writer, "m", store, edits.root, edit, tried=tried)), writer  # type: ignore[arg-type]

    mended, writer = made(f"```python\n{wanted}\n```", half, whole)
    assert "'.' for part" in mended.after and mended.attempts == 2
    assert wanted in writer.asked[2][-1]["content"] and "'A.L'" in writer.asked[2][-1]["content"]
    for says_nothing in (
        'assert initials("ada") == "A"',
        "import os\nos.remove('x')",
        "assert slugify('a') == 'b'",
        "No.",
    ):
        assert made(says_nothing, half)[0].attempts == 1  # holds already, is no plain example, is about something else
    kept, _ = made('assert initials("x") == "never"', half, half, whole)
    assert "'.'.join" in kept.after  # a wrong example costs attempts, not the first proposal
    mixed, _ = made(f'{wanted}\nassert initials("x") == "never"', half, whole, half)
    assert "'.' for part" in mixed.after  # of two proposals the one that more lines of it hold for


@needs_walls
def test_code_of_a_change_stays_in_the_sandbox(edits: Edits, tmp_path: Path) -> None:
    mark = tmp_path / "escaped"
    code = f"import os, socket\n\ndef slugify(text):\n    return text\n\nopen({str(mark)!r}, 'w').write('x')\n"
    ran = asyncio.run(run_tests(edits.context, edits.root, more={"tests/test_evil.py": code}))
    assert not ran.passed and not mark.exists()


def test_no_tests_are_said(tmp_path: Path, context: Context) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    with pytest.raises(ZhiluError, match=r"No tests|not run here"):
        asyncio.run(run_tests(context, root))


def test_no_folder_is_left(edits: Edits) -> None:
    assert [p for p in edits.context.home.cache.iterdir() if os.path.isdir(p)] == []
