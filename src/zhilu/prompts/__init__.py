"""The product's prompts, one file per capability. The embedded model is trained on exactly what the product sends.

Every function returns chat messages (``[{"role", "content"}]``) in OpenAI's shape. The wording is short on purpose: a small
model sees it thousands of times, and a large one needs no more. Nothing here calls a model.
"""

from zhilu.prompts.agent import agent_messages, doubt_message, memory_message, opening_messages
from zhilu.prompts.chat import attached_message, chat_messages, title_messages
from zhilu.prompts.draft import draft_messages
from zhilu.prompts.grounded import (
    REFUSAL,
    Passage,
    direct_messages,
    grounded_messages,
    is_refusal,
    rewrite_messages,
    searched_content,
)
from zhilu.prompts.judge import judge_messages, read_judgement
from zhilu.prompts.longtext import (
    join_summary_messages,
    notes_messages,
    part_messages,
    part_summary_messages,
    refine_messages,
    says_none,
)
from zhilu.prompts.message import Message, language_of
from zhilu.prompts.plan import StepDone, arguments_messages, ending_messages, plan_messages, which_tool_messages
from zhilu.prompts.questions import open_question_messages, question_messages
from zhilu.prompts.summary import summary_messages

__all__ = [
    "REFUSAL",
    "Message",
    "Passage",
    "StepDone",
    "agent_messages",
    "arguments_messages",
    "attached_message",
    "chat_messages",
    "direct_messages",
    "doubt_message",
    "draft_messages",
    "ending_messages",
    "grounded_messages",
    "is_refusal",
    "join_summary_messages",
    "judge_messages",
    "language_of",
    "memory_message",
    "notes_messages",
    "open_question_messages",
    "opening_messages",
    "part_messages",
    "part_summary_messages",
    "plan_messages",
    "question_messages",
    "read_judgement",
    "refine_messages",
    "rewrite_messages",
    "says_none",
    "searched_content",
    "summary_messages",
    "title_messages",
    "which_tool_messages",
]
