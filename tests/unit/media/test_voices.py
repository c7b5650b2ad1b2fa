"""Which voice reads a text, and voices that are added to a Kokoro folder from the makers' own files."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from zhilu.errors import InputError, MissingComponentError, NotFoundError
from zhilu.media.speak.more_voices import add_voices
from zhilu.media.speak.voices import find_voice, load_voice, voice_names

_STYLES = np.arange(3 * 256, dtype="<f4").reshape(3, 256)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the catalogue brings it: Japanese speakers alone."""
    made = tmp_path / "kokoro"
    made.mkdir()
    np.savez(made / "voices.npz", jf_alpha=_STYLES[:, None], jm_kumo=_STYLES[:, None])
    return made


def _archive(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_text_is_read_by_a_speaker_of_its_language(folder: Path, tmp_path: Path) -> None:
    assert find_voice(folder, None, "你好") == find_voice(folder, "alloy", "hello") == "jf_alpha"
    data = _STYLES.tobytes()
    names = ("af_alloy", "af_heart", "zf_xiaobei", "zm_yunxi", "ff_siwis")
    source = _archive(tmp_path / "a.tgz", **{f"package/voices/{name}.bin": data for name in names})
    assert add_voices(folder, source) == ["af_alloy", "af_heart", "zf_xiaobei", "zm_yunxi"]
    assert voice_names(folder) == ["jf_alpha", "jm_kumo", "af_alloy", "af_heart", "zf_xiaobei", "zm_yunxi"]
    assert find_voice(folder, None, "hello") == "af_heart" and find_voice(folder, None, "说 hello") == "zf_xiaobei"
    assert find_voice(folder, "alloy", "hello") == "af_alloy" and find_voice(folder, "alloy", "你好")[0] == "z"
    assert find_voice(folder, "jm_kumo", "hello") == "jm_kumo"
    assert load_voice(folder, "zm_yunxi").tolist() == load_voice(folder, "jf_alpha").tolist() == _STYLES.tolist()
    with pytest.raises(NotFoundError, match="Did you mean 'zf_xiaobei'"):
        find_voice(folder, "zf_xiaobai", "你好")


def test_only_whole_voices_are_taken_and_nothing_is_written_elsewhere(folder: Path, tmp_path: Path) -> None:
    hostile = {
        "package/voices/../../zf_out.bin": _STYLES.tobytes(),
        "package/voices/zf_half.bin": b"x" * 1000,
        "package/voices/zf_none.bin": b"",
        "package/voices/zf_vast.bin": bytes(4 * 256 * 1025),
        "package/model.bin": _STYLES.tobytes(),
    }
    with pytest.raises(InputError, match="holds no voices"):
        add_voices(folder, _archive(tmp_path / "b.tgz", **hostile))
    (tmp_path / "c.tgz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read"):
        add_voices(folder, tmp_path / "c.tgz")
    held = tmp_path / "Kokoro-82M" / "voices"
    held.mkdir(parents=True)
    os.symlink("/etc/passwd", held / "zf_linked.bin")
    (held / "bf_emma.bin").write_bytes(_STYLES.tobytes())
    assert add_voices(folder, held) == add_voices(folder, held.parent) == ["bf_emma"]
    assert not any(path.name.startswith("zf") for path in tmp_path.rglob("*.bin") if path.parent != held)


def test_without_npm_a_folder_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingComponentError, match="no npm here") as raised:
        add_voices(folder)
    assert raised.value.fix == "zhilu media voices --from FOLDER"
