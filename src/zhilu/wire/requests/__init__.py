"""What a request may contain: one strict model per endpoint. Fields follow OpenAI's API reference and vLLM's extras."""

from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.adapters import LoadAdapterRequest, UnloadAdapterRequest
from zhilu.wire.requests.base import FormRequest, Request, Truncation
from zhilu.wire.requests.chat import ChatRequest, Tool
from zhilu.wire.requests.completions import CompletionRequest
from zhilu.wire.requests.content import ROLES, Message, Part, ToolCall, unknown_role
from zhilu.wire.requests.embeddings import EmbeddingRequest
from zhilu.wire.requests.sampled import StreamOptions
from zhilu.wire.requests.tokens import DetokenizeRequest, TokenizeRequest

__all__ = [
    "ROLES",
    "ChatRequest",
    "CompletionRequest",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "FormRequest",
    "LoadAdapterRequest",
    "Message",
    "Part",
    "Refusal",
    "Request",
    "StreamOptions",
    "TokenizeRequest",
    "Tool",
    "ToolCall",
    "Truncation",
    "UnloadAdapterRequest",
    "unknown_role",
]
