"""Ollama's API: its chats translated to chat completions and back, and its words for what handles models.

Source: Ollama's API documentation (docs/api.md) and its Python client's types.
"""

from zhilu.wire.ollama.dialect import OllamaChat, OllamaGenerate, now, ollama_error, plain_name
from zhilu.wire.ollama.request import OllamaEmbeddingsRequest, OllamaEmbedRequest

__all__ = [
    "OllamaChat",
    "OllamaEmbedRequest",
    "OllamaEmbeddingsRequest",
    "OllamaGenerate",
    "now",
    "ollama_error",
    "plain_name",
]
