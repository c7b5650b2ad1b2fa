/** Requests of the playground in progress or done. They live outside the components: another page does not stop one. */
import { useSyncExternalStore } from "react";
import { openaiPost, refusal } from "@/lib/api";
import { EventParser } from "@/lib/sse";
import { EMPTY, grown, type Answer, type Timing, type WireAnswer } from "./answer";
import type { Body } from "./request";

export interface Run {
  phase: "running" | "done" | "stopped" | "failed";
  model: string;
  /** What was sent and what came back, to the letter. */
  sent: string;
  received: string;
  status: number | null;
  requestId: string | null;
  streamed: boolean;
  answer: Answer;
  timing: Timing;
  /** A refusal, or a connection that broke; what a stream itself tells is in `answer.error`. */
  error: unknown;
}

/** Beyond this an answer is shown but not kept over a reload: a browser gives a page about 5 MB. */
const MOST_KEPT = 600_000;
const STORED = "zhilu.run.";

const runs = new Map<string, Run | null>();
const aborts = new Map<string, AbortController>();
const listeners = new Set<() => void>();

function set(id: string, run: Run | null): void {
  runs.set(id, run);
  listeners.forEach((listener) => listener());
}

/** What this tab had before it was loaded again; a run that was under way then has stopped. */
function kept(id: string): Run | null {
  try {
    const run = JSON.parse(sessionStorage.getItem(STORED + id) ?? "null") as Run | null;
    return run?.answer?.choices ? { ...run, phase: run.phase === "running" ? "stopped" : run.phase } : null;
  } catch {
    return null;
  }
}

function keep(id: string, run: Run): void {
  try {
    const { error } = run;
    const plain = error instanceof Error ? ((error as { detail?: unknown }).detail ?? error.message) : error;
    const text = JSON.stringify({ ...run, error: plain });
    if (text.length <= MOST_KEPT) sessionStorage.setItem(STORED + id, text);
    else sessionStorage.removeItem(STORED + id);
  } catch {
    // Full or forbidden: the answer is on the screen all the same.
  }
}

export function runOf(id: string): Run | null {
  if (!runs.has(id)) runs.set(id, kept(id));
  return runs.get(id) ?? null;
}

export function useRun(id: string): Run | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => runOf(id),
  );
}

export function stopRun(id: string): void {
  aborts.get(id)?.abort();
}

export function clearRun(id: string): void {
  stopRun(id);
  sessionStorage.removeItem(STORED + id);
  set(id, null);
}

/** Sends `body` and fills the run `id` with what comes, until it is done, stopped or broken. */
export async function startRun(id: string, body: Body): Promise<void> {
  stopRun(id);
  const abort = new AbortController();
  aborts.set(id, abort);
  const sent = JSON.stringify(body, null, 2);
  let run: Run = {
    phase: "running",
    model: String(body.model ?? ""),
    sent,
    received: "",
    status: null,
    requestId: null,
    streamed: body.stream === true,
    answer: EMPTY,
    timing: { started: performance.now(), first: null, ended: null },
    error: null,
  };
  // A newer run under the same id owns the place; what this one still says is no longer shown.
  const isCurrent = () => aborts.get(id) === abort;
  let painting = 0;
  const show = () => {
    painting ||= requestAnimationFrame(() => {
      painting = 0;
      if (isCurrent() && run.phase === "running") set(id, run);
    });
  };
  set(id, run);
  const take = (piece: WireAnswer) => {
    const answer = grown(run.answer, piece);
    const begun = answer.choices.some((choice) => choice.text || choice.thought || choice.calls.length);
    const first = run.timing.first ?? (begun ? performance.now() : null);
    run = { ...run, answer, timing: { ...run.timing, first } };
  };
  let phase: Run["phase"] = "done";
  try {
    const response = await openaiPost("/chat/completions", sent, abort.signal);
    run = { ...run, status: response.status, requestId: response.headers.get("x-request-id") };
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (isStream && response.body) {
      const parser = new EventParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        run = { ...run, received: run.received + value };
        for (const { data } of parser.push(value)) if (data !== "[DONE]") take(JSON.parse(data) as WireAnswer);
        show();
      }
    } else {
      const text = await response.text();
      run = { ...run, received: text };
      if (!response.ok) throw refusal(response, text);
      take(JSON.parse(text) as WireAnswer);
    }
    if (run.answer.error) phase = "failed";
  } catch (error) {
    phase = abort.signal.aborted ? "stopped" : "failed";
    if (phase === "failed") run = { ...run, error };
  }
  cancelAnimationFrame(painting);
  run = { ...run, phase, timing: { ...run.timing, ended: performance.now() } };
  if (!isCurrent()) return;
  aborts.delete(id);
  set(id, run);
  keep(id, run);
}
