/** From an engine's steps to a picture of them: rows, bars, and a file that Perfetto opens. */
import type { components } from "@/lib/api.gen";

type Schemas = components["schemas"];
export type EngineSteps = Schemas["EngineSteps"];
export type EngineStep = Schemas["EngineStep"];
type Name = Schemas["SequenceName"];

export const KINDS = ["reads", "writes", "waits", "preempted"] as const;
export type Kind = (typeof KINDS)[number];

export interface Bar {
  lane: number;
  start: number;
  end: number;
  kind: Kind;
  /** Read, written or, of those that wait, none. */
  tokens: number;
  steps: number;
}

export interface Lane {
  label: string;
  name: Name;
}

const MOST_STEPS = 4000;

/** What was there and what is new, oldest first; everything anew where the engine has been started again. */
export function joined(before: EngineSteps | undefined, news: EngineSteps): EngineSteps {
  if (!before || news.last < before.last) return news;
  return { ...news, steps: [...before.steps, ...news.steps].slice(-MOST_STEPS) };
}

const keyOf = ({ request, index }: Name) => `${request}/${index}`;

/** The steps of the last `seconds` before the newest one's end. */
export function within(steps: readonly EngineStep[], seconds: number): EngineStep[] {
  const end = steps.at(-1)?.end ?? 0;
  return steps.filter((step) => step.end > end - seconds * 1e6);
}

/** A row for each sequence, in the order in which they came, and what it did in each step. */
export function rowsOf(steps: readonly EngineStep[]): { lanes: Lane[]; bars: Bar[] } {
  const places = new Map<string, number>();
  const lanes: Lane[] = [];
  const answers = new Map<string, number>();
  const laneOf = (name: Name) => {
    const key = keyOf(name);
    const known = places.get(key);
    if (known !== undefined) return known;
    if (!answers.has(name.request)) answers.set(name.request, answers.size + 1);
    const label = `#${answers.get(name.request)}${name.index ? `.${name.index + 1}` : ""}`;
    places.set(key, lanes.length);
    lanes.push({ label, name: { request: name.request, index: name.index } });
    return lanes.length - 1;
  };
  const lost = new Set<string>();
  const bars: Bar[] = [];
  for (const step of steps) {
    const { start, end } = step;
    step.preempted.forEach((name) => lost.add(keyOf(name)));
    for (const share of step.shares) {
      lost.delete(keyOf(share));
      const kind = share.prompt ? "reads" : "writes";
      bars.push({ lane: laneOf(share), start, end, kind, tokens: share.prompt || share.written, steps: 1 });
    }
    for (const name of step.waiting) {
      const kind = lost.has(keyOf(name)) ? "preempted" : "waits";
      bars.push({ lane: laneOf(name), start, end, kind, tokens: 0, steps: 1 });
    }
  }
  return { lanes, bars };
}

/** Bars of a kind that follow each other more closely than `gap` microseconds, as one. */
export function merged(bars: readonly Bar[], gap: number): Bar[] {
  const last = new Map<number, Bar>();
  const found: Bar[] = [];
  for (const bar of bars) {
    const before = last.get(bar.lane);
    if (before && before.kind === bar.kind && bar.start - before.end <= gap) {
      before.end = bar.end;
      before.tokens += bar.tokens;
      before.steps += bar.steps;
    } else {
      const own = { ...bar };
      found.push(own);
      last.set(bar.lane, own);
    }
  }
  return found;
}

/** The trace event format, which ui.perfetto.dev and chrome://tracing open: times in microseconds. */
export function traceOf(model: string, steps: readonly EngineStep[], numBlocks: number): string {
  const { lanes, bars } = rowsOf(steps);
  const shared = { pid: 1, cat: "engine" };
  const events: Record<string, unknown>[] = [
    { ph: "M", name: "process_name", pid: 1, args: { name: `zhilu engine: ${model}` } },
    ...lanes.map(({ label, name }, lane) => ({
      ph: "M",
      name: "thread_name",
      pid: 1,
      tid: lane + 1,
      args: { name: `${label} ${name.request}` },
    })),
    ...bars.map(({ lane, start, end, kind, tokens }) => ({
      ...shared,
      ph: "X",
      name: kind,
      tid: lane + 1,
      ts: start,
      dur: end - start,
      args: { tokens },
    })),
    ...steps.flatMap((step) => [
      {
        ...shared,
        ph: "C",
        name: "blocks",
        tid: 0,
        ts: step.start,
        args: { used: numBlocks - step.free, free: step.free },
      },
      { ...shared, ph: "C", name: "waiting", tid: 0, ts: step.start, args: { sequences: step.num_waiting } },
    ]),
  ];
  return JSON.stringify({ traceEvents: events, displayTimeUnit: "ms" });
}

/** Tokens that a step read and wrote. */
export function workOf(step: EngineStep): { read: number; written: number } {
  return step.shares.reduce(
    ({ read, written }, share) => ({ read: read + share.prompt, written: written + share.written }),
    { read: 0, written: 0 },
  );
}
