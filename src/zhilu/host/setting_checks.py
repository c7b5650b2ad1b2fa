"""Changing a setting: what it names must exist.

The folder that owns the names checks them (entry points ``zhilu.setting_checks``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zhilu.context import Context
from zhilu.errors import NotFoundError, SettingsError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.settings import store_setting

__all__ = ["change_setting"]

Check = Callable[[Context, str], None]


def change_setting(context: Context, key: str, value: Any) -> None:
    """Check and store one value, and let it hold here.

    Raises:
        SettingsError: unknown key, a value out of range, or a name that does not exist, with the nearest that does.
    """
    checks: Registry[Check] = Registry.from_entry_points("zhilu.setting_checks", T("setting", "设置"))
    if key in checks and isinstance(value, str):
        try:
            checks.get(key)(context, value)
        except NotFoundError as error:
            raise SettingsError(
                T(f"{key} = {value!r}: {error.message.en}", f"{key} = {value!r}：{error.message.zh}"),
                param=key,
                fix=error.fix,
            ) from error
    store_setting(context.home, key, value)
    context.reload_settings()
