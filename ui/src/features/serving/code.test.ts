import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { codeFor, pythonLiteral } from "./code";

const BASE = "http://127.0.0.1:8642/v1";
const BODY = {
  model: "zhilu-nano",
  messages: [{ role: "user", content: 'Say "你好" \\ and\n\'$HOME\' `x` """ 😀\tJSON\nJSON' }],
  temperature: 0,
  top_k: 5,
  stop: ["\n\n"],
  tools: [{ type: "function", function: { name: "f", parameters: {} } }],
  logprobs: true,
  seed: null,
};

/** The text between two marks of a program. */
const between = (text: string, from: string, to: string) =>
  text.slice(text.indexOf(from) + from.length, text.lastIndexOf(to));

describe("codeFor", () => {
  it("curl: the here-document is the request, byte for byte", () => {
    const code = codeFor("curl", BASE, BODY);
    expect(JSON.parse(between(code, "<<'JSON'\n", "\nJSON\n"))).toEqual(BODY);
    expect(code).toContain(`${BASE}/chat/completions`);
    expect(code).not.toContain("-N");
    expect(codeFor("curl", BASE, { ...BODY, stream: true })).toContain("curl -N");
  });

  it("curl: a shell gives curl that request", () => {
    const code = codeFor("curl", BASE, BODY).replace(/^curl[^]*?--data-binary @-/, "cat");
    expect(JSON.parse(execFileSync("sh", ["-c", code], { encoding: "utf-8" }))).toEqual(BODY);
  });

  it("node: the argument is the request", () => {
    const code = codeFor("node", BASE, BODY);
    const literal = between(code, "completions.create(", ");\nfor (");
    expect(new Function(`return ${literal}`)()).toEqual(BODY);
  });

  it("java: the text block is the request once its escapes are read", () => {
    const code = codeFor("java", BASE, BODY);
    const block = between(code, '"""\n', '\n        """;');
    const text = block.replace(/^ {8}/gm, "").replace(/\\(["\\])/g, "$1");
    expect(JSON.parse(text)).toEqual(BODY);
    expect(block.replace('""\\"', "")).not.toContain('"""');
  });

  it("python: what the client does not know by name is passed beside it", () => {
    const code = codeFor("python", BASE, BODY);
    expect(code).toContain('    extra_body={\n        "top_k": 5,\n    },');
    expect(code).not.toContain("    top_k=");
    expect(code).toContain("    temperature=0,");
    expect(code).toContain("    logprobs=True,");
    expect(codeFor("python", BASE, { model: "m" })).not.toContain("extra_body");
  });
});

describe("pythonLiteral", () => {
  it("writes Python's words and keeps strings", () => {
    expect(pythonLiteral({ a: [true, false, null, 1.5, []], b: {} })).toBe(
      '{\n    "a": [\n        True,\n        False,\n        None,\n        1.5,\n        [],\n    ],\n    "b": {},\n}',
    );
    expect(pythonLiteral('a"\\\n')).toBe('"a\\"\\\\\\n"');
  });
});
