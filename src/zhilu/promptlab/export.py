"""A version as code to take home: it runs against the gateway, or any server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import shlex
from typing import Literal, get_args

from zhilu.promptlab.template import PromptTemplate, render, variables

__all__ = ["LANGUAGES", "Language", "export"]

Language = Literal["python", "javascript", "curl"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


def export(template: PromptTemplate, model: str, base_url: str, language: Language) -> str:
    """A whole program; a variable is a parameter of its function, and of the shell an environment variable."""
    names = variables(template)
    # The places stay as they are, and the program fills them in as ``template.render`` does.
    messages = render(template, {name: f"{{{{{name}}}}}" for name in names})
    body = {
        "model": model,
        "messages": messages,
        "temperature": template.temperature,
        "max_tokens": template.max_tokens,
    }
    return {"python": _python, "javascript": _javascript, "curl": _curl}[language](body, names, base_url)


def _python(body: dict[str, object], names: list[str], base_url: str) -> str:
    parameters = ", ".join(f"{name}: str" for name in names)
    given = ", ".join(f'"{name}": {name}' for name in names)
    call = ", ".join(f'"{name} …"' for name in names)
    return f"""import re

from openai import OpenAI

client = OpenAI(base_url={base_url!r}, api_key="none")

REQUEST = {_python_value(body)}


def ask({parameters}) -> str:
    values = {{{given}}}

    def fill(text: str) -> str:
        return re.sub(r"\\{{\\{{\\s*(\\w+)\\s*\\}}\\}}", lambda place: values[place.group(1)], text)

    messages = [{{**message, "content": fill(message["content"])}} for message in REQUEST["messages"]]
    reply = client.chat.completions.create(**{{**REQUEST, "messages": messages}})
    return reply.choices[0].message.content or ""


if __name__ == "__main__":
    print(ask({call}))
"""


def _javascript(body: dict[str, object], names: list[str], base_url: str) -> str:
    call = ", ".join(f'{name}: "{name} …"' for name in names)
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: {json.dumps(base_url)}, apiKey: "none" }});

const request = {json.dumps(body, ensure_ascii=False, indent=2)};

export async function ask(values) {{
  const fill = (text) => text.replace(/\\{{\\{{\\s*([\\p{{L}}\\p{{N}}_]+)\\s*\\}}\\}}/gu, (_, name) => values[name]);
  const messages = request.messages.map((message) => ({{ ...message, content: fill(message.content) }}));
  const reply = await client.chat.completions.create({{ ...request, messages }});
  return reply.choices[0].message.content ?? "";
}}

console.log(await ask({{ {call} }}));
"""


def _curl(body: dict[str, object], names: list[str], base_url: str) -> str:
    sent = json.dumps(body, ensure_ascii=False, indent=2)
    if not names:
        return f"curl {base_url}/chat/completions -H 'Content-Type: application/json' -d {shlex.quote(sent)}\n"
    # jq writes the values into JSON: a quotation mark in one of them would break a body put together by the shell.
    values = json.dumps({name: f"{name} …" for name in names}, ensure_ascii=False)
    return f"""jq --argjson values {shlex.quote(values)} \\
  '.messages |= map(.content |= gsub("\\\\{{\\\\{{\\\\s*(?<name>\\\\w+)\\\\s*\\\\}}\\\\}}"; $values[.name]))' <<'JSON' |
{sent}
JSON
curl {base_url}/chat/completions -H 'Content-Type: application/json' -d @-
"""


def _python_value(value: object, indent: int = 0) -> str:
    """A literal as a person would write it: one line a message."""
    pad = "    " * (indent + 1)
    if isinstance(value, dict) and indent == 0:
        inside = "".join(f"{pad}{key!r}: {_python_value(one, 1)},\n" for key, one in value.items())
        return f"{{\n{inside}}}"
    if isinstance(value, list):
        inside = "".join(f"{pad}{one!r},\n" for one in value)
        return f"[\n{inside}{'    ' * indent}]"
    return repr(value)
