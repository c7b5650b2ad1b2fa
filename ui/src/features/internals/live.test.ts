import { describe, expect, it } from "vitest";
import { joined, merged, rowsOf, traceOf, within, workOf, type EngineStep, type EngineSteps } from "./live";

const name = (request: string, index = 0) => ({ request, index });
const share = (request: string, prompt: number, written: number) => ({
  ...name(request),
  prompt,
  guessed: 0,
  written,
  ended: false,
});
const step = (number: number, more: Partial<EngineStep>): EngineStep => ({
  number,
  start: number * 1000,
  end: number * 1000 + 900,
  shares: [],
  preempted: [],
  waiting: [],
  num_waiting: 0,
  free: 10,
  ...more,
});
const STEPS = [
  step(1, { shares: [share("a", 64, 0)], waiting: [name("b")], num_waiting: 1 }),
  step(2, { shares: [share("a", 0, 1), share("b", 32, 1)] }),
  step(3, { shares: [share("a", 0, 1)], preempted: [name("b")], waiting: [name("b")], num_waiting: 1 }),
  step(4, { shares: [share("a", 0, 2), share("b", 33, 1)] }),
];
const answer = (steps: EngineStep[], last: number): EngineSteps => ({
  now: 9000,
  last,
  steps,
  max_batch_tokens: 96,
  block_size: 16,
  num_blocks: 12,
  free: 10,
  tables: [],
});

describe("an engine's steps", () => {
  it("have a row for each sequence, and a reason for every wait", () => {
    const { lanes, bars } = rowsOf(STEPS);
    expect(lanes.map(({ label }) => label)).toEqual(["#1", "#2"]);
    expect(bars.filter(({ lane }) => lane === 1).map(({ kind }) => kind)).toEqual([
      "waits",
      "reads",
      "preempted",
      "reads",
    ]);
    expect(bars[0]).toMatchObject({ lane: 0, kind: "reads", tokens: 64, start: 1000, end: 1900 });
  });

  it("number the answers of one request under it", () => {
    const both = [step(1, { shares: [share("a", 8, 0)], waiting: [name("a", 1), name("b")] })];
    expect(rowsOf(both).lanes.map(({ label }) => label)).toEqual(["#1", "#1.2", "#2"]);
  });

  it("join to one bar where the eye could not part them, and lose no token", () => {
    const { bars } = rowsOf(STEPS);
    const writes = (gap: number) => merged(bars, gap).filter(({ lane, kind }) => lane === 0 && kind === "writes");
    expect(writes(50)).toHaveLength(3);
    expect(writes(100)).toEqual([{ lane: 0, start: 2000, end: 4900, kind: "writes", tokens: 4, steps: 3 }]);
  });

  it("go on from one reading to the next, and begin anew with a new engine", () => {
    const first = answer(STEPS.slice(0, 2), 2);
    const both = joined(first, answer(STEPS.slice(2), 4));
    expect(both.steps.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
    expect(joined(both, answer([step(1, {})], 1)).steps).toHaveLength(1);
  });

  it("are cut to the last seconds, and their work is summed", () => {
    expect(within(STEPS, 0.002).map(({ number }) => number)).toEqual([3, 4]);
    expect(within([], 5)).toEqual([]);
    expect(workOf(STEPS[3]!)).toEqual({ read: 33, written: 3 });
  });

  it("make a file of trace events", () => {
    const { traceEvents } = JSON.parse(traceOf("nano", STEPS, 12)) as { traceEvents: Record<string, unknown>[] };
    const slices = traceEvents.filter(({ ph }) => ph === "X");
    expect(slices).toHaveLength(8);
    expect(slices[0]).toMatchObject({ name: "reads", ts: 1000, dur: 900, tid: 1, pid: 1 });
    expect(traceEvents.filter(({ ph }) => ph === "C")[0]).toMatchObject({ args: { used: 2, free: 10 } });
  });
});
