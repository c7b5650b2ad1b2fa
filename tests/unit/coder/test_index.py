"""A repository is read as it is, whatever a stranger put into it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from zhilu.apps.coder.index.apart import Outliner, outline_here
from zhilu.apps.coder.index.build import build
from zhilu.apps.coder.index.find import callers, find_symbols, named_in, search, symbol_at
from zhilu.apps.coder.index.python import outline_python
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.index.terms import code_query, code_words, parts_of
from zhilu.apps.coder.index.trees import outline_tree
from zhilu.apps.coder.index.units import units_of
from zhilu.apps.coder.index.walk import RepoLimits, read_file, walk
from zhilu.apps.coder.samples import unpack_sample
from zhilu.errors import InputError


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    unpack_sample(tmp_path / "shop")
    return tmp_path / "shop"


def index(root: Path, **limits: int) -> tuple[IndexStore, Counter[str]]:
    store = IndexStore(root.parent / "index.db")
    return store, build(root, store, limits=RepoLimits(**limits))


def test_symbols_of_the_sample(shop: Path) -> None:
    store, done = index(shop)
    assert done["read"] == 14
    cart = {s.qualname: s for s in store.symbols_of("shop/cart.py")}
    assert list(cart) == [
        "Line", "Line.__init__", "Line.subtotal", "Cart", "Cart.__init__", "Cart.add", "Cart.remove", "Cart.apply_coupon",
        "Cart.total", "Cart.count",
    ]  # fmt: skip
    lines = (shop / "shop/cart.py").read_text().split("\n")
    total = cart["Cart.total"]
    assert (total.kind, lines[total.start - 1].strip(), lines[total.end - 1].strip()) == (
        "method", "def total(self):", "return amount",
    )  # fmt: skip
    assert total.doc == "What the customer pays without shipping: subtotals less the coupon's discount."


def test_symbols_of_other_languages(shop: Path) -> None:
    pytest.importorskip("tree_sitter")
    store, _ = index(shop)
    script = [(s.qualname, s.kind) for s in store.symbols_of("web/cart.js")]
    assert script == [("renderCart", "function"), ("renderLine", "function"), ("addToCart", "function")]
    client = [(s.qualname, s.kind) for s in store.symbols_of("web/client.ts")]
    assert client == [
        ("Reply", "interface"), ("ShopClient", "class"), ("ShopClient.constructor", "method"), ("ShopClient.post", "method"),
        ("describeFailure", "function"),
    ]  # fmt: skip
    assert [(c.path, c.inside) for c in callers(store, "renderCart")] == [("web/cart.js", "addToCart")]
    assert [(c.path, c.inside) for c in callers(store, "ShopClient")] == [("web/cart.js", "")]


@pytest.mark.parametrize(
    ("language", "text", "symbols", "called"),
    [
        ("java", "class A {\n  int f() { return g(); }\n  A() { new B(); }\n}\ninterface I {}\n",
         ["A class", "A.f method", "A.A method", "I interface"], ["g", "B"]),
        ("go", "package p\n\ntype T struct{}\n\n// Says.\nfunc (t *T) Say() { fmt.Println(x()) }\nfunc x() {}\n",
         ["T type", "T.Say method", "x function"], ["Println", "x"]),
        ("c", "struct p { int x; };\nstatic int *add(int a) { return sub(a); }\nstruct p *q;\ntypedef struct { int y; } q_t;\n",
         ["p type", "add function", "q_t type"], ["sub"]),
        ("tsx", "export default function App() { return <Row onClick={() => go(1)} />; }\ntype P = { a: number };\n",
         ["App function", "P type"], ["go"]),
    ],
)  # fmt: skip
def test_each_grammar(language: str, text: str, symbols: list[str], called: list[str]) -> None:
    pytest.importorskip("tree_sitter")
    outline = outline_tree(language, text)
    assert [f"{s.qualname} {s.kind}" for s in outline.symbols] == symbols
    assert sorted(c.name for c in outline.calls) == sorted(called)


def test_a_comment_above_belongs_to_what_it_is_about() -> None:
    pytest.importorskip("tree_sitter")
    symbol = outline_tree("go", "package p\n\n// Says hello.\n// Twice.\nfunc Say() {}\n").symbols[0]
    assert (symbol.start, symbol.end, symbol.doc) == (3, 5, "Says hello.")


def test_without_the_extra_such_files_are_text_and_say_so(monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    monkeypatch.setattr("zhilu.apps.coder.index.trees._parser", lambda language: None)
    store = IndexStore(shop.parent / "index.db")
    build(shop, store, outline=outline_here)
    problems = {f.path: f.problem for f in store.files()}
    assert problems["web/cart.js"] == problems["web/client.ts"] == "zhilu[coder]"
    assert problems["shop/cart.py"] == ""
    assert search(store, "renderLine")[0].path == "web/cart.js"


def test_only_what_changed_is_read_again(shop: Path) -> None:
    store, _ = index(shop)
    (shop / "shop/names.py").write_text("def shout(text):\n    return text.upper()\n")
    (shop / "shop/figures.py").unlink()
    (shop / "new.py").write_text("x = 1\n")
    done = build(shop, store)
    assert (done["read"], done["same"], done["gone"]) == (2, 12, 1)
    assert [s.name for s in store.symbols_of("shop/names.py")] == ["shout"]
    assert find_symbols(store, "slugify") == [] and find_symbols(store, "best_sellers") == []
    assert all(h.path != "shop/figures.py" for h in search(store, "best sellers revenue"))


def test_a_run_that_was_killed_goes_on(shop: Path) -> None:
    store = IndexStore(shop.parent / "index.db")

    class Killed(Exception):
        pass

    def kill(done: int, of: int, path: str) -> None:
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        build(shop, store, kill)
    done = build(shop, store)
    assert (done["same"], done["read"]) == (5, 9)


def test_search_finds_by_name_by_parts_and_by_words(shop: Path) -> None:
    store, _ = index(shop)
    assert search(store, "splitEvenly")[0].symbol == "split_evenly"
    assert search(store, "how are shares split evenly between people")[0].symbol == "split_evenly"
    assert search(store, "加急送达需要几天")[0].symbol == "delivery_days"
    assert search(store, "???") == []
    assert find_symbols(store, "Cart.add")[0].qualname == "Cart.add"
    assert [s.qualname for s in find_symbols(store, "CART")][:1] == ["Cart"]
    assert find_symbols(store, "%") == [] and find_symbols(store, "") == []
    inside = symbol_at(store, "shop/orders.py", 27)
    assert inside is not None and inside.qualname == "place_order"


def test_a_question_names_symbols(shop: Path) -> None:
    store, _ = index(shop)
    assert [s.qualname for s in named_in(store, "Who calls `Warehouse.reserve`?")] == ["Warehouse.reserve"]
    assert [s.qualname for s in named_in(store, "谁调用了release？")] == ["Warehouse.release"]
    assert [s.qualname for s in named_in(store, "what does place_order() do to the total")] == [
        "place_order",
        "Cart.total",
    ]
    assert named_in(store, "What is this?") == []


def test_words_of_code() -> None:
    assert parts_of("parseHTTPUrl_v2") == ["parse", "http", "url", "v", "2"]
    assert code_words("total_price(x)").split()[0] == "totalprice"
    assert '"totalprice"' in code_query("What is total_price?")
    assert code_query("the prices") == f'"{code_words("price").strip()}"'  # a question and the code are cut alike


def test_every_line_is_in_a_piece() -> None:
    text = "import os\n\n\ndef f():\n    def g():\n        pass\n    return g\n\nx = 1\n" + "y = 2\n" * 100
    units = units_of(text.split("\n"), outline_python(text).symbols)
    held = [n for u in units for n in range(u.start, u.end + 1)]
    assert len(held) == len(set(held))
    assert {n for n, line in enumerate(text.split("\n"), 1) if line.strip()} <= set(held)
    assert ("f", 4, 7) in [(u.symbol, u.start, u.end) for u in units]  # an inner function is shown with the outer one


# ------------------------------------------------------------ strangers


def test_links_out_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.mkdir()
    (outside / "key.py").write_text("KEY = 'x'\n")
    root = tmp_path / "repo"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    (root / "key.py").symlink_to(outside / "key.py")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root)
    store, done = index(root)
    assert [f.path for f in store.files()] == ["a.py"]
    assert done["link"] == 3
    for path in ("folder/key.py", "../secret/key.py", "/etc/hostname", ""):
        with pytest.raises(InputError):
            read_file(root, path)
    with pytest.raises(OSError):
        read_file(root, "key.py")


def test_a_pipe_does_not_hold_the_work(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    os.mkfifo(root / "pipe.py")
    (root / "a.py").write_text("a = 1\n")
    store, done = index(root)
    assert ([f.path for f in store.files()], done["special"]) == (["a.py"], 1)
    with pytest.raises((InputError, OSError)):
        read_file(root, "pipe.py")


def test_large_binary_and_minified_files_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "big.py").write_bytes(b"x = 1\n" * 400_000)
    (root / "binary.py").write_bytes(b"\x7fELF\0\0\0\1" * 64)
    (root / "min.js").write_text("var a=1;" * 2000)
    (root / "latin.py").write_bytes("# 你好\nx = 1\n".encode("gb18030"))
    store, done = index(root)
    assert [f.path for f in store.files()] == ["latin.py"]
    assert (done["size"], done["binary"]) == (1, 2)
    assert "你好" in (store.text("latin.py") or "")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system refuses such names")
def test_odd_names_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    for name in (b"new\nline.py", b"back\xe2\x80\xaegnp.py", b"bad\xff.py", b"tab\t.py", b"a\\b.py"):
        (Path(os.fsdecode(os.path.join(os.fsencode(root), name)))).write_text("x = 1\n")
    for name in ("spaced name.py", "'; DROP TABLE files;--.py", "中文.py", "<img src=x>.py", "-rf.py"):
        (root / name).write_text("def f():\n    pass\n")
    store, done = index(root)
    assert {f.path for f in store.files()} == {
        "spaced name.py", "'; DROP TABLE files;--.py", "中文.py", "<img src=x>.py", "-rf.py",
    }  # fmt: skip
    assert done["name"] == 5
    assert len(find_symbols(store, "f")) == 5


def test_depth_number_and_bytes_are_limited(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    deep = root
    for number in range(12):
        deep = deep / f"d{number}"
    deep.mkdir(parents=True)
    (deep / "a.py").write_text("a = 1\n")
    for number in range(30):
        (root / f"f{number:02d}.py").write_text("x = 1\n")
    skipped: Counter[str] = Counter()
    assert len(list(walk(root, skipped, RepoLimits(depth=8, files=10)))) == 10
    assert skipped["limit"] == 1
    skipped.clear()
    assert len(list(walk(root, skipped, RepoLimits(depth=8)))) == 30
    assert skipped["depth"] == 1
    assert index(root, bytes=60)[1]["limit"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000, "[" * 400 + "]" * 400, "-" * 50_000 + "1", "f" + "(f" * 150 + ")" * 150, "def f(:\n", "x = '\\d'\n",
        "\n".join(" " * n + "if x:" for n in range(150)), "class A:\n" + " def f(self): pass\n" * 6_000, "\0",
    ],
)  # fmt: skip
def test_hostile_python_ends(text: str) -> None:
    outline = outline_python(text)
    assert outline.problem or outline.symbols is not None
    assert len(outline.symbols) <= 5_000


@pytest.mark.parametrize("language", ["javascript", "java", "c", "go", "tsx"])
def test_hostile_trees_end(language: str) -> None:
    pytest.importorskip("tree_sitter")
    for text in ("(" * 20_000, "{" * 20_000, "f(" * 5_000, "int f(" + "*" * 5_000, "\ud83d"):
        outline_tree(language, text.encode("utf-8", "replace").decode())


def test_a_file_that_holds_a_parser_up_costs_its_time_and_no_more(tmp_path: Path) -> None:
    """A run of arrows takes tree-sitter's grammar of Java half a minute (0.26); the next file is read all the same."""
    pytest.importorskip("tree_sitter")
    with Outliner(seconds=1.0) as outliner:
        assert outliner.outline("java", "a=>\n" * 5_000).problem == "more than 1 s"
        assert [s.name for s in outliner.outline("python", "def f():\n    pass\n").symbols] == ["f"]


def test_a_parser_that_breaks_takes_only_itself_along(monkeypatch: pytest.MonkeyPatch) -> None:
    with Outliner() as outliner:
        assert outliner.outline("python", "x = 1\n").problem == ""
        assert outliner._child is not None
        outliner._child.kill()
        outliner._child.wait()
        assert outliner.outline("python", "x = 1\n").problem == "the parser broke"
        assert outliner.outline("python", "x = 1\n").problem == ""


def test_the_hidden_and_the_made_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    for name in (".git", ".venv", "node_modules", "__pycache__", "src"):
        (root / name).mkdir(parents=True)
        (root / name / "a.py").write_text("x = 1\n")
    (root / ".env.py").write_text("KEY = 1\n")
    store, _ = index(root)
    assert [f.path for f in store.files()] == ["src/a.py"]
