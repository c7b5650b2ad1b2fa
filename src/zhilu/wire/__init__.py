"""The OpenAI wire in one place: request models that refuse what they do not know, reply builders, SSE framing.

Used by our engine's server and by the gateway, so both refuse the same things with the same words. A request passes two
doors: ``parse_request`` (is every field known, well-typed and in range?) and ``refuse_beyond`` (can *this* engine honour
it? ``CAPABILITIES`` is the table).
"""

from zhilu.wire.capabilities import CAPABILITIES, OWN_ENGINE, Capability, refuse_beyond, refuse_endpoint
from zhilu.wire.constraints import Constraint
from zhilu.wire.doors import NotJsonError, check_encoding, check_media_type, parse_json, parse_request
from zhilu.wire.replies import (
    HOLE,
    SSE_DONE,
    FinishReason,
    TokenLogprob,
    chat_chunk,
    chat_completion,
    chat_logprobs,
    embedding_list,
    model_list,
    new_id,
    sse,
    sse_error,
    sse_frame,
    text_completion,
    text_logprobs,
    usage,
)
from zhilu.wire.requests import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    EmbeddingRequest,
    LoadAdapterRequest,
    Message,
    Request,
    StreamOptions,
    TokenizeRequest,
    Tool,
    ToolCall,
    UnloadAdapterRequest,
)

__all__ = [
    "CAPABILITIES",
    "HOLE",
    "OWN_ENGINE",
    "SSE_DONE",
    "Capability",
    "ChatRequest",
    "CompletionRequest",
    "Constraint",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "FinishReason",
    "LoadAdapterRequest",
    "Message",
    "NotJsonError",
    "Request",
    "StreamOptions",
    "TokenLogprob",
    "TokenizeRequest",
    "Tool",
    "ToolCall",
    "UnloadAdapterRequest",
    "chat_chunk",
    "chat_completion",
    "chat_logprobs",
    "check_encoding",
    "check_media_type",
    "embedding_list",
    "model_list",
    "new_id",
    "parse_json",
    "parse_request",
    "refuse_beyond",
    "refuse_endpoint",
    "sse",
    "sse_error",
    "sse_frame",
    "text_completion",
    "text_logprobs",
    "usage",
]
