/** Questions put to a knowledge base in this tab, and the answer in progress; they outlive a visit to a document. */
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { stream } from "@/lib/api";
import type { Citation, ErrorDetail, Verdict } from "@/lib/types";

export interface Asked {
  id: number;
  question: string;
  answer: string;
  state: "searching" | "answering" | "done" | "stopped" | "failed";
  citations: Citation[];
  refused: boolean;
  verdict: Verdict | null;
  trace_id: string | null;
  error: unknown;
}

type AskEvent =
  | { event: "retrieved"; data: { passages: Citation[] } }
  | { event: "delta"; data: { text: string } }
  | { event: "done"; data: Pick<Asked, "answer" | "refused" | "verdict" | "citations" | "trace_id"> }
  | { event: "error"; data: { error: ErrorDetail } };

/** Earlier turns the server is reminded of, so that "and in 2024?" can be understood. */
const HISTORY_TURNS = 4;
const NONE: readonly Asked[] = [];
const asked = new Map<string, readonly Asked[]>();
const running = new Map<string, AbortController>();
const listeners = new Set<() => void>();
let last = 0;

function put(kb: string, list: readonly Asked[]) {
  asked.set(kb, list);
  listeners.forEach((listener) => listener());
}

export function useAsked(kb: string): readonly Asked[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => asked.get(kb) ?? NONE,
  );
}

export const isOpen = ({ state }: Asked): boolean => state === "searching" || state === "answering";

export function stopAsk(kb: string): void {
  running.get(kb)?.abort();
}

export function clearAsked(kb: string): void {
  stopAsk(kb);
  put(kb, NONE);
}

export async function ask(queries: QueryClient, kb: string, question: string): Promise<void> {
  if (running.has(kb)) return;
  const abort = new AbortController();
  running.set(kb, abort);
  const before = asked.get(kb) ?? NONE;
  const history = before
    .filter(({ state }) => state === "done")
    .slice(-HISTORY_TURNS)
    .flatMap((turn) => [
      { role: "user", content: turn.question },
      { role: "assistant", content: turn.answer },
    ]);
  let now: Asked = {
    id: ++last,
    question,
    answer: "",
    state: "searching",
    citations: [],
    refused: false,
    verdict: null,
    trace_id: null,
    error: null,
  };
  const change = (next: Partial<Asked>) => {
    now = { ...now, ...next };
    const list = asked.get(kb) ?? NONE;
    if (list.some(({ id }) => id === now.id))
      put(
        kb,
        list.map((one) => (one.id === now.id ? now : one)),
      );
  };
  put(kb, [...before, now]);
  try {
    for await (const { event, data } of stream<AskEvent>(`/kbs/${kb}/ask`, abort.signal, { question, history })) {
      if (event === "retrieved") change({ citations: data.passages, state: "answering" });
      else if (event === "delta") change({ answer: now.answer + data.text, state: "answering" });
      else if (event === "done") change({ ...data, state: "done" });
      else if (event === "error") change({ error: data.error, state: "failed" });
    }
    if (isOpen(now)) change({ state: "stopped" });
  } catch (error) {
    change(abort.signal.aborted ? { state: "stopped" } : { state: "failed", error });
  } finally {
    running.delete(kb);
    listeners.forEach((listener) => listener());
    void queries.invalidateQueries({ queryKey: ["traces", kb] });
  }
}
