"""Short rows beside grounded answering: chat, titles, summaries, follow-up rewriting, function calls.

The texts are written here, in Chinese and English.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

from zhilu.prompts import chat_messages, rewrite_messages, summary_messages, title_messages
from zhilu.training.nano.tasks import Conversation, sentences

__all__ = ["TALK", "chat_row", "is_learnable", "rewrite_row", "short_title", "summary_row", "title_row", "tool_row"]

_WHO = {
    "en": "I am zhilu-nano, the small model inside Zhilu. I answer best from your own documents.",
    "zh": "我是 zhilu-nano，指路自带的小模型。我最擅长根据你的文档回答问题。",
}
_CAN = {
    "en": "Zhilu runs and serves models on your machine, answers from your documents with citations, tunes models and builds agents.",
    "zh": "指路可以在你的电脑上运行和部署模型，根据你的文档回答并注明出处，还能微调模型、搭建智能体。",
}
_PULL = {
    "en": "Run `zhilu model pull Qwen/Qwen3-0.6B`, or use the Models page. Then choose it in the chat.",
    "zh": "运行 `zhilu model pull Qwen/Qwen3-0.6B`，或打开“模型”页面。然后在对话中选择它。",
}
_DOCS = {
    "en": "Open the Knowledge page, create a knowledge base and add your files. Then ask, and I will cite the passage.",
    "zh": "打开“知识库”页面，新建一个知识库并加入文件。然后提问，我会注明出处。",
}
_UNKNOWN = {
    "en": "I am a very small model and know little by heart. Add documents and ask again, "
    "or pull a stronger model: `zhilu model pull Qwen/Qwen3-0.6B`.",
    "zh": "我是一个很小的模型，记住的知识很少。请加入文档后再问，或拉取更强的模型：`zhilu model pull Qwen/Qwen3-0.6B`。",
}
TALK: dict[str, list[tuple[list[str], str]]] = {
    "en": [
        (
            ["hi", "hello", "hey", "hello there", "good morning", "good evening", "hi zhilu", "hey there", "greetings"],
            "Hello! I am Zhilu. How can I help you?",
        ),
        (
            [
                "who are you",
                "what are you",
                "what is your name",
                "tell me about yourself",
                "introduce yourself",
                "are you an AI",
                "which model is this",
            ],
            _WHO["en"],
        ),
        (
            [
                "what can you do",
                "what can zhilu do",
                "how can you help me",
                "what is zhilu",
                "help",
                "what is this",
                "tell me what you can do",
            ],
            _CAN["en"],
        ),
        (
            [
                "how do I use a stronger model",
                "how to pull a model",
                "can I use a better model",
                "how do I get a bigger model",
                "how do I download Qwen3",
                "your answers are bad",
            ],
            _PULL["en"],
        ),
        (
            [
                "how do I add documents",
                "how do I ask about my files",
                "how to build a knowledge base",
                "can you read my PDF",
                "how do I upload a file",
            ],
            _DOCS["en"],
        ),
        (
            ["thanks", "thank you", "thank you very much", "great, thanks", "that helps, thanks", "thx"],
            "You are welcome!",
        ),
        (["bye", "goodbye", "see you", "good night", "see you later"], "Goodbye! Come back any time."),
        (
            ["how are you", "how is it going", "how are you today"],
            "I am running well, thank you. What would you like to know?",
        ),
        (
            ["do you speak chinese", "can you speak chinese", "which languages do you speak"],
            "Yes, I speak Chinese and English.",
        ),
        (
            ["are you offline", "do you need the internet", "is my data safe", "where do you run"],
            "I run on your own machine and need no internet.",
        ),
    ],
    "zh": [
        (
            ["你好", "您好", "嗨", "早上好", "晚上好", "你好呀", "哈喽", "在吗", "你好，指路"],
            "你好！我是指路。有什么可以帮你？",
        ),
        (
            [
                "你是谁",
                "你叫什么名字",
                "介绍一下你自己",
                "你是什么",
                "你是什么模型",
                "请做个自我介绍",
                "你是人工智能吗",
            ],
            _WHO["zh"],
        ),
        (
            [
                "你能做什么",
                "指路能做什么",
                "你会什么",
                "指路是什么",
                "怎么用",
                "帮助",
                "你可以帮我做什么",
                "这是什么软件",
            ],
            _CAN["zh"],
        ),
        (
            [
                "怎么用更强的模型",
                "怎么拉取模型",
                "如何下载模型",
                "能换个大模型吗",
                "怎么下载 Qwen3",
                "你回答得不好",
                "怎样换模型",
            ],
            _PULL["zh"],
        ),
        (
            ["怎么添加文档", "怎么问我的文件", "如何建知识库", "你能读 PDF 吗", "怎么上传文件", "怎样加入资料"],
            _DOCS["zh"],
        ),
        (["谢谢", "谢谢你", "多谢", "非常感谢", "好的，谢谢", "太好了，谢谢"], "不客气！"),
        (["再见", "拜拜", "晚安", "回头见", "下次见"], "再见！欢迎随时回来。"),
        (["你好吗", "最近怎么样", "你今天怎么样"], "我运行得很好，谢谢。你想知道什么？"),
        (["你会说英语吗", "你会说中文吗", "你会哪些语言"], "会，我会说中文和英文。"),
        (["你需要联网吗", "我的数据安全吗", "你在哪里运行", "要上网吗"], "我在你自己的电脑上运行，不需要联网。"),
    ],
}
_END = {"en": ["", "?", "!", "."], "zh": ["", "？", "！", "。"]}


def chat_row(lang: str, strange: str, rng: random.Random) -> Conversation:
    """One to three turns of small talk; ``strange`` is a question of knowledge, which the model says it does not know."""
    turns: Conversation = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if rng.random() < 0.2:
            turns += [{"role": "user", "content": strange}, {"role": "assistant", "content": _UNKNOWN[lang]}]
            continue
        asked, reply = rng.choice(TALK[lang])
        text = rng.choice(asked) + rng.choice(_END[lang])
        text = text[0].upper() + text[1:] if rng.random() < 0.6 else text
        turns += [{"role": "user", "content": text}, {"role": "assistant", "content": reply}]
    if rng.random() < 0.1:  # a client that sends no system prompt
        return turns
    return [dict(m) for m in chat_messages([turns[0]], "zh" if lang == "zh" else "en")] + turns[1:]  # type: ignore[list-item]


def short_title(question: str, lang: str) -> str:
    """A title made of the question's own words: question words and marks left out, at most 8 words or 12 characters."""
    text = question.strip().rstrip("?？.。!！")
    if lang == "zh":
        text = re.sub(r"^(?:请问|请|关于)", "", text)
        text = re.sub(
            r"(?:是)?(?:什么时候|什么|哪一年|哪里|哪个|哪些|多少|如何|怎么样|怎样|为什么|谁|何时|吗|呢)+", "", text
        )
        return text[:12].strip("，、的是在“”")
    text = re.sub(
        r"^(?:what|who|when|where|which|why|how)(?: (?:many|much|is|are|was|were|do|does|did|can|the|a|an))*\s+",
        "",
        text,
        flags=re.IGNORECASE,
    )
    text = " ".join(text.split()[:6]).strip(",;:")
    return text[:1].upper() + text[1:]


def title_row(question: str, lang: str) -> Conversation:
    """First message to title."""
    reply = short_title(question, lang)
    return [
        *[dict(m) for m in title_messages(question, "zh" if lang == "zh" else "en")],
        {"role": "assistant", "content": reply},
    ]


def summary_row(text: str, lang: str) -> Conversation:
    """Text to its opening sentence (with the second one where both are short): the lead is a strong extractive summary."""
    parts = sentences(text, lang)
    size = 60 if lang == "zh" else 160
    lead = parts[0] + (parts[1] if len(parts) > 3 and len(parts[0]) + len(parts[1]) < size else "")
    return [
        *[dict(m) for m in summary_messages(text, "zh" if lang == "zh" else "en")],
        {"role": "assistant", "content": lead.strip()},
    ]


def rewrite_row(record: dict[str, Any]) -> Conversation:
    """Follow-up question to standalone question. Histories alternate question, answer; the product sends questions only."""
    lang: Any = record["lang"]
    history = record["history"][::2] if len(record["history"]) > 1 else record["history"]
    return [
        *[dict(m) for m in rewrite_messages(history, record["question"], lang)],
        {"role": "assistant", "content": record["rewrite"]},
    ]


_NO_TOOL = {"en": "None of my tools fits this.", "zh": "没有合适的工具。"}
_SYSTEM = {
    "en": ("You are a helpful assistant.", "You are an assistant that uses tools.", "Answer briefly. Use the tools."),
    "zh": ("你是一个乐于助人的助手。", "你是会使用工具的助手。", "请简短回答，需要时调用工具。"),
}
_READ_BACK = {"en": "The {name} is {value}.", "zh": "{name}是{value}。"}


def is_learnable(record: dict[str, Any]) -> bool:
    """True where every argument stands in the conversation, is one of the schema's choices, or is a number or a truth value.

    A value worked out from elsewhere (a date made of "tomorrow") teaches a model of this size to invent.
    """
    if len(record["calls"]) > 3:
        return False
    said = " ".join([*(turn["content"] for turn in record.get("history") or ()), record["query"]]).lower()
    schemas = {tool["name"]: tool["parameters"]["properties"] for tool in record["tools"]}
    for call in record["calls"]:
        for name, value in call["arguments"].items():
            choices = [str(choice).lower() for choice in schemas[call["name"]].get(name, {}).get("enum", ())]
            given = str(value).lower()
            if isinstance(value, (list, dict)) or not (isinstance(value, bool) or given in said or given in choices):
                return False
    return True


def tool_row(
    record: dict[str, Any], rng: random.Random, budget: int = 512
) -> tuple[Conversation, list[dict[str, Any]]]:
    """A function call: the wanted tools among others, in about ``budget`` tokens; or none of them fits; or a result is read back."""
    lang = record["lang"]
    wanted = {call["name"] for call in record["calls"]}
    calls = record["calls"]
    if calls and rng.random() < 0.12:
        calls = []  # the wanted tool is taken away
    others = [t for t in record["tools"] if t["name"] not in wanted]
    rng.shuffle(others)
    chosen = [t for t in record["tools"] if t["name"] in wanted and calls]
    most = rng.randint(1, 2) if budget <= 256 else rng.choice([1, 2, 2, 3, 3, 4, 4, 5, 7])
    chosen += others[: max(0 if chosen else 1, most - len(chosen))]
    rng.shuffle(chosen)
    if not chosen:
        return [], []
    short = budget <= 256 or rng.random() < 0.5
    tools = [_signature(tool, calls, short, rng) for tool in chosen]
    turns: Conversation = []
    if record.get("history"):
        turns = [dict(turn) | {"learned": False} for turn in record["history"]]
        if budget <= 256:
            turns = turns[-2:]
    turns.append({"role": "user", "content": record["query"]})
    if rng.random() < 0.3:
        turns.insert(0, {"role": "system", "content": rng.choice(_SYSTEM[lang])})
    if not calls:
        return [*turns, {"role": "assistant", "content": _NO_TOOL[lang]}], tools
    made = [
        {
            "type": "function",
            "function": {"name": c["name"], "arguments": json.dumps(c["arguments"], ensure_ascii=False)},
        }
        for c in calls
    ]
    turns.append({"role": "assistant", "content": "", "tool_calls": made})
    if rng.random() < 0.2:
        result = _result(calls[0], rng)
        turns.append({"role": "tool", "content": json.dumps(result, ensure_ascii=False)})
        said = [_READ_BACK[lang].format(name=n.replace("_", " "), value=v) for n, v in result.items()]
        turns.append({"role": "assistant", "content": (" " if lang == "en" else "").join(said)})
    return turns, tools


def _signature(tool: dict[str, Any], calls: list[dict[str, Any]], short: bool, rng: random.Random) -> dict[str, Any]:
    """The tool as the product lists it; ``short`` leaves descriptions and most unused parameters out."""
    schema = tool["parameters"]
    if short:
        used = [n for n in schema["properties"] if any(n in c["arguments"] for c in calls)]
        spare = [n for n in schema["properties"] if n not in used]
        kept = {*used, *rng.sample(spare, min(3, len(spare)))}
        slim = {n: {"type": p.get("type", "string")} for n, p in schema["properties"].items() if n in kept}
        schema = {"type": "object", "properties": slim}
    function = {"name": tool["name"], "description": tool["description"], "parameters": schema}
    return {"type": "function", "function": function}


def _result(call: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """What a tool might answer: one or two of its arguments back, or a made figure."""
    given = [(n, v) for n, v in call["arguments"].items() if isinstance(v, (str, int, float))]
    rng.shuffle(given)
    figures = [
        ("price", rng.randint(3, 900)),
        ("temperature", rng.randint(-9, 40)),
        ("status", "ok"),
        ("count", rng.randint(1, 50)),
    ]
    return dict([*given[: rng.randint(0, 1)], rng.choice(figures)])
