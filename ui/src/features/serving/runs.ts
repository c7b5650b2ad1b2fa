/** Requests of the playground in progress or done. They live outside the components: another page does not stop one. */
import { openaiPost, refusal } from "@/lib/api";
import { EventParser } from "@/lib/sse";
import { clear, keep, peek, run, stop, useStream } from "@/lib/streams";
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

const keyOf = (id: string) => `play/${id}`;

keep<Run>(
  "play",
  (run) => ({ ...run, error: run.error instanceof Error ? plain(run.error) : run.error }),
  // A run that was under way when the tab was loaded again has stopped.
  (kept) => {
    const run = kept as Run;
    return run.answer?.choices ? { ...run, phase: run.phase === "running" ? "stopped" : run.phase } : null;
  },
);

const plain = (error: Error): unknown => (error as { detail?: unknown }).detail ?? error.message;

export function runOf(id: string): Run | null {
  return peek<Run>(keyOf(id));
}

export function useRun(id: string): Run | null {
  return useStream<Run>(keyOf(id));
}

export function stopRun(id: string): void {
  stop(keyOf(id));
}

export function clearRun(id: string): void {
  clear(keyOf(id));
}

/** Sends `body` and fills the run `id` with what comes, until it is done, stopped or broken. */
export async function startRun(id: string, body: Body): Promise<void> {
  const sent = JSON.stringify(body, null, 2);
  let now: Run = {
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
  const take = (piece: WireAnswer) => {
    const answer = grown(now.answer, piece);
    const begun = answer.choices.some((choice) => choice.text || choice.thought || choice.calls.length);
    const first = now.timing.first ?? (begun ? performance.now() : null);
    now = { ...now, answer, timing: { ...now.timing, first } };
  };
  await run<Run>(keyOf(id), async ({ signal, show, soon }) => {
    show(now);
    let phase: Run["phase"] = "done";
    try {
      const response = await openaiPost("/chat/completions", sent, signal);
      now = { ...now, status: response.status, requestId: response.headers.get("x-request-id") };
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
      if (isStream && response.body) {
        const parser = new EventParser();
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          now = { ...now, received: now.received + value };
          for (const { data } of parser.push(value)) if (data !== "[DONE]") take(JSON.parse(data) as WireAnswer);
          soon(now);
        }
      } else {
        const text = await response.text();
        now = { ...now, received: text };
        if (!response.ok) throw refusal(response, text);
        take(JSON.parse(text) as WireAnswer);
      }
      if (now.answer.error) phase = "failed";
    } catch (error) {
      phase = signal.aborted ? "stopped" : "failed";
      if (phase === "failed") now = { ...now, error };
    }
    return { ...now, phase, timing: { ...now.timing, ended: performance.now() } };
  });
}
