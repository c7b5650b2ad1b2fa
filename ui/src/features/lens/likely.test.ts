import { describe, expect, it } from "vitest";
import { likeliest } from "./api";

describe("the likeliest tokens", () => {
  it("are read from either endpoint, the likeliest first", () => {
    const pair = (token: string, probability: number) => ({ token, logprob: Math.log(probability) });
    const chat = { choices: [{ logprobs: { content: [{ top_logprobs: [pair("a", 0.2), pair("b", 0.7)] }] } }] };
    const plain = { choices: [{ logprobs: { top_logprobs: [{ a: Math.log(0.2), b: Math.log(0.7) }] } }] };
    for (const answer of [chat, plain]) {
      const found = likeliest(answer);
      expect(found.map(({ text }) => text)).toEqual(["b", "a"]);
      expect(found[0]?.probability).toBeCloseTo(0.7);
    }
  });

  it("are none where the answer tells none", () => {
    expect(likeliest({ choices: [{ logprobs: null }] })).toEqual([]);
    expect(likeliest({ choices: [] })).toEqual([]);
  });
});
