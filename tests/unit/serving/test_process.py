"""Engine logs: their names, their rotation, their end."""

from pathlib import Path

from zhilu.serving.supervise.engine_process import log_path, rotate, tail


def test_a_model_name_never_leaves_the_log_folder() -> None:
    folder = Path("/logs")
    for name in ("m", "org/model", "../../etc/passwd", "..", ".hidden", "a\\b"):
        assert log_path(folder, name).parent == folder / "engines"
    assert log_path(folder, "org/model").name == "org--model.log"


def test_a_long_log_is_moved_and_goes_on_empty(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    with path.open("ab") as writer:
        for letter in (b"a", b"b", b"c", b"d"):
            writer.write(letter * 11)
            writer.flush()
            rotate(path, max_bytes=10, keep=2)
        writer.write(b"end")
    assert path.read_bytes() == b"end"  # the open file went on at its new beginning
    assert (tmp_path / "m.log.1").read_bytes() == b"d" * 11
    assert (tmp_path / "m.log.2").read_bytes() == b"c" * 11
    assert not (tmp_path / "m.log.3").exists()


def test_a_short_log_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    rotate(path)
    path.write_text("short")
    rotate(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.log"]


def test_the_end_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    assert tail(path) == "-"
    path.write_text("".join(f"line {n}\n" for n in range(10_000)))
    assert tail(path, lines=2) == "line 9998\nline 9999"
