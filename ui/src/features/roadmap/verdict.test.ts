import { describe, expect, it } from "vitest";
import { isBehind, lookOf, wordOf } from "./verdict";

describe("a verdict", () => {
  it("is behind one when it passed or the machine forbids it, and only then", () => {
    expect(isBehind({ status: "passed", because: null })).toBe(true);
    expect(isBehind({ status: "cannot_run_here", because: "machine" })).toBe(true);
    expect(isBehind({ status: "cannot_run_here", because: null })).toBe(true); // evidence of an older version
    for (const because of ["component", "setting", "missed"] as const) {
      expect(isBehind({ status: "cannot_run_here", because })).toBe(false);
    }
    expect(isBehind({ status: "not_yet", because: null })).toBe(false);
  });

  it("says what it lacks instead of “cannot run here”", () => {
    expect(wordOf({ status: "cannot_run_here", because: "component" })).toBe("roadmap.because.component");
    expect(wordOf({ status: "cannot_run_here", because: "machine" })).toBe("roadmap.status.cannot_run_here");
    expect(lookOf({ status: "cannot_run_here", because: "component" })).toBe("not_yet");
    expect(lookOf({ status: "cannot_run_here", because: "missed" })).toBe("failed");
  });
});
