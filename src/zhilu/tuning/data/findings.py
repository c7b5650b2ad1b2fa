"""Problems of one kind as one finding: what it is, how often, where, and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import BaseModel

from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.tuning.data.records import Problem, Severity

__all__ = ["TITLES", "Finding", "group"]

_LINES = 20  # that are named
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "hint": 2}
TITLES: dict[str, T] = {
    "all_masked": T("nothing would be learned", "什么也学不到"),
    "bad_columns": T("columns do not fit", "列不对"),
    "bad_content": T("a content that is no text", "内容不是文本"),
    "bad_csv": T("not CSV", "不是 CSV"),
    "bad_history": T("a history that cannot be read", "历史无法读取"),
    "bad_json": T("not JSON", "不是 JSON"),
    "bad_label": T("a label that says neither yes nor no", "标签既非是也非否"),
    "bad_message": T("not a message", "不是消息"),
    "bad_tool_call": T("a tool call that cannot be read", "工具调用无法读取"),
    "bad_tools": T("tools that cannot be read", "工具无法读取"),
    "bad_workbook": T("not a workbook", "不是工作簿"),
    "contradiction": T("one question, two answers", "同一问题，两种回答"),
    "duplicate": T("the same row again", "重复的行"),
    "duplicate_id": T("an id that stands twice", "id 重复"),
    "empty_answer": T("an empty answer", "空回答"),
    "empty_question": T("an empty question", "空问题"),
    "empty_text": T("an empty text", "空文本"),
    "eval_leak": T("the evaluation is in the training data", "评测数据出现在训练数据中"),
    "line_too_long": T("a row that is far too long", "行过长"),
    "lone_surrogate": T("half a character", "半个字符"),
    "missing_role": T("a message without a role", "消息没有角色"),
    "mixed_formats": T("more than one format", "格式混杂"),
    "near_duplicate": T("nearly the same row again", "近似重复的行"),
    "never_ends": T("the end would not be learned", "学不到结束"),
    "no_answer": T("an answer is missing", "缺少回答"),
    "no_column": T("a column is missing", "缺少列"),
    "no_messages": T("a row without messages", "没有消息的行"),
    "no_prompt": T("a prompt is missing", "缺少提示词"),
    "no_rows": T("no rows", "没有行"),
    "no_template": T("the model has no chat template", "模型没有对话模板"),
    "not_an_object": T("a row that is no object", "行不是对象"),
    "not_text_part": T("images or sound, for a model that reads text", "含图像或声音，而模型只读文本"),
    "not_utf8": T("not UTF-8", "不是 UTF-8"),
    "other_sheets": T("sheets that are not read", "未读取的工作表"),
    "personal_card": T("personal data: card numbers", "个人数据：银行卡号"),
    "personal_email": T("personal data: e-mail addresses", "个人数据：邮箱"),
    "personal_phone": T("personal data: mobile numbers", "个人数据：手机号"),
    "personal_resident": T("personal data: identity numbers", "个人数据：身份证号"),
    "personal_secret": T("secrets", "密钥"),
    "prompt_differs": T("trained behind another prompt than served", "训练与服务的提示词不同"),
    "role_order": T("messages in an impossible order", "消息顺序不可能"),
    "same_answers": T("nothing to prefer", "没有可比较的偏好"),
    "template_refuses": T("the model's template refuses the messages", "模型的模板拒绝这些消息"),
    "too_long": T("longer than the context", "超出上下文"),
    "unknown_format": T("no known format", "未知格式"),
    "unknown_key": T("a misspelt key", "键拼写有误"),
    "unknown_role": T("an unknown role", "未知角色"),
    "unknown_tool": T("a call of a tool that is not offered", "调用了未提供的工具"),
    "unread_key": T("keys that are not read", "未读取的键"),
}


class Finding(BaseModel):
    """All problems of one kind. ``lines`` are the first of ``count``; ``message`` is the first line's."""

    code: str
    severity: Severity
    title: Text
    count: int
    lines: list[int]
    message: Text
    fix: str | None = None


def group(problems: Sequence[Problem]) -> list[Finding]:
    """The worst and the most frequent first."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.code].append(problem)
    findings = []
    for code, found in kinds.items():
        found.sort(key=lambda problem: problem.line)
        first = found[0]
        lines = [problem.line for problem in found[:_LINES]]
        findings.append(
            Finding(
                code=code, severity=first.severity, title=TITLES[code], count=len(found),
                lines=lines, message=first.message, fix=first.fix,
            )
        )  # fmt: skip
    return sorted(findings, key=lambda finding: (_ORDER[finding.severity], -finding.count, finding.code))
