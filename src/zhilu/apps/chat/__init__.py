"""Conversations with a model, plain or grounded in a knowledge base. They survive restarts and have branches."""

from zhilu.apps.chat.store import Conversation, ConversationStore, Message

__all__ = ["Conversation", "ConversationStore", "Message"]
