from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zhilu.cli import VERBS, cli, main
from zhilu.registry import Registry


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def test_help_lists_every_registered_verb_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['zhilu', '--help']\n"
        "from zhilu.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'openvino', 'fastapi', 'sqlalchemy', 'pydantic', 'httpx', 'numpy', 'rich', 'openai'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for name in Registry.from_entry_points("zhilu.cli").names():
        assert f"  {name} " in done.stdout


def test_short_help_covers_exactly_the_verbs() -> None:
    assert set(VERBS) == set(Registry.from_entry_points("zhilu.cli").names())
    assert all(text.en and text.zh for text in VERBS.values())


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_and_makes_no_home_for_it(verb: str, own_home: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "zhilu", verb, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
    assert not own_home.exists()


def test_an_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("--lang", "en", "setings", capsys=capsys)
    assert code == 2 and "Did you mean 'settings'" in err
    code, _, err = run("--lang", "zh", "setings", capsys=capsys)
    assert code == 2 and "是不是 'settings'" in err


def test_errors_carry_fix_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("--lang", "zh", "settings", "set", "prot", "1", capsys=capsys)
    assert (code, out) == (2, "")
    assert "未知设置 'prot'" in err and "zhilu settings list" in err


def test_settings_round_trip_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("settings", "set", "port", "9001", "--json", capsys=capsys)[0] == 0
    code, out, _ = run("settings", "get", "port", "--json", capsys=capsys)
    row = json.loads(out)
    assert (code, row["value"], row["source"]) == (0, 9001, "file")
    run("settings", "unset", "port", capsys=capsys)
    _, out, _ = run("settings", "get", "port", "--json", capsys=capsys)
    assert json.loads(out)["source"] == "default"


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("settings", "list", "--jsno", capsys=capsys)
    assert code == 2 and "--jsno" in err


def test_the_language_option_exists_on_the_group() -> None:
    assert any("--lang" in option.opts for option in cli.params)
