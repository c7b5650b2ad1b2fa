import { describe, expect, it } from "vitest";
import { FRESH, requestOf, restored, SCHEMA_EXAMPLE, TOOLS_EXAMPLE, type Draft } from "./request";

const draft = (change: Partial<Draft>): Draft => ({ ...FRESH, turns: [{ role: "user", content: "Hi" }], ...change });

describe("requestOf", () => {
  it("sends nothing that was not chosen", () => {
    const { body, problems } = requestOf(draft({ stream: false }), "nano");
    expect(body).toEqual({ model: "nano", messages: [{ role: "user", content: "Hi" }] });
    expect(problems).toEqual([]);
  });

  it("sends zero: it is a choice", () => {
    expect(requestOf(draft({ numbers: { temperature: 0 } }), "m").body.temperature).toBe(0);
  });

  it("asks a stream for its token counts", () => {
    expect(requestOf(draft({}), "m").body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  it("knows every parameter", () => {
    const numbers = {
      temperature: 0.2,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      presence_penalty: 1,
      frequency_penalty: -1,
      repetition_penalty: 1.1,
      max_tokens: 5,
      n: 2,
      seed: 7,
    };
    const chosen = draft({ numbers, system: "Be brief.", stops: ["", "\n\n"], logprobs: true, alternatives: 3 });
    expect(requestOf(chosen, "m").body).toMatchObject({
      ...numbers,
      stop: ["\n\n"],
      logprobs: true,
      top_logprobs: 3,
      messages: [{ role: "system", content: "Be brief." }, { role: "user" }],
    });
  });

  it("keeps a tool's call and its result together", () => {
    const call = { id: "call_1", type: "function" as const, function: { name: "f", arguments: "{}" } };
    const turns = [
      { role: "user" as const, content: "?" },
      { role: "assistant" as const, content: "", tool_calls: [call] },
      { role: "tool" as const, content: "4", tool_call_id: "call_1" },
    ];
    expect(requestOf(draft({ turns }), "m").body.messages).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", content: "4", tool_call_id: "call_1" },
    ]);
  });

  it("takes its own examples of tools and schema", () => {
    const { body, problems } = requestOf(
      draft({ tools: TOOLS_EXAMPLE, toolChoice: "required", format: "json_schema", schema: SCHEMA_EXAMPLE }),
      "m",
    );
    expect(problems).toEqual([]);
    expect(body).toMatchObject({ tool_choice: "required", response_format: { type: "json_schema" } });
    expect(body.tools).toEqual(JSON.parse(TOOLS_EXAMPLE));
  });

  it("names what must be mended and leaves it out", () => {
    const { body, problems } = requestOf(draft({ turns: FRESH.turns, tools: "[", format: "json_schema" }), "m");
    expect(problems.map(({ field }) => field)).toEqual(["messages", "tools", "schema"]);
    expect(body).not.toHaveProperty("tools");
    expect(body).not.toHaveProperty("response_format");
  });
});

describe("restored", () => {
  it("is fresh where nothing or nonsense was stored", () => {
    for (const nothing of [null, 3, "x", {}, { turns: "x", numbers: [], stream: "yes" }, { turns: [] }]) {
      expect(restored(nothing)).toEqual(FRESH);
    }
  });

  it("keeps what an older version stored, and what it did not know is fresh", () => {
    expect(restored({ system: "s", gone: 1 })).toEqual({ ...FRESH, system: "s" });
  });
});
