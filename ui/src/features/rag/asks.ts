/** Questions put to a knowledge base in this tab, and the answer in progress; they outlive other pages and a reload. */
import type { QueryClient } from "@tanstack/react-query";
import { stream } from "@/lib/api";
import { clear, isRunning, keep, peek, run, stop, useStream } from "@/lib/streams";
import type { Citation, ErrorDetail, Verdict } from "@/lib/types";

/** The sentence in which an answer most likely stands, known before any model is asked; of passage `n`. */
export interface Likely {
  n: number;
  start: number;
  end: number;
  text: string;
}

export interface Asked {
  id: number;
  question: string;
  answer: string;
  state: "searching" | "answering" | "done" | "stopped" | "reloaded" | "failed";
  citations: Citation[];
  likely?: Likely | null;
  refused: boolean;
  /** Of a refusal before the model was asked. */
  why?: { en: string; zh: string } | null;
  verdict: Verdict | null;
  trace_id: string | null;
  /** Of a model that cannot be kept from thinking; no part of the answer. */
  thought?: string;
  thought_seconds?: number | null;
  error: unknown;
}

type AskEvent =
  | { event: "searched"; data: { pages: { url: string; title: string; error: ErrorDetail | null }[] } }
  | { event: "retrieved"; data: { passages: Citation[]; likely?: Likely | null } }
  | { event: "delta"; data: { text: string } }
  | {
      event: "done";
      data: Pick<
        Asked,
        "answer" | "refused" | "why" | "verdict" | "citations" | "trace_id" | "thought" | "thought_seconds"
      >;
    }
  | { event: "error"; data: { error: ErrorDetail } };

/** Earlier turns the server is reminded of, so that "and in 2024?" can be understood. */
const HISTORY_TURNS = 4;
const NONE: readonly Asked[] = [];
const keyOf = (kb: string) => `ask/${kb}`;

export const isOpen = ({ state }: Asked): boolean => state === "searching" || state === "answering";

keep<readonly Asked[]>(
  "ask",
  (list) => list.map((one) => (one.error instanceof Error ? { ...one, error: plain(one.error) } : one)),
  (kept) => (kept as Asked[]).map((one) => (isOpen(one) ? { ...one, state: "reloaded" } : one)),
);

const plain = (error: Error): unknown => (error as { detail?: unknown }).detail ?? error.message;

export function useAsked(kb: string): readonly Asked[] {
  return useStream<readonly Asked[]>(keyOf(kb)) ?? NONE;
}

export function stopAsk(kb: string): void {
  stop(keyOf(kb));
}

export function clearAsked(kb: string): void {
  clear(keyOf(kb));
}

export interface AskHow {
  model: string | null;
  /** Answered from a web search instead of the documents. */
  web: boolean;
}

export async function ask(queries: QueryClient, kb: string, question: string, how: AskHow): Promise<void> {
  const key = keyOf(kb);
  if (isRunning(key)) return;
  const before = peek<readonly Asked[]>(key) ?? NONE;
  const history = before
    .filter(({ state }) => state === "done")
    .slice(-HISTORY_TURNS)
    .flatMap((turn) => [
      { role: "user", content: turn.question },
      { role: "assistant", content: turn.answer },
    ]);
  let now: Asked = {
    id: Math.max(0, ...before.map(({ id }) => id)) + 1,
    question,
    answer: "",
    state: "searching",
    citations: [],
    refused: false,
    verdict: null,
    trace_id: null,
    error: null,
  };
  const grown = (next: Partial<Asked>): readonly Asked[] => {
    now = { ...now, ...next };
    return [...before, now];
  };
  const { model, web } = how;
  const path = web ? "/web/ask" : `/kbs/${kb}/ask`;
  const body = web ? { question, model } : { question, history, model };
  await run<readonly Asked[]>(key, async ({ signal, show, soon }) => {
    show(grown({}));
    try {
      for await (const { event, data } of stream<AskEvent>(path, signal, body)) {
        if (event === "retrieved")
          show(grown({ citations: data.passages, likely: data.likely ?? null, state: "answering" }));
        else if (event === "delta") soon(grown({ answer: now.answer + data.text, state: "answering" }));
        else if (event === "done") show(grown({ ...data, state: "done" }));
        else if (event === "error") show(grown({ error: data.error, state: "failed" }));
      }
      return grown(isOpen(now) ? { state: "stopped" } : {});
    } catch (error) {
      return grown(signal.aborted ? { state: "stopped" } : { state: "failed", error });
    }
  });
  void queries.invalidateQueries({ queryKey: ["traces", kb] });
}
