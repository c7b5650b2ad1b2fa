"""The gateway (OpenAI's API) and the engines behind it, each in a process of its own.

File map: ``facts`` what an engine is · ``engines/`` one file per engine · ``install/`` their environments · ``supervise/`` starts,
watches and restarts them · ``gateway/`` finds the engine and passes requests on · ``api/`` Ollama's and vLLM's routes, and the
services · ``proofs/`` what the gates of stage 2 run · ``bench/`` measuring · ``catalog`` which models may be served · ``served``
a running model · ``testing`` a scripted engine and the rules for adapters.
"""

from zhilu.serving.facts import EngineFacts, EngineKind, Launch, LaunchOptions, ServedModel

__all__ = ["EngineFacts", "EngineKind", "Launch", "LaunchOptions", "ServedModel"]
