/** Answers in progress. They live outside the components, so that going to another page does not stop one. */
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { stream } from "@/lib/api";
import { upsert } from "@/lib/tree";
import type { Citation, Conversation, ConversationSummary, ErrorDetail, Message } from "@/lib/types";

/** `content` a string: ask it under `parent_id`; null: answer the user message `parent_id` (again). */
export interface Ask {
  parent_id: string | null;
  content: string | null;
  params?: Sampling;
}

export interface Sampling {
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
}

interface Turn {
  running: boolean;
  /** Set when the server refused before an answer began; afterwards the message itself bears its error. */
  failed: { ask: Ask; error: unknown } | null;
  stop: () => void;
}

type TurnEvent =
  | { event: "start"; data: { user: Message | null; assistant: Message } }
  | { event: "retrieved"; data: { passages: Citation[] } }
  | { event: "delta"; data: { text: string } }
  | { event: "done"; data: { assistant: Message; title: string | null } }
  | { event: "error"; data: { error: ErrorDetail; assistant: Message | null } };

const turns = new Map<string, Turn>();
const listeners = new Set<() => void>();

function set(id: string, turn: Turn | null) {
  if (turn) turns.set(id, turn);
  else turns.delete(id);
  listeners.forEach((listener) => listener());
}

export function useTurn(id: string | undefined): Turn | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => (id === undefined ? undefined : turns.get(id)),
  );
}

export function stopTurn(id: string): void {
  turns.get(id)?.stop();
}

/** Asks, and writes what comes into the query cache until the answer is done, stopped or broken. */
export async function startTurn(queries: QueryClient, id: string, ask: Ask): Promise<void> {
  if (turns.get(id)?.running) return;
  const abort = new AbortController();
  set(id, { running: true, failed: null, stop: () => abort.abort() });

  const key = ["conversation", id];
  let answer: Message | null = null;
  let failed: Turn["failed"] = null;
  const write = (change: (old: Conversation) => Conversation) =>
    queries.setQueryData<Conversation>(key, (old) => old && change(old));
  const show = (message: Message) => {
    answer = message;
    write((old) => ({ ...old, messages: upsert(old.messages, message) }));
  };
  const paint = painter(() => answer && show(answer));

  await queries.cancelQueries({ queryKey: key });
  try {
    for await (const { event, data } of stream<TurnEvent>(`/conversations/${id}/turn`, abort.signal, ask)) {
      if (event === "start") {
        write((old) => ({
          ...old,
          head_id: data.assistant.id,
          messages: data.user ? upsert(old.messages, data.user) : old.messages,
        }));
        show(data.assistant);
      } else if (event === "delta" && answer) {
        answer = { ...(answer as Message), content: (answer as Message).content + data.text };
        paint.soon();
      } else if (event === "retrieved" && answer) {
        show({ ...(answer as Message), citations: data.passages });
      } else if (event === "done") {
        paint.never();
        show(data.assistant);
        if (data.title) rename(queries, id, data.title);
      } else if (event === "error") {
        paint.never();
        if (data.assistant ?? answer) {
          show({ ...((data.assistant ?? answer) as Message), status: "error", error: data.error });
        } else failed = { ask, error: data.error };
      }
    }
  } catch (error) {
    paint.now();
    const stopped = abort.signal.aborted;
    const now = answer as Message | null;
    if (now?.status === "streaming") {
      show({ ...now, status: stopped ? "stopped" : "error", error: stopped ? null : asDetail(error) });
    } else if (!stopped && !now) failed = { ask, error };
  }
  set(id, failed && { running: false, failed, stop: () => undefined });
  void queries.invalidateQueries({ queryKey: ["conversations"] });
  // The server keeps what had arrived when it noticed the end: a stopped answer may be a few words longer there.
  if (abort.signal.aborted) setTimeout(() => void queries.invalidateQueries({ queryKey: key }), 600);
}

function asDetail(error: unknown): ErrorDetail {
  const message = error instanceof Error ? error.message : String(error);
  return { message, type: "stream", param: null, code: null, fix: null };
}

function rename(queries: QueryClient, id: string, title: string) {
  queries.setQueryData<Conversation>(["conversation", id], (old) => old && { ...old, title });
  queries.setQueryData<ConversationSummary[]>(["conversations"], (list) =>
    list?.map((one) => (one.id === id ? { ...one, title } : one)),
  );
}

/** At most one repaint a frame, however fast tokens arrive. */
function painter(draw: () => void) {
  let frame = 0;
  const never = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  return {
    soon: () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        draw();
      });
    },
    never,
    now: () => {
      never();
      draw();
    },
  };
}
