import { describe, expect, it } from "vitest";
import { splitThought } from "./thinking";

describe("splitThought", () => {
  it("leaves an answer without thoughts alone", () => {
    expect(splitThought("Plain, with 1 < 2.")).toEqual({ thought: null, answer: "Plain, with 1 < 2.", decided: true });
  });
  it("splits a finished thought from the answer", () => {
    expect(splitThought("<think>\nHm.\n</think>\n\nYes.")).toEqual({ thought: "Hm.", answer: "Yes.", decided: true });
    expect(splitThought("Hm.</think>Yes.")).toEqual({ thought: "Hm.", answer: "Yes.", decided: true });
  });
  it("knows a thought that goes on, and an empty one", () => {
    expect(splitThought("<think>Hm")).toEqual({ thought: "Hm", answer: "", decided: false });
    expect(splitThought("<think>\n\n</think>\n\nYes.")).toEqual({ thought: null, answer: "Yes.", decided: true });
  });
});
