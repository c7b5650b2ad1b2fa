"""Settings: flag over environment over file. Every value knows where it came from; an unknown name is refused.

The file is ``$ZHILU_HOME/settings.toml``, the environment ``ZHILU_<NAME>``, and flags come from the command line.
All mistakes are reported at once, each with the nearest name that exists.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from zhilu.errors import SettingsError, mask_passwords, nearest
from zhilu.home import Home, atomic_write, file_lock
from zhilu.messages import T

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - 3.10 only
    import tomli as tomllib

__all__ = [
    "DESCRIPTIONS",
    "NAMES_CODE",
    "Settings",
    "Source",
    "describe_settings",
    "load_settings",
    "store_setting",
    "unset_setting",
]

Source = Literal["default", "file", "env", "flag"]

# Variables of ours that are not settings: the environment check must not call them unknown.
_NOT_SETTINGS = {"ZHILU_HOME", "ZHILU_DATA", "ZHILU_KILLS", "ZHILU_TEST_MODELS", "ZHILU_TORCH_INDEX", "ZHILU_NODE"}
_SECRET = {"api_key", "database_url", "pgvector_url", "milvus_url"}
# A value "module:ATTRIBUTE" of these is imported: a person may say so in a terminal, a request may not.
NAMES_CODE = frozenset({"embedder"})


class Settings(BaseModel):
    """All settings of the product. ``describe_settings`` explains each in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(default_factory=lambda: Path(os.environ.get("ZHILU_HOME") or "~/.zhilu").expanduser())
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8642, ge=0, le=65535)
    lang: Literal["auto", "en", "zh"] = "auto"
    model: str = Field("auto", min_length=1)
    starter: str = Field("auto", min_length=1)
    engine: str = Field("auto", min_length=1)
    embedder: str = Field("auto", min_length=1)
    answers: Literal["careful", "balanced", "bold"] = "balanced"
    api_key: str | None = Field(None, min_length=16)
    base_url: str | None = Field(None, pattern=r"^https?://")
    database_url: str | None = None
    pgvector_url: str | None = Field(None, pattern=r"^postgres(ql)?://")
    milvus_url: str | None = Field(None, pattern=r"^https?://")
    max_upload_mb: int = Field(200, ge=1, le=4096)
    chat_file_chars: int = Field(3000, ge=200, le=2_000_000)
    max_jobs: int = Field(1, ge=1, le=64)
    max_engines: int = Field(2, ge=1, le=32)
    threads: int = Field(0, ge=0, le=1024)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    hf_endpoint: str | None = Field(None, pattern=r"^https?://")
    modelscope_endpoint: str | None = Field(None, pattern=r"^https?://")
    model_mirror: str | None = Field(None, pattern=r"^https?://")
    model_folder: str | None = Field(None, min_length=1)
    offline: bool = False
    torch: Literal["auto", "cpu", "cuda", "none"] = "auto"
    web_search: Literal["none", "searxng", "brave", "tavily", "bocha", "duckduckgo", "site"] = "none"
    web_url: str | None = Field(None, pattern=r"^https?://")
    web_folder: str | None = Field(None, min_length=1)
    web_private: bool = False
    code_unwalled: bool = False
    image_ocr: bool = False

    _sources: dict[str, Source] = PrivateAttr(default_factory=dict)

    def source_of(self, key: str) -> Source:
        """Where the value of ``key`` came from."""
        return self._sources.get(key, "default")

    def mark_source(self, key: str, source: Source) -> None:
        """Say where ``key`` really came from, where a loader had to hand it over by another way."""
        self._sources[key] = source


DESCRIPTIONS: dict[str, T] = {
    "home": T("Folder that holds everything of yours", "存放你的全部数据的目录"),
    "host": T("Address to listen on; beyond loopback a key is required", "监听地址；超出本机回环时必须设置密钥"),
    "port": T("Port of the workbench and the API", "工作台与 API 的端口"),
    "lang": T("Language of messages: auto follows the locale", "消息语言：auto 跟随系统区域设置"),
    "model": T(
        "Model that answers by default; auto: the first one that arrived, zhilu-nano until then",
        "默认用来回答的模型；auto：首个下载到的模型，在此之前是 zhilu-nano",
    ),
    "starter": T(
        "First model to fetch: auto (by this machine), starter (1.5-1.7 B), small (0.5-0.6 B), a name, or none",
        "首次获取的模型：auto（按机器选择）、starter（1.5-1.7 B）、small（0.5-0.6 B）、某个名称，或 none（不获取）",
    ),
    "engine": T("Engine that serves models: auto chooses and says why", "运行模型的引擎：auto 自动选择并说明理由"),
    "embedder": T("Model that turns text into vectors", "把文本变成向量的模型"),
    "answers": T(
        "When documents may not hold an answer: careful refuses early, bold answers and says so, balanced in between",
        "文档可能没有答案时：careful（谨慎）尽早拒答，bold（大胆）作答并注明，balanced（均衡）居中",
    ),
    "api_key": T("Key that clients must send (at least 16 characters)", "客户端必须携带的密钥（至少 16 个字符）"),
    "base_url": T(
        "Use this OpenAI-compatible URL instead of the local gateway", "改用这个 OpenAI 兼容地址，而不是本机网关"
    ),
    "database_url": T(
        "SQLAlchemy URL of the state database; empty: SQLite", "状态数据库的 SQLAlchemy 地址；空则用 SQLite"
    ),
    "pgvector_url": T(
        "PostgreSQL server with pgvector that keeps the vectors of knowledge bases made for it",
        "为选用 pgvector 的知识库保存向量的 PostgreSQL 服务器",
    ),
    "milvus_url": T(
        "Milvus server that keeps the vectors of knowledge bases made for it",
        "为选用 milvus 的知识库保存向量的 Milvus 服务器",
    ),
    "max_upload_mb": T("Largest file that may be uploaded, in MB", "允许上传的最大文件（MB）"),
    "chat_file_chars": T(
        "Characters of attached files that a chat shows its model; longer files in the parts that are asked about",
        "对话中附件给模型看的字符数上限；更长的文件只给与问题有关的部分",
    ),
    "max_jobs": T("Jobs that run at the same time", "同时运行的任务数"),
    "max_engines": T("Models that are kept running at the same time", "同时保持运行的模型数"),
    "threads": T("CPU threads for models; 0: all cores", "模型使用的 CPU 线程数；0 表示全部核心"),
    "log_level": T("How much is logged", "日志详细程度"),
    "log_format": T("Log lines as text or JSON", "日志格式：文本或 JSON"),
    "hf_endpoint": T("Hugging Face hub or a mirror of it", "Hugging Face 或其镜像的地址"),
    "modelscope_endpoint": T("ModelScope hub address", "魔搭 ModelScope 的地址"),
    "model_mirror": T("Web server with packed models (zhilu model pack)", "存放打包模型的网站（zhilu model pack）"),
    "model_folder": T(
        "Folder with models, one a sub-folder (a network share)", "存放模型的文件夹，每个模型一个子目录（如网络共享）"
    ),
    "offline": T("Never try to reach a model hub", "从不尝试连接模型仓库"),
    "torch": T(
        "Build of PyTorch to install; auto takes a CPU build and asks before a CUDA build",
        "要安装的 PyTorch 版本；auto 安装 CPU 版，安装 CUDA 版之前会先询问",
    ),
    "web_search": T(
        "Who searches the web for questions asked with it: a provider, or site (a folder of pages); none: never",
        "联网提问时由谁搜索：某个搜索服务，或 site（本地网页文件夹）；none：从不",
    ),
    "web_url": T(
        "Address of the search provider (SearXNG), or of the site that web_folder holds",
        "搜索服务的地址（SearXNG），或 web_folder 对应网站的地址",
    ),
    "web_folder": T("Folder of pages that the provider site searches", "site 搜索的网页文件夹"),
    "web_private": T(
        "Pages on private addresses (this machine, the local network) may be read too",
        "也允许读取内网地址（本机、局域网）上的页面",
    ),
    "image_ocr": T(
        "Pictures in requests to a model that cannot see are read by OCR, and the text in them is sent instead",
        "发给看不到图片的模型的请求中，图片由 OCR 识别，以其中的文字代替",
    ),
    "code_unwalled": T(
        "Code of agents may run where there is no sandbox (bubblewrap), with all that you can do",
        "没有沙箱（bubblewrap）时也允许运行智能体的代码，其权限与你相同",
    ),
}
# Read once at start: a change to any other setting holds from the next request on.
_LIVE = {
    "lang",
    "model",
    "starter",
    "embedder",
    "answers",
    "max_upload_mb",
    "chat_file_chars",
    "max_jobs",
    "hf_endpoint",
    "modelscope_endpoint",
    "offline",
} | {
    "model_mirror",
    "model_folder",
    "torch",
    "web_search",
    "web_url",
    "web_folder",
    "web_private",
    "code_unwalled",
    "image_ocr",
}


def load_settings(flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Merge file, environment and flags (a flag of None counts as not given).

    Raises:
        SettingsError: names every unknown key and every value out of range, with its source.
    """
    env = os.environ if env is None else env
    flags = {key: value for key, value in (flags or {}).items() if value is not None}
    home = Path(str(flags.get("home") or env.get("ZHILU_HOME") or "~/.zhilu")).expanduser().absolute()
    values: dict[str, Any] = {"home": home}
    sources: dict[str, Source] = {"home": "flag" if "home" in flags else "env" if env.get("ZHILU_HOME") else "default"}
    problems: list[T] = []
    wrong: set[Source] = set()
    file = Home(home).settings_file
    layers: list[tuple[Source, Mapping[str, Any]]] = [
        ("file", _read_file(file)),
        ("env", {k[6:].lower(): v for k, v in env.items() if k.startswith("ZHILU_") and k not in _NOT_SETTINGS and v}),
        ("flag", flags),
    ]
    for source, layer in layers:
        for key, value in layer.items():
            if key == "home":
                continue
            if key not in Settings.model_fields:
                problems.append(_unknown(key, source, file))
                wrong.add(source)
                continue
            values[key], sources[key] = value, source
    try:
        settings = Settings(**values)
    except ValidationError as error:
        for item in error.errors():
            key = str(item["loc"][0])
            shown = "***" if key in _SECRET else repr(values.get(key))
            wrong.add(sources[key])
            where = file if sources[key] == "file" else sources[key]
            problems.append(
                T(f"{key} = {shown} ({where}): {item['msg']}", f"{key} = {shown}（来自 {where}）：{item['msg']}")
            )
        settings = Settings(home=home)
    if problems:
        raise SettingsError(
            T("Settings: " + "; ".join(p.en for p in problems), "设置有误：" + "；".join(p.zh for p in problems)),
            # No verb of ours starts before the file is right.
            fix=f"edit {file}" if "file" in wrong else "zhilu settings list",
        )
    for key, source in sources.items():
        settings.mark_source(key, source)
    return settings


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            T(f"The settings file {str(path)!r} cannot be read: {error}", f"设置文件 {str(path)!r} 无法读取：{error}"),
            fix=f"edit {path}",
        ) from error


def _unknown(key: str, source: Source, file: Path | None = None) -> T:
    close = nearest(key, Settings.model_fields)
    shown = f"ZHILU_{key.upper()}" if source == "env" else key
    hint = (f"did you mean {close}?", f"是不是 {close}？") if close else ("no such setting", "没有这个设置")
    where = file if file and source == "file" else source
    return T(f"unknown setting {shown!r} ({where}): {hint[0]}", f"未知设置 {shown!r}（来自 {where}）：{hint[1]}")


def store_setting(home: Home, key: str, value: Any) -> None:
    """Write one value to the settings file, checked first; the file stays whole if the process is killed.

    Raises:
        SettingsError: unknown key or a value out of range.
    """
    if key not in Settings.model_fields or key == "home":
        if key == "home":
            raise SettingsError(
                T(
                    "The home is not a setting of the file: it says where the file is.",
                    "home 不能写在文件里：它决定文件在哪里。",
                ),
                param="home",
                fix="export ZHILU_HOME=FOLDER",
            )
        raise SettingsError(_unknown(key, "flag"), param=key, fix="zhilu settings list")
    if isinstance(value, str) and "://***@" in value:
        raise SettingsError(
            T(
                f"{key}: the *** stands for a password that is not shown. Give the whole URL.",
                f"{key}：*** 是被隐藏的密码。请填写完整地址。",
            ),
            param=key,
            fix=f"zhilu settings set {key} URL",
        )
    checked = load_settings({"home": str(home.path), key: value}, env={})
    _edit_file(home, {key: getattr(checked, key)})


def unset_setting(home: Home, key: str) -> None:
    """Remove one value from the settings file; no error if it was not there."""
    if key not in Settings.model_fields:
        raise SettingsError(_unknown(key, "flag"), param=key, fix="zhilu settings list")
    _edit_file(home, {key: None})


def _edit_file(home: Home, changes: Mapping[str, Any]) -> None:
    import tomli_w

    home.ensure()
    with file_lock(home.run / "settings.lock"):
        values = {**_read_file(home.settings_file), **changes}
        kept = {key: value for key, value in values.items() if value is not None}
        atomic_write(home.settings_file, tomli_w.dumps(kept))
        home.settings_file.chmod(0o600)


def describe_settings(settings: Settings) -> list[dict[str, Any]]:
    """Every setting with value, default, source, type and what it is for; secrets are masked."""
    properties = Settings.model_json_schema()["properties"]
    rows = []
    for key, field in Settings.model_fields.items():
        schema = properties[key]
        types = [schema, *schema.get("anyOf", [])]
        value = getattr(settings, key)
        if isinstance(value, str | Path):
            value = mask_passwords(str(value))  # of a URL with a password in it
        rows.append(
            {
                "key": key,
                "value": "••••••••" if key in _SECRET and value else value,
                "default": "~/.zhilu" if key == "home" else field.default,
                "source": settings.source_of(key),
                "type": next((t["type"] for t in types if t.get("type", "null") != "null"), "string"),
                "choices": next((t["enum"] for t in types if "enum" in t), None),
                "description": DESCRIPTIONS[key].data(),
                "restart_required": key not in _LIVE,
                "secret": key in _SECRET,
            }
        )
    return rows
