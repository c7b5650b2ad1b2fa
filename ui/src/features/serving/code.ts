/** A request as programs that send exactly it: the official clients of Python and Node, the JDK alone, curl. */
import type { Body } from "./request";

export type Language = "python" | "node" | "java" | "curl";
export const LANGUAGES: readonly { value: Language; label: string; grammar: string }[] = [
  { value: "python", label: "Python", grammar: "python" },
  { value: "node", label: "Node", grammar: "javascript" },
  { value: "java", label: "Java", grammar: "java" },
  { value: "curl", label: "curl", grammar: "bash" },
];

/** vLLM's extras, which the typed clients take beside their own parameters. */
const EXTRAS = ["top_k", "min_p", "repetition_penalty"];

/** `base` is the address of the API, with `/v1`. */
export function codeFor(language: Language, base: string, body: Body): string {
  return { python, node, java, curl }[language](base, body);
}

const indented = (text: string, by: number) => text.replace(/\n/g, `\n${" ".repeat(by)}`);

/** A JSON value as a Python expression; JSON's string escapes are all Python's too. */
export function pythonLiteral(value: unknown, indent = 0): string {
  const inner = " ".repeat(indent + 4);
  const end = `\n${" ".repeat(indent)}`;
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    return `[${value.map((item) => `\n${inner}${pythonLiteral(item, indent + 4)},`).join("")}${end}]`;
  }
  if (typeof value === "object") {
    const pairs = Object.entries(value).filter(([, item]) => item !== undefined);
    if (!pairs.length) return "{}";
    const lines = pairs.map(([key, item]) => `\n${inner}${JSON.stringify(key)}: ${pythonLiteral(item, indent + 4)},`);
    return `{${lines.join("")}${end}}`;
  }
  return JSON.stringify(value);
}

function python(base: string, body: Body): string {
  const entries = Object.entries(body);
  const own = entries.filter(([key]) => !EXTRAS.includes(key));
  const extra = Object.fromEntries(entries.filter(([key]) => EXTRAS.includes(key)));
  const lines = own.map(([key, value]) => `    ${key}=${pythonLiteral(value, 4)},`);
  if (Object.keys(extra).length) lines.push(`    extra_body=${pythonLiteral(extra, 4)},`);
  const read = body.stream
    ? `for chunk in answer:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
print()`
    : `for choice in answer.choices:
    print(choice.message.content or choice.message.tool_calls)`;
  return `# pip install openai
import os

from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(base)}, api_key=os.environ.get("ZHILU_API_KEY", "none"))
answer = client.chat.completions.create(
${lines.join("\n")}
)
${read}
`;
}

function node(base: string, body: Body): string {
  const read = body.stream
    ? `for await (const chunk of answer) {
  for (const choice of chunk.choices) process.stdout.write(choice.delta.content ?? "");
}
console.log();`
    : `for (const { message } of answer.choices) console.log(message.content ?? message.tool_calls);`;
  return `// npm install openai; save as chat.mjs
import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.ZHILU_API_KEY ?? "none" });
const answer = await client.chat.completions.create(${JSON.stringify(body, null, 2)});
${read}
`;
}

function java(base: string, body: Body): string {
  // In a text block a backslash begins an escape, and three quotes would end it.
  const json = JSON.stringify(body, null, 2).replaceAll("\\", "\\\\").replaceAll('"""', '""\\"');
  return `// java Chat.java   (JDK 17 or later, nothing else)
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Objects;

public class Chat {
    static final String REQUEST = """
        ${indented(json, 8)}
        """;

    public static void main(String[] args) throws Exception {
        String key = Objects.requireNonNullElse(System.getenv("ZHILU_API_KEY"), "none");
        HttpRequest request = HttpRequest.newBuilder(URI.create(${JSON.stringify(`${base}/chat/completions`)}))
            .header("Content-Type", "application/json")
            .header("Authorization", "Bearer " + key)
            .POST(HttpRequest.BodyPublishers.ofString(REQUEST))
            .build();
        HttpClient.newHttpClient().send(request, BodyHandlers.ofLines()).body().forEach(System.out::println);
    }
}
`;
}

function curl(base: string, body: Body): string {
  return `curl ${body.stream ? "-N " : ""}${base}/chat/completions \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer \${ZHILU_API_KEY:-none}" \\
  --data-binary @- <<'JSON'
${JSON.stringify(body, null, 2)}
JSON
`;
}
