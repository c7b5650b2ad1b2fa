"""The gateway (OpenAI's API) and the engines behind it, each a process.

File map: ``facts`` what an engine is · ``engines/`` one file each · ``supervisor`` starts, watches, restarts (``served``,
``process``, ``backoff``, ``ports``, ``runstate``) · ``gateway`` passes requests on (``stream``, ``embeddings``,
``catalog``) · ``ledger`` and ``metrics`` figures · ``conformance`` the run behind gate 2.2 · ``testing`` a scripted engine.
"""

from zhilu.serving.facts import EngineFacts, EngineKind, Launch, LaunchOptions, ServedModel

__all__ = ["EngineFacts", "EngineKind", "Launch", "LaunchOptions", "ServedModel"]
