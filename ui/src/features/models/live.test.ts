import { describe, expect, it } from "vitest";
import type { LiveFigures } from "@/lib/types";
import { added, curveOf, KEPT, speedOf } from "./live";

const reading = (at: number, generated_tokens: number, prompt_tokens = 0): LiveFigures => ({
  at,
  generated_tokens,
  prompt_tokens,
  source: "engine",
  num_answered: 0,
  running: 1,
  waiting: 0,
  kv_usage: 0,
});

describe("added", () => {
  it("keeps the last ones", () => {
    let readings: LiveFigures[] = [];
    for (let n = 0; n < KEPT + 5; n++) readings = added(readings, reading(n, n));
    expect(readings).toHaveLength(KEPT);
    expect(readings.at(-1)?.at).toBe(KEPT + 4);
  });

  it("begins anew where the engine was restarted", () => {
    expect(added([reading(1, 50), reading(2, 90)], reading(3, 4))).toEqual([reading(3, 4)]);
  });

  it("ignores what is no newer", () => {
    const readings = [reading(1, 5)];
    expect(added(readings, reading(1, 5))).toEqual(readings);
  });
});

describe("speedOf", () => {
  it("is a difference over its time", () => {
    expect(speedOf([reading(1, 10, 3), reading(3, 50, 9)])).toEqual({ generated: 20, prompt: 3 });
  });
  it("needs two readings", () => {
    expect(speedOf([reading(1, 10)])).toEqual({ generated: null, prompt: null });
  });
});

it("curveOf has a point between each two", () => {
  expect(curveOf([reading(0, 0), reading(1, 10), reading(3, 10), reading(4, 15)])).toEqual([10, 0, 5]);
  expect(curveOf([])).toEqual([]);
});
