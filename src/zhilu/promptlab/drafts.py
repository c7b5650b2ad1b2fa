"""A new version from the newest one and what is to be different, or from a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.promptlab.library import PromptVersion, Templates
from zhilu.promptlab.template import Name, PromptTemplate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["draft"]


def draft(context: Context, name: str, changes: Mapping[str, Any], file: Path | None = None) -> PromptVersion:
    """Save a version of ``name``.

    Raises:
        InputError: it is no version: all that is wrong is named.
    """
    templates = Templates(context)
    try:
        TypeAdapter(Name).validate_python(name)
        if file is not None:
            content = {**tomllib.loads(file.read_text(encoding="utf-8-sig")), **changes}
            content.pop("created_at", None)
        else:
            content = {**_newest(templates, name), **changes}
        template = PromptTemplate.model_validate(content)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'name'}: {one['msg']}" for one in error.errors())
        raise _refused(name, said) from error
    except ValueError as error:
        raise _refused(name, str(error)) from error
    return templates.save(name, template)


def _newest(templates: Templates, name: str) -> dict[str, Any]:
    try:
        return templates.get(name).template.model_dump(exclude={"note"})
    except NotFoundError:
        return {}


def _refused(name: str, said: str) -> InputError:
    return InputError(
        T(f"{name!r} cannot be saved: {said}", f"{name!r} 无法保存：{said}"),
        param="template",
        fix=f"zhilu prompt new {name} --user '… {{{{text}}}}'",
    )
