"""``zhilu app new``: the template of a product becomes a folder of one's own, with the commands to go on with in its README."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from zhilu.apps.product import Product
from zhilu.errors import ConflictError, InputError
from zhilu.messages import T

__all__ = ["COMMANDS", "take_home"]

_LEFT_OUT = {"__pycache__", ".pytest_cache", "node_modules", ".venv"}

COMMANDS = """\
python -m venv .venv && . .venv/bin/activate      # Windows: .venv\\Scripts\\activate
pip install -r requirements.txt
export ZHILU_URL=http://127.0.0.1:8642             # the gateway: `zhilu up`
uvicorn app:app --port 8080                        # then open http://127.0.0.1:8080
python -m pytest                                   # the tests need no gateway
docker build -t {image} . && docker run --rm --network host -e ZHILU_URL {image}"""


def take_home(product: Product, folder: Path) -> list[str]:
    """Copy ``product``'s template to ``folder``; returns the files, sorted. The folder is there whole or not at all.

    Raises:
        ConflictError: the folder is there and holds something. InputError: its path is a file, or cannot be written.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(T(f"{str(folder)!r} is no folder.", f"{str(folder)!r} 不是文件夹。"), param="folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConflictError(
            T(
                f"The folder {str(folder)!r} holds something already. Nothing was written.",
                f"文件夹 {str(folder)!r} 里已有内容，没有写入任何文件。",
            ),
            param="folder",
            fix=f"zhilu app new {folder.name}-2 --from {product.name}",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as near:
            copy = Path(near, "copy")
            files = _copy(product.template, copy)
            _write_readme(product, copy, folder.name)
            if folder.is_dir():
                folder.rmdir()  # refuses one that is not empty any more
            os.replace(copy, folder)
    except OSError as error:
        raise InputError(
            T(
                f"The folder {str(folder)!r} cannot be written: {error.strerror or error}.",
                f"文件夹 {str(folder)!r} 无法写入：{error.strerror or error}。",
            ),
            param="folder",
        ) from error
    return files


def _copy(template: Path, copy: Path) -> list[str]:
    """Plain files alone, as they are; none that a run of the template left behind."""
    files = []
    for path in sorted(template.rglob("*")):
        within = path.relative_to(template)
        if path.is_symlink() or not path.is_file() or _LEFT_OUT & set(within.parts) or path.suffix == ".pyc":
            continue
        target = copy / within
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        files.append(within.as_posix())
    return files


def _write_readme(product: Product, copy: Path, name: str) -> None:
    readme = copy / "README.md"
    own = readme.read_text(encoding="utf-8").strip() if readme.is_file() else ""
    commands = COMMANDS.format(image=f"zhilu-{product.name}")
    readme.write_text(
        f"# {name}\n\n{product.title.en} · {product.title.zh}. {product.says.en}\n{product.says.zh}\n\n"
        f"```bash\n{commands}\n```\n\n{own}\n",
        encoding="utf-8",
    )
