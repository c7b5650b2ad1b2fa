"""A task in three kinds of turns: which tools in which order, the arguments of the next one, and whether it is done.

A small model that sees its own calls copies them, turn after turn. So no turn shows it a call as it must write one: what was done
is told as a list (after Wang et al. 2023, Plan-and-Solve Prompting, https://arxiv.org/abs/2305.04091, and Xu et al. 2023, ReWOO,
https://arxiv.org/abs/2305.18323, which leave the arguments of a step open until the results before it are there).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zhilu.messages import T
from zhilu.prompts.agent import doubt_message
from zhilu.prompts.message import Lang

__all__ = ["StepDone", "arguments_messages", "ending_messages", "plan_messages", "which_tool_messages"]

# The example's tools are offered nowhere, and its numbers stand in no task: a small model copies what it sees.
_PLAN = T(
    en="""Tools, one a line:
{tools}

Reply with one JSON object and nothing else: a plan, which is the calls that are needed in their order, each with what it is for;
or an answer where none of these tools can do what is asked. Look up what is needed before it is used, work out what must be
worked out, and write, change or send something only where the task asks for it, once, at the end.
If the tools were price(item), calculator(expression) and note(text), then
"What do a pen and a cup cost together?" → {{"plan": [{{"tool": "price", "aim": "the price of a pen"}}, \
{{"tool": "price", "aim": "the price of a cup"}}, {{"tool": "calculator", "aim": "add both prices"}}]}}
"Note what a pen costs." → {{"plan": [{{"tool": "price", "aim": "the price of a pen"}}, {{"tool": "note", "aim": "note it"}}]}}""",
    zh="""工具，每行一个：
{tools}

只回复一个 JSON 对象，不要有别的内容：要么是计划，即按顺序需要的调用，每个说明用途；要么在没有工具能做到时直接回答。
先查到需要的内容再使用，需要计算的就计算；只有任务要求时才写入、修改或发送，而且只做一次，放在最后。
假如工具是 price(item)、calculator(expression) 和 note(text)，那么
“钢笔和杯子一共多少钱？” → {{"plan": [{{"tool": "price", "aim": "查钢笔的价格"}}, \
{{"tool": "price", "aim": "查杯子的价格"}}, {{"tool": "calculator", "aim": "把两个价格相加"}}]}}
“记下钢笔的价格。” → {{"plan": [{{"tool": "price", "aim": "查钢笔的价格"}}, {{"tool": "note", "aim": "记下它"}}]}}""",
)
_ASKED_BEFORE = T(en="(asked before: {before})", zh="（之前问过：{before}）")
_BEFORE_CHARACTERS = 200
_TASK = T(en="Task: {task}", zh="任务：{task}")
_DONE = T(en="Done so far:", zh="已经完成：")
_NOTHING = T(en="Nothing was done yet.", zh="还没有做任何事。")
_FAILED = T(en="FAILED: ", zh="失败：")
_ARGUMENTS = T(
    en="""Next step: call {tool} ({aim}).
{description}
Reply with its arguments as one JSON object. Take every value from the task or from the results above, as it stands there; leave
out optional ones that are not needed.""",
    zh="""下一步：调用 {tool}（{aim}）。
{description}
只回复它的参数，写成一个 JSON 对象。每个值都取自任务或上面的结果，原样照抄；不需要的可选参数不要填。""",
)
_IT_FAILED = T(
    en="The last call failed, so its result is not known. Say that it failed and why; make nothing up.",
    zh="最后一次调用失败了，所以没有得到它的结果。要说明失败了以及原因，不要编造。",
)
_AFTER_FAILURE = T(en="The last call failed: do it differently.", zh="上一次调用失败了：换一种做法。")
_NOT_THERE = T(
    en="{numbers} stands neither in the task nor in the results: copy the numbers from there.",
    zh="任务和结果里都没有 {numbers}：请照抄那里的数字。",
)
_ENDING = T(
    en='Is all of the task done? If it is, reply with {"answer": "one or two sentences"}: what the task asked for, with the values from '
    'the results. If something is still missing, reply with {"plan": [{"tool": "…", "aim": "…"}]}: only the calls still needed.',
    zh='任务全部完成了吗？如果完成了，回复 {"answer": "一两句话"}：说出任务要的结果，带上结果里的值。'
    '如果还缺什么，回复 {"plan": [{"tool": "…", "aim": "…"}]}：只写还需要的调用。',
)
_ONLY_ANSWER = T(
    en='Reply with {"answer": "one or two sentences"}: what the task asked for, with the values from the results; and what could not be '
    "done.",
    zh='回复 {"answer": "一两句话"}：说出任务要的结果，带上结果里的值；没能做到的也说明。',
)


# Measured with Qwen2.5-Coder-1.5B on 30 messages, zh and en: 27 right, one of them without a tool that it needed.
_WHICH = T(
    en="""Tools of this conversation:
{tools}
- none: {none}

Which one does the user's message need?
If the tools were price and none: "What does a pen cost?" → {{"tool": "price"}}; "Who painted the Mona Lisa?" → {{"tool": "none"}}; \
"Good evening" → {{"tool": "none"}}
Reply with one JSON object.""",
    zh="""这段对话的工具：
{tools}
- none: {none}

用户的消息需要哪一个？
假如工具是 price 和 none：“钢笔多少钱？” → {{"tool": "price"}}；“《蒙娜丽莎》是谁画的？” → {{"tool": "none"}}；\
“晚上好” → {{"tool": "none"}}
只回复一个 JSON 对象。""",
)
_NONE = T(en="talk, general knowledge, writing, translating, explaining", zh="闲聊、常识、写作、翻译、解释")
_NONE_BUT_WEB = T(
    en="greetings and thanks, writing, translating", zh="问候和道谢、写作、翻译"
)  # the web is asked for facts
_BEFORE = T(en="Before that, a tool was used for: {message}", zh="在此之前用工具回答了：{message}")
_MESSAGE = T(en="Message: {message}", zh="消息：{message}")


@dataclass(frozen=True)
class StepDone:
    """A call that was made and what came of it."""

    name: str
    arguments: Any
    result: str
    is_error: bool = False


def which_tool_messages(message: str, tools: Mapping[str, str], lang: Lang, before: str = "") -> list[dict[str, Any]]:
    """Whether a message of a conversation needs one of its tools at all, as {"tool": name or "none"}. ``tools``: by name what each is
    and holds; ``before``: the question before, if it was answered with tools."""
    told = "\n".join(f"- {name}: {title}" for name, title in tools.items())
    none = (_NONE_BUT_WEB if "web" in tools else _NONE).say(lang)
    said = _MESSAGE.say(lang).format(message=message)
    return [
        {"role": "system", "content": _WHICH.say(lang).format(tools=told, none=none)},
        {"role": "user", "content": f"{_BEFORE.say(lang).format(message=before)}\n{said}" if before else said},
    ]


def plan_messages(
    opening: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], lang: Lang
) -> list[dict[str, Any]]:
    """``opening``: the role, what was said before, the task. ``tools``: OpenAI's function objects, a ``title`` beside."""
    told = "\n".join(_brief(tool) for tool in tools)
    form = _PLAN.say(lang).format(tools=told)
    written = [dict(message) for message in opening]
    if written and written[0]["role"] == "system":
        written[0]["content"] = f"{written[0]['content']}\n\n{form}"
    else:
        written.insert(0, {"role": "system", "content": form})
    return written


def arguments_messages(
    opening: Sequence[Mapping[str, Any]],
    tool: Mapping[str, Any],
    aim: str,
    done: Sequence[StepDone],
    lang: Lang,
    doubt: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """For the arguments of one call. What the system message says of tools is left out: one tool is to be used. ``doubt``: numbers
    of a first try that stand nowhere."""
    described = "\n".join([str(tool.get("description") or "").strip(), *_parameters(tool)])
    said = _ARGUMENTS.say(lang).format(tool=tool["name"], aim=aim, description=described)
    if done and done[-1].is_error and done[-1].name == tool["name"]:
        said = f"{_AFTER_FAILURE.say(lang)}\n{said}"
    if doubt:
        said = f"{said}\n{_NOT_THERE.say(lang).format(numbers=', '.join(doubt))}"
    return _told(opening, done, said, lang)


def ending_messages(
    opening: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    done: Sequence[StepDone],
    lang: Lang,
    *,
    may_go_on: bool,
    doubt: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Whether the task is done, and what comes of it. ``doubt``: numbers of an answer that stand nowhere."""
    said = (_ENDING if may_go_on else _ONLY_ANSWER).say(lang)
    if doubt:
        said = f"{doubt_message(doubt, lang)}\n{said}"
    if done and done[-1].is_error:
        said = f"{_IT_FAILED.say(lang)}\n{said}"
    opening = _without_answers(opening, lang) if done else opening
    return _told(plan_messages(opening, tools, lang) if may_go_on else opening, done, said, lang)


def _without_answers(opening: Sequence[Mapping[str, Any]], lang: Lang) -> list[dict[str, Any]]:
    """The role and the task, with what was asked before it in a line: a small model that sees its last answer gives it again, whatever
    the results say now."""
    role = [dict(message) for message in opening[:1] if message["role"] == "system"]
    task = dict(opening[-1])
    before = [str(m["content"])[:_BEFORE_CHARACTERS] for m in opening[:-1] if m["role"] == "user"][-2:]
    if before:
        task["content"] = f"{task['content']}\n{_ASKED_BEFORE.say(lang).format(before=' / '.join(before))}"
    return [*role, task]


def _told(
    opening: Sequence[Mapping[str, Any]], done: Sequence[StepDone], said: str, lang: Lang
) -> list[dict[str, Any]]:
    written = [dict(message) for message in opening]
    lines = [_line(number, step, lang) for number, step in enumerate(done, 1)]
    so_far = "\n".join([_DONE.say(lang), *lines]) if lines else _NOTHING.say(lang)
    task = _TASK.say(lang).format(task=written[-1]["content"])
    written[-1] = {**written[-1], "content": f"{task}\n\n{so_far}\n\n{said}"}
    return written


def _line(number: int, step: StepDone, lang: Lang) -> str:
    given = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in _items(step.arguments))
    failed = _FAILED.say(lang) if step.is_error else ""
    return f"{number}. {step.name}({given}) → {failed}{step.result}"


def _parameters(tool: Mapping[str, Any]) -> list[str]:
    properties = (tool.get("parameters") or {}).get("properties") or {}
    told = ((name, schema.get("description")) for name, schema in properties.items() if isinstance(schema, Mapping))
    return [f"- {name}: {description}" for name, description in told if description]


def _items(arguments: Any) -> list[tuple[str, Any]]:
    return list(arguments.items()) if isinstance(arguments, Mapping) else [("", arguments)]


def _brief(tool: Mapping[str, Any]) -> str:
    """Name, arguments, and what it does: a plan needs no more."""
    given = ", ".join((tool.get("parameters") or {}).get("properties") or {})
    title = f"{tool['title']}. " if tool.get("title") else ""
    return f"{tool['name']}({given}): {title}{str(tool.get('description') or '').strip()}"
