import { expect, it } from "vitest";
import { readSetup, saidSetup } from "./board";

it("reads a configuration as it is written", () => {
  const read = readSetup("  passages=2 draft=true meaning=0.3 answers=bold ");
  expect(read).toEqual({ passages: 2, draft: true, meaning: 0.3, answers: "bold" });
  expect(saidSetup(read)).toBe("passages=2 draft=true meaning=0.3 answers=bold");
  expect(readSetup("")).toEqual({});
});
