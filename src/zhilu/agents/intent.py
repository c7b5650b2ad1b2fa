"""Whether a task asks for something to be changed, from its words.

A small model plans to write its answer into a file that nobody asked for, and over the file it has just read. Where a task is a
question without any word for changing, such steps are left out of a first plan; a later plan may have them, so that a task in
words that are not known here is only slower.
"""

from __future__ import annotations

import re

__all__ = ["only_asks"]

_QUESTION = re.compile(r"[?？][\s\"'”’）)]{0,4}$|[吗呢]$")
_CHANGE_EN = re.compile(
    r"\b(?:writ|sav|stor|add(?:s|ed|ing)?\b|append|insert|chang|updat|set\b|put\b|replac|renam|edit|correct|fix|mend|delet|remov|eras"
    r"|clear|cancel|creat|mak|record|not(?:e|ing)\b|log\b|mark|send|mail|post|book|order\b|reserv|pay\b|mov|cop|run\b|execut|start|stop"
    r"|turn|switch|remember|forget|increas|decreas|reduc|rais|lower|file\b.{0,20}\bas\b)",
    re.IGNORECASE,
)
_CHANGE_ZH = re.compile(
    r"写[入进到下成]|写一|写个|保存|存[入到成为]|记[下录入到住]|添加|追加|加[入到进上]|插入|补[上充]|修改|改[成为正到]|更[新改正]|设[为成置]|替换"
    r"|换成|重命名|删|移除|去掉|清空|取消|创建|新建|建立|生成|发[送给到]|预[订定约]|下单|支付|付款|移动|复制|运行|执行|启动|停止|打开|关[闭上掉]"
    r"|标记|登记|增加|减少|提高|降低|调[高低整]|忘[掉记]"
)


def only_asks(task: str) -> bool:
    """A question that asks for no change."""
    last = task.strip()[-200:]
    return bool(_QUESTION.search(last)) and not _CHANGE_EN.search(task) and not _CHANGE_ZH.search(task)
