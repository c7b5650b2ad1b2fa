import { describe, expect, it } from "vitest";
import { scale, short } from "./scale";

describe("scale", () => {
  it("puts the lowest and the highest at the ends", () => {
    const { at, ticks } = scale([0, 40, 100], 10, 110, false);
    expect([at(0), at(50), at(100)]).toEqual([10, 60, 110]);
    expect(ticks).toEqual([0, 20, 40, 60, 80, 100]);
  });

  it("makes a power a straight line", () => {
    const { at, ticks } = scale([1, 1000], 0, 300, true);
    expect(at(10)).toBeCloseTo(100);
    expect(ticks).toEqual([1, 10, 100, 1000]);
  });

  it("has a place for one value, for none, and leaves out what has no logarithm", () => {
    expect(scale([5], 0, 100, false).at(5)).toBe(50);
    expect(scale([], 0, 100, true).ticks.length).toBeGreaterThan(0);
    expect(scale([0, 1, 100], 0, 100, true).at(10)).toBeCloseTo(50);
  });

  it("keeps ticks exact", () => {
    expect(scale([0, 0.3], 0, 1, false).ticks).toEqual([0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]);
  });
});

describe("short", () => {
  it("says numbers in few letters", () => {
    expect([0, 0.25, 12, 2048, 34_500, 5e6, 0.00002].map(short)).toEqual([
      "0",
      "0.25",
      "12",
      "2050",
      "34.5k",
      "5M",
      "2e-5",
    ]);
  });
});
