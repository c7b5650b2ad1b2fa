/**
 * Answers of conversations in progress. The server makes them whoever looks: a page that is loaded again, or opened in a
 * second tab, follows the one that is on its way. Messages stand in the query cache, as the server sends them.
 */
import type { QueryClient } from "@tanstack/react-query";
import { api, stream } from "@/lib/api";
import { isRunning, painter, put, run, stop, useRunning, useStream, type Line } from "@/lib/streams";
import { upsert } from "@/lib/tree";
import type {
  ChatStep,
  Citation,
  Conversation,
  ConversationSummary,
  ErrorDetail,
  Message,
  Sampling,
  Text,
} from "@/lib/types";

/** `content` a string: ask it under `parent_id`; null: answer the user message `parent_id` (again). */
export interface Ask {
  parent_id: string | null;
  content: string | null;
  params?: Sampling;
  /** Ids of files that were attached. */
  attachments?: string[];
}

/** The server refused before an answer began; afterwards the message itself bears its error. */
export interface Failed {
  ask: Ask;
  error: unknown;
}

type TurnEvent =
  | { event: "start"; data: { user: Message | null; assistant: Message } }
  | { event: "retrieved"; data: { passages: Citation[] } }
  | { event: "steps"; data: { steps: ChatStep[]; run_id: string } }
  | { event: "note"; data: { notes: Text[] } }
  | { event: "searched"; data: unknown }
  | { event: "thought"; data: { text: string } }
  | { event: "delta"; data: { text: string } }
  | { event: "done"; data: { assistant: Message; title: string | null } }
  | { event: "error"; data: { error: ErrorDetail; assistant: Message | null } };

/** A connection that broke is sought again this often, after so long: the answer goes on meanwhile. */
const TRIES = 5;
const WAIT_MS = 1_000;

const keyOf = (id: string) => `chat/${id}`;
const turnOf = (id: string) => `/conversations/${id}/turn`;
/** Conversations whose answer is to be stopped as soon as it has begun. */
const stopping = new Set<string>();

export function useTurn(id: string | undefined): { running: boolean; failed: Failed | null } {
  const key = id === undefined ? undefined : keyOf(id);
  return { running: useRunning(key), failed: useStream<Failed>(key) };
}

/** Ends the answer on the server, which keeps what came; where it cannot be reached, only here. */
export function stopTurn(id: string): void {
  stopping.add(id);
  api.delete(turnOf(id)).catch(() => stop(keyOf(id)));
}

/** Asks, and writes what comes into the query cache until the answer is done, stopped or broken. */
export async function startTurn(queries: QueryClient, id: string, ask: Ask): Promise<void> {
  if (isRunning(keyOf(id))) return;
  put(keyOf(id), null);
  const body = { ...ask, keep: true };
  await attend(queries, id, (signal) => stream<TurnEvent>(turnOf(id), signal, body), ask);
}

/** Takes up the answer that is on its way already: begun in another tab, or before this page was loaded again. */
export async function followTurn(queries: QueryClient, id: string): Promise<void> {
  if (isRunning(keyOf(id))) return;
  await attend(queries, id, (signal) => stream<TurnEvent>(turnOf(id), signal), null);
}

type Open = (signal: AbortSignal) => AsyncGenerator<TurnEvent>;

async function attend(queries: QueryClient, id: string, open: Open, ask: Ask | null): Promise<void> {
  const cache = cacheOf(queries, id);
  stopping.delete(id);
  await run<Failed>(keyOf(id), async (line) => {
    await queries.cancelQueries({ queryKey: cache.key });
    let problem = await readTurn(line, open, cache, id);
    for (let tries = 0; problem && cache.answer && tries < TRIES && !line.signal.aborted; tries++) {
      await new Promise((done) => setTimeout(done, WAIT_MS));
      problem = await readTurn(line, (signal) => stream<TurnEvent>(turnOf(id), signal), cache, id);
    }
    stopping.delete(id);
    if (problem && !line.signal.aborted) {
      if (!cache.answer) return ask && { ask, error: problem.error };
      cache.show({ ...cache.answer, status: "error", error: asDetail(problem.error) });
    } else if (line.signal.aborted && cache.answer) cache.show({ ...cache.answer, status: "stopped" });
    return null;
  });
  void queries.invalidateQueries({ queryKey: ["conversations"] });
  // How much of its files was shown is written to the question meanwhile.
  if (ask?.attachments?.length) void queries.invalidateQueries({ queryKey: cache.key });
  // An answer that ended while nobody read it, or that another process makes: its row tells.
  if (cache.answer?.status === "streaming" || (!ask && !cache.answer)) {
    setTimeout(() => void queries.invalidateQueries({ queryKey: cache.key }), cache.answer ? 0 : WAIT_MS);
  }
}

/** One conversation's messages in the query cache, and the answer that is being written. */
function cacheOf(queries: QueryClient, id: string) {
  const key = ["conversation", id];
  const write = (change: (old: Conversation) => Conversation) =>
    queries.setQueryData<Conversation>(key, (old) => old && change(old));
  return {
    key,
    answer: null as Message | null,
    show(message: Message) {
      this.answer = message;
      write((old) => ({ ...old, messages: upsert(old.messages, message) }));
    },
    begin({ user, assistant }: { user: Message | null; assistant: Message }) {
      write((old) => ({
        ...old,
        head_id: assistant.id,
        messages: user ? upsert(old.messages, user) : old.messages,
      }));
      this.show(assistant);
    },
    rename(title: string) {
      write((old) => ({ ...old, title }));
      queries.setQueryData<ConversationSummary[]>(["conversations"], (list) =>
        list?.map((one) => (one.id === id ? { ...one, title } : one)),
      );
    },
  };
}

/** Reads one stream to its end; what broke it, or null where it ended as it should. */
async function readTurn(
  { signal }: Line<Failed>,
  open: Open,
  cache: ReturnType<typeof cacheOf>,
  id: string,
): Promise<{ error: unknown } | null> {
  let answer = null as Message | null;
  const paint = painter(() => answer && cache.show(answer));
  try {
    for await (const { event, data } of open(signal)) {
      if (event === "start") {
        if (stopping.has(id)) stopTurn(id); // asked for before there was anything to stop
        answer = data.assistant;
        cache.begin(data);
      } else if (event === "thought" && answer) {
        answer = { ...answer, thought: answer.thought + data.text };
        paint.soon();
      } else if (event === "delta" && answer) {
        answer = { ...answer, content: answer.content + data.text };
        paint.soon();
      } else if (event === "steps" && answer) {
        answer = { ...answer, steps: data.steps, run_id: data.run_id };
        paint.now();
      } else if (event === "note" && answer) {
        answer = { ...answer, notes: data.notes };
        paint.now();
      } else if (event === "retrieved" && answer) {
        answer = { ...answer, citations: data.passages };
        paint.now();
      } else if (event === "done") {
        paint.never();
        cache.show(data.assistant);
        if (data.title) cache.rename(data.title);
      } else if (event === "error") {
        paint.never();
        const broken = data.assistant ?? answer;
        if (!broken) return { error: data.error };
        cache.show({ ...broken, status: "error", error: data.error });
      }
    }
    return null;
  } catch (error) {
    paint.now();
    return { error };
  }
}

function asDetail(error: unknown): ErrorDetail {
  const message = error instanceof Error ? error.message : String(error);
  return { message, type: "stream", param: null, code: null, fix: null };
}
