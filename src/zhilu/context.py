"""What every command and request carries: settings, home, database."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zhilu.home import Home
from zhilu.messages import set_lang
from zhilu.settings import Settings, load_settings

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from zhilu.database import Database

__all__ = ["Context", "context_of", "open_context"]


class Context:
    """Settings and the lazily opened state of one process.

    ``settings`` can be replaced while the process runs (a setting changed in the workbench): read it at each use.
    A closed context opens nothing any more: a thread that outlives it would leave a connection that nobody closes.
    """

    def __init__(self, settings: Settings, flags: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        self.flags = dict(flags or {})
        self.home = Home(settings.home).ensure()
        self._database: Database | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def database(self) -> Database:
        """The state database, opened and migrated on first use.

        Raises:
            RuntimeError: the context is closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("this context is closed")
            if self._database is None:
                from zhilu.database import Database

                opened = Database(self.settings.database_url or f"sqlite:///{self.home.database}")
                try:
                    opened.migrate()
                except BaseException:
                    opened.close()
                    raise
                self._database = opened
            return self._database

    def reload_settings(self) -> Settings:
        """Read file and environment again, with this process's flags on top."""
        fresh = load_settings({**self.flags, "home": str(self.home.path)})
        fresh.mark_source("home", self.settings.source_of("home"))
        self.settings = fresh
        return fresh

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._database is not None:
                self._database.close()
                self._database = None


def open_context(flags: Mapping[str, Any] | None = None) -> Context:
    """Load settings with ``flags`` on top and open the home; sets the language of this thread's messages."""
    settings = load_settings(flags)
    set_lang(settings.lang)
    return Context(settings, flags)


def context_of(request: HTTPConnection) -> Context:
    """The context of the web application that answers ``request``."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context
