import { describe, expect, it } from "vitest";
import { EMPTY, figuresOf, grown, partsOf, type WireAnswer } from "./answer";
import { firstDifference } from "./difference";

const all = (...pieces: WireAnswer[]) => pieces.reduce(grown, EMPTY);
const said = (content: string, index = 0): WireAnswer => ({ choices: [{ index, delta: { content } }] });

describe("grown", () => {
  it("puts a stream together, choice by choice", () => {
    const usage = { completion_tokens: 3 };
    const answer = all(
      { choices: [{ index: 0, delta: {} }] },
      said("Hel"),
      said("Ja", 1),
      said("lo"),
      { choices: [{ index: 0, delta: {}, finish_reason: "length" }] },
      { choices: [], usage },
    );
    expect(answer.choices.map(({ text }) => text)).toEqual(["Hello", "Ja"]);
    expect(answer.choices[0]).toMatchObject({ finish: "length", pieces: ["Hel", "lo"] });
    expect(answer.usage).toEqual(usage);
  });

  it("reads a whole answer alike", () => {
    const answer = all({ choices: [{ index: 0, message: { content: "Hi" }, finish_reason: "stop" }] });
    expect(answer.choices[0]).toMatchObject({ text: "Hi", finish: "stop" });
  });

  it("joins the pieces of two parallel calls", () => {
    const call = (index: number, more: object): WireAnswer => ({
      choices: [{ index: 0, delta: { tool_calls: [{ index, ...more }] } }],
    });
    const { choices } = all(
      call(0, { id: "a", function: { name: "f", arguments: "" } }),
      call(0, { function: { arguments: '{"x"' } }),
      call(1, { id: "b", function: { name: "g", arguments: "{}" } }),
      call(0, { function: { arguments: ":1}" } }),
    );
    expect(choices[0]?.calls).toEqual([
      { id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } },
      { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
    ]);
  });

  it("keeps every token with its alternatives", () => {
    const token = (text: string): WireAnswer => ({
      choices: [
        {
          delta: { content: text },
          logprobs: { content: [{ token: text, logprob: -0.1, top_logprobs: [{ token: "x", logprob: -2 }] }] },
        },
      ],
    });
    const choice = all(token("a"), token("b")).choices[0];
    expect(choice?.tokens).toEqual(
      ["a", "b"].map((text) => ({ text, logprob: -0.1, top: [{ text: "x", logprob: -2 }] })),
    );
    expect(partsOf(choice)).toEqual(["a", "b"]);
  });

  it("has the error that a stream broke off with", () => {
    const error = { message: "gone", type: "t", param: null, code: null, fix: null };
    expect(all(said("He"), { error }).error).toEqual(error);
  });
});

describe("partsOf", () => {
  it("trusts the pieces where tokens do not add up to the text", () => {
    const half = { token: "\ufffd", logprob: -1 };
    const answer = all({ choices: [{ delta: { content: "中" }, logprobs: { content: [half, half] } }] });
    expect(partsOf(answer.choices[0])).toEqual(["中"]);
    expect(partsOf(undefined)).toEqual([]);
  });
});

describe("figuresOf", () => {
  it("counts decoding after the first token", () => {
    const figures = figuresOf({ started: 0, first: 500, ended: 2500 }, 11, true);
    expect(figures).toEqual({ ttft: 0.5, seconds: 2.5, rate: 5 });
  });
  it("knows no first token of an answer that came whole", () => {
    expect(figuresOf({ started: 0, first: 2000, ended: 2000 }, 10, false)).toEqual({ ttft: null, seconds: 2, rate: 5 });
  });
  it("claims no speed it cannot know", () => {
    expect(figuresOf({ started: 0, first: 5, ended: 5 }, 1, true).rate).toBeNull();
    expect(figuresOf({ started: 0, first: 5, ended: null }, 9, true)).toMatchObject({ seconds: null, rate: null });
    expect(figuresOf({ started: 0, first: 5, ended: 9 }, undefined, true).rate).toBeNull();
  });
});

describe("firstDifference", () => {
  it("finds the tokens that hold the first different character, however they are cut", () => {
    expect(
      firstDifference([
        ["The", " cat", " sat"],
        ["The c", "ar sat"],
      ]),
    ).toEqual([1, 1]);
  });
  it("points past the end of the shorter", () => {
    expect(firstDifference([["a"], ["a", "b"]])).toEqual([1, 1]);
    expect(firstDifference([[], ["b"]])).toEqual([0, 0]);
  });
  it("looks at three", () => {
    expect(
      firstDifference([
        ["a", "b"],
        ["a", "b"],
        ["a", "c"],
      ]),
    ).toEqual([1, 1, 1]);
  });
  it("is null where nothing differs", () => {
    expect(firstDifference([["a", "b"], ["ab"]])).toBeNull();
    expect(firstDifference([["a"]])).toBeNull();
  });
});
