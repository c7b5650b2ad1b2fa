/** Questions of this tab and their answers; they outlive other pages. */
import { stream } from "@/lib/api";
import { clear, isRunning, peek, run, stop, useStream } from "@/lib/streams";
import type { Citation, ErrorDetail } from "@/lib/types";
import type { TableAnswer } from "./api";

export interface Asked {
  id: number;
  question: string;
  answer: string;
  state: "open" | "done" | "stopped" | "failed";
  citations: Citation[];
  refused: boolean;
  table: TableAnswer | null;
  error: unknown;
}

type AskEvent =
  | { event: "retrieved"; data: { passages: Citation[] } }
  | { event: "delta"; data: { text: string } }
  | { event: "done"; data: Pick<Asked, "answer" | "refused" | "citations" | "table"> }
  | { event: "error"; data: { error: ErrorDetail } };

const HISTORY_TURNS = 4;
const NONE: readonly Asked[] = [];
const keyOf = (kb: string) => `docqa/${kb}`;

export const useAsked = (kb: string): readonly Asked[] => useStream<readonly Asked[]>(keyOf(kb)) ?? NONE;
export const stopAsk = (kb: string): void => stop(keyOf(kb));
export const clearAsked = (kb: string): void => clear(keyOf(kb));

/** Asks, and hands the finished answer to `onDone`. */
export async function ask(kb: string, question: string, onDone: (asked: Asked) => void): Promise<void> {
  const key = keyOf(kb);
  if (isRunning(key)) return;
  const before = peek<readonly Asked[]>(key) ?? NONE;
  const history = before
    .filter(({ state, table }) => state === "done" && !table)
    .slice(-HISTORY_TURNS)
    .flatMap((turn) => [
      { role: "user", content: turn.question },
      { role: "assistant", content: turn.answer },
    ]);
  const id = Math.max(0, ...before.map((one) => one.id)) + 1;
  let now: Asked = { id, question, answer: "", state: "open", citations: [], refused: false, table: null, error: null };
  const grown = (next: Partial<Asked>): readonly Asked[] => {
    now = { ...now, ...next };
    return [...before, now];
  };
  await run<readonly Asked[]>(key, async ({ signal, show, soon }) => {
    show(grown({}));
    try {
      for await (const { event, data } of stream<AskEvent>(`/docqa/${kb}/ask`, signal, { question, history })) {
        if (event === "retrieved") show(grown({ citations: data.passages }));
        else if (event === "delta") soon(grown({ answer: now.answer + data.text }));
        else if (event === "done") show(grown({ ...data, state: "done" }));
        else if (event === "error") show(grown({ error: data.error, state: "failed" }));
      }
      if (now.state === "done") onDone(now);
      return grown(now.state === "open" ? { state: "stopped" } : {});
    } catch (error) {
      return grown(signal.aborted ? { state: "stopped" } : { state: "failed", error });
    }
  });
}
