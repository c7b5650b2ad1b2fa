import { describe, expect, it } from "vitest";
import { pathOf, weightsOf } from "./weights";

describe("a map", () => {
  it("is read little endian", () => {
    expect([...weightsOf(btoa("\u0001\u0000\u00ff\u00ff\u0000\u0001"))]).toEqual([1, 65535, 256]);
  });
});

describe("a curve", () => {
  it("begins at the left and fills its range", () => {
    expect(pathOf([0, 10], [0, 1], [100, 50], [0, 1])).toBe("M0.0 50.0L100.0 0.0");
  });
});
