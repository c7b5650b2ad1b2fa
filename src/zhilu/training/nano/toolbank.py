"""Everyday functions with ways of asking for them, in Chinese and English, written here.

The public function-calling sets cover few domains, and the Chinese ones only six functions. Most argument values come from the
answers of the QA sets, so that they must be copied.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["BANK", "Function", "bank_record"]


@dataclass(frozen=True)
class Function:
    """``slots``: argument to what fills it. A phrase asks with some of the arguments, written ``{argument}``."""

    name: str
    about: dict[str, str]
    slots: dict[str, str]
    asked: dict[str, tuple[str, ...]]


def _function(name: str, en: str, zh: str, slots: str, asked_en: str, asked_zh: str) -> Function:
    pairs = dict(slot.split(":") for slot in slots.split())
    asked = {"en": tuple(asked_en.split(" | ")), "zh": tuple(asked_zh.split(" | "))}
    return Function(name, {"en": en, "zh": zh}, pairs, asked)


BANK = (
    _function(
        "get_weather",
        "Weather of a place",
        "查询一个地方的天气",
        "city:place date:day",
        "What is the weather in {city} {date}? | Will it rain in {city}? | weather {city} | How warm is it in {city} {date}?",
        "{city}{date}天气怎么样？ | {city}会下雨吗 | 查一下{city}的天气 | {date}{city}多少度",
    ),
    _function(
        "search_web",
        "Search the web",
        "在网上搜索",
        "query:thing",
        "Search the web for {query} | Look up {query} online | google {query} please",
        "在网上搜索{query} | 帮我搜一下{query} | 上网查查{query}",
    ),
    _function(
        "search_documents",
        "Find passages in the user's documents",
        "在用户的文档中查找段落",
        "query:thing limit:count",
        "Find {query} in my documents | Which of my files mention {query}? Show {limit}. | Search my notes for {query}",
        "在我的文档里查找{query} | 我的文件里哪里提到{query}？给我{limit}条 | 从资料中找出{query}",
    ),
    _function(
        "calculate",
        "Work out an arithmetic expression",
        "计算算术表达式",
        "expression:sum",
        "What is {expression}? | Calculate {expression} | How much is {expression}",
        "{expression}等于多少？ | 计算{expression} | 帮我算{expression}",
    ),
    _function(
        "convert_currency",
        "Convert an amount of money",
        "货币换算",
        "amount:number from_currency:currency to_currency:currency2",
        "Convert {amount} {from_currency} to {to_currency} | How much is {amount} {from_currency} in {to_currency}?",
        "把{amount}{from_currency}换成{to_currency} | {amount}{from_currency}是多少{to_currency}？",
    ),
    _function(
        "translate",
        "Translate a text",
        "翻译文本",
        "text:thing target_language:language",
        'Translate "{text}" into {target_language} | How do you say {text} in {target_language}?',
        "把“{text}”翻译成{target_language} | {text}用{target_language}怎么说？",
    ),
    _function(
        "send_email",
        "Send an email",
        "发送邮件",
        "to:email subject:thing",
        "Send an email to {to} about {subject} | Write to {to} with the subject {subject} | email {to}",
        "给{to}发邮件，主题是{subject} | 发一封邮件到{to} | 写信给{to}，标题写{subject}",
    ),
    _function(
        "send_message",
        "Send a text message to a person",
        "给联系人发短信",
        "recipient:person text:thing",
        "Tell {recipient}: {text} | Text {recipient} that {text} | Send {recipient} the message {text}",
        "告诉{recipient}：{text} | 发短信给{recipient}，内容是{text} | 给{recipient}发消息说{text}",
    ),
    _function(
        "create_event",
        "Put an event into the calendar",
        "在日历中新建日程",
        "title:thing date:day time:hour",
        "Put {title} into my calendar for {date} at {time} | Schedule {title} {date} | Add an event {title} at {time}",
        "把{title}加到日历，{date}{time} | {date}安排{title} | 新建日程{title}，时间{time}",
    ),
    _function(
        "set_reminder",
        "Remind the user of something",
        "设置提醒",
        "text:thing time:hour",
        "Remind me of {text} at {time} | Set a reminder for {time}: {text} | Don't let me forget {text}",
        "{time}提醒我{text} | 设一个提醒：{text} | 到{time}叫我{text}",
    ),
    _function(
        "set_alarm",
        "Set an alarm clock",
        "设置闹钟",
        "time:hour",
        "Wake me at {time} | Set an alarm for {time} | alarm {time}",
        "{time}叫醒我 | 设一个{time}的闹钟 | 定闹钟{time}",
    ),
    _function(
        "get_time",
        "Current time in a place",
        "查询某地的当前时间",
        "city:place",
        "What time is it in {city}? | Current time {city} | How late is it in {city} now",
        "{city}现在几点？ | {city}当前时间 | 查一下{city}的时间",
    ),
    _function(
        "get_stock_price",
        "Price of a share",
        "查询股票价格",
        "company:name",
        "What does a share of {company} cost? | Stock price of {company} | How is {company} trading today?",
        "{company}的股价是多少？ | 查询{company}股票 | {company}今天股票怎么样",
    ),
    _function(
        "play_music",
        "Play a song",
        "播放音乐",
        "song:thing artist:person",
        "Play {song} by {artist} | I want to hear {song} | Put on something by {artist}",
        "播放{artist}的{song} | 我想听{song} | 放一首{artist}的歌",
    ),
    _function(
        "book_flight",
        "Book a flight",
        "预订机票",
        "origin:place destination:place2 date:day",
        "Book a flight from {origin} to {destination} {date} | I need to fly to {destination} {date} | Flight {origin} to {destination}",
        "订一张{date}从{origin}到{destination}的机票 | 我要飞{destination} | 帮我买{origin}到{destination}的机票",
    ),
    _function(
        "find_restaurant",
        "Find restaurants",
        "查找餐馆",
        "city:place dish:thing",
        "Where can I eat {dish} in {city}? | Find a restaurant in {city} | I want {dish} near {city}",
        "{city}哪里可以吃{dish}？ | 找一家{city}的餐馆 | 想在{city}吃{dish}",
    ),
    _function(
        "read_file",
        "Read a file",
        "读取文件",
        "path:file",
        "Show me {path} | Open the file {path} | What is in {path}?",
        "打开文件{path} | 看看{path}里有什么 | 读取{path}",
    ),
    _function(
        "delete_file",
        "Delete a file",
        "删除文件",
        "path:file",
        "Delete {path} | Remove the file {path} | Please get rid of {path}",
        "删除{path} | 把文件{path}删掉 | 移除{path}",
    ),
    _function(
        "run_sql",
        "Run a query on a database table",
        "查询数据库表",
        "table:word limit:count",
        "Show {limit} rows of the table {table} | Query the table {table} | How does {table} look? {limit} rows",
        "显示表{table}的{limit}行 | 查询数据表{table} | 看一下{table}的前{limit}行",
    ),
    _function(
        "look_up_order",
        "State of an order",
        "查询订单状态",
        "order_id:code",
        "Where is my order {order_id}? | Track {order_id} | What is the state of order {order_id}",
        "我的订单{order_id}到哪了？ | 查询订单{order_id} | 订单{order_id}现在什么状态",
    ),
    _function(
        "open_ticket",
        "Open a support ticket",
        "创建工单",
        "title:thing priority:priority",
        "Open a ticket: {title}, priority {priority} | File a {priority} priority ticket for {title} | Report {title} to support",
        "建一个工单：{title}，优先级{priority} | 为{title}提交{priority}优先级的工单 | 报告问题{title}",
    ),
    _function(
        "look_up_person",
        "Facts about a person",
        "查询人物资料",
        "name:person",
        "Who is {name}? | Tell me about {name} | Look up the person {name}",
        "{name}是谁？ | 介绍一下{name} | 查询人物{name}",
    ),
    _function(
        "set_temperature",
        "Set the heating of a room",
        "设置房间温度",
        "room:room degrees:count",
        "Set the {room} to {degrees} degrees | Make it {degrees} degrees in the {room}",
        "把{room}调到{degrees}度 | {room}设成{degrees}度",
    ),
    _function(
        "add_note",
        "Write a note down",
        "记录笔记",
        "text:thing",
        "Note down: {text} | Make a note that {text} | Write down {text}",
        "记一下：{text} | 帮我记笔记：{text} | 记录{text}",
    ),
)

_FILLS: dict[str, dict[str, str]] = {
    "en": {
        "place": "Berlin|Paris|London|New York|Tokyo|Beijing|Shanghai|San Francisco|Rome|Cairo|Sydney|Toronto|Hangzhou|Oslo|Delhi|Lima",
        "day": "today|tomorrow|on Monday|on Friday|next week|on May 3|on 2026-08-14|this weekend|tonight",
        "hour": "7 am|8:30|noon|6 pm|17:45|half past nine|21:00|5:15 pm|midnight",
        "currency": "dollars|euros|yen|yuan|pounds|USD|EUR|CNY|francs",
        "language": "German|French|Chinese|Spanish|Japanese|Russian|Italian|Arabic",
        "priority": "high|low|medium|urgent",
        "room": "kitchen|bedroom|living room|office|bathroom|hall",
        "person": "Anna|Tom|Mr. Lee|Maria Lopez|my mother|John Smith|Dr. Brown|Wei|Priya|the manager",
        "name": "Apple|Tesla|Toyota|Siemens|Alibaba|Nvidia|BMW|Shell|Intel|Sony",
    },
    "zh": {
        "place": "北京|上海|杭州|广州|深圳|成都|西安|南京|武汉|东京|纽约|巴黎|伦敦|昆明|青岛|香港|重庆|柏林",
        "day": "今天|明天|后天|周一|下周五|5月3日|这个周末|今晚|2026年8月14日|星期三",
        "hour": "早上7点|8点半|中午|下午3点|17:45|晚上九点|21:00|明早六点|半夜十二点",
        "currency": "美元|欧元|日元|人民币|英镑|港币|卢布|韩元",
        "language": "英语|法语|德语|日语|西班牙语|俄语|中文|韩语",
        "priority": "高|低|中|紧急",
        "room": "厨房|卧室|客厅|书房|浴室|办公室",
        "person": "小王|张伟|李娜|妈妈|王经理|陈老师|刘洋|赵医生|周杰伦|老板",
        "name": "苹果|特斯拉|腾讯|阿里巴巴|华为|比亚迪|小米|茅台|百度|京东",
    },
}
_TYPES = {"count": "integer", "number": "number"}


def _fill(kind: str, lang: str, copied: str, rng: random.Random) -> Any:
    if kind in ("place2", "currency2"):
        kind = kind[:-1]
    if kind == "thing" or (kind in ("place", "person", "name") and rng.random() < 0.4):
        return copied
    if kind in _FILLS[lang]:
        return rng.choice(_FILLS[lang][kind].split("|"))
    if kind == "count":
        return rng.randint(1, 60)
    if kind == "number":
        return rng.choice([rng.randint(1, 5000), round(rng.uniform(0.5, 900), 2)])
    if kind == "sum":
        terms = [str(rng.randint(1, 900)) for _ in range(rng.choice([2, 2, 3]))]
        return rng.choice([" + ", " * ", " - ", "+", "*", " / "]).join(terms)
    letters = "abcdefghijklmnopqrstuvwxyz"
    word = "".join(rng.choice(letters) for _ in range(rng.randint(3, 8)))
    if kind == "email":
        return f"{word}@{rng.choice(['example.com', 'mail.org', 'zhilu.dev', 'corp.cn'])}"
    if kind == "file":
        return rng.choice(["", "docs/", "src/", "/tmp/", "data/"]) + word + rng.choice([".txt", ".md", ".py", ".csv", ".json"])  # fmt: skip
    if kind == "code":
        return rng.choice([word[:2].upper(), "ORD-", "A", "#"]) + str(rng.randint(100, 999999))
    return rng.choice(["users", "orders", "products", "events", "logs", word])


def bank_record(lang: str, copied: list[str], rng: random.Random) -> dict[str, Any]:
    """One request as the function-calling sets hold them: ``tools``, ``query``, ``calls``. ``copied``: texts to fill arguments with."""
    chosen = rng.sample(BANK, rng.choice([1, 2, 3, 4, 5, 6]))
    camel, described = rng.random() < 0.3, rng.random() < 0.5
    tools = [_tool(function, lang if rng.random() < 0.8 else "en", camel, described) for function in chosen]
    queries, calls = [], []
    for function, tool in list(zip(chosen, tools, strict=True))[: 2 if rng.random() < 0.1 else 1]:
        phrase = rng.choice(function.asked[lang])
        asked = re.findall(r"\{(\w+)\}", phrase)
        values = {name: _fill(function.slots[name], lang, rng.choice(copied), rng) for name in asked}
        queries.append(phrase.format(**values))
        in_order = {name: values[name] for name in function.slots if name in values}
        calls.append({"name": tool["name"], "arguments": in_order})
    joint = rng.choice([" And ", " Also: ", " "]) if lang == "en" else rng.choice(["，另外", "。再", "，"])
    return {"tools": tools, "query": joint.join(queries), "calls": calls, "lang": lang, "source": "bank"}


def _tool(function: Function, lang: str, camel: bool, described: bool) -> dict[str, Any]:
    properties = {
        name: {"type": _TYPES.get(kind, "string")} | ({"description": name.replace("_", " ")} if described else {})
        for name, kind in function.slots.items()
    }
    name = re.sub(r"_(\w)", lambda found: found.group(1).upper(), function.name) if camel else function.name
    schema = {"type": "object", "properties": properties, "required": list(function.slots)[:1]}
    return {"name": name, "description": function.about[lang], "parameters": schema}
