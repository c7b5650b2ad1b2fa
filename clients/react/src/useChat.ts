import { useCallback, useEffect, useRef, useState } from "react";
import { withFiles, type Attachment } from "./attach";
import { askKnowledge, type Source } from "./knowledge";
import { firstModel, streamChat, type Message, type ToolCall } from "./stream";
import { offered, runTool, type Tool } from "./tools";

const MOST_ROUNDS = 4; // of calls before an answer: a small model may call without end

export interface Turn {
  id: number;
  role: "user" | "assistant";
  content: string;
  files?: Attachment[];
  sources?: Source[];
  /** What the model called and what came of it, before this answer. */
  calls?: Message[];
}

export interface How {
  tools: boolean;
  /** Id of a knowledge base to answer from; empty: none. */
  kb: string;
}

/** A question that waits for the person: may this function run? */
export interface Asking {
  tool: Tool;
  written: string;
  answer: (allowed: boolean) => void;
}

/** `?model=` in the address, else VITE_ZHILU_MODEL, else the server's first. */
const chosen = () => new URLSearchParams(location.search).get("model") ?? (import.meta.env.VITE_ZHILU_MODEL as string);

/** A conversation: what was said, whether an answer is coming, what went wrong last. */
export function useChat() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const [asking, setAsking] = useState<Asking>();
  const running = useRef<AbortController | undefined>(undefined);
  const nextId = useRef(0);

  const stop = useCallback(() => running.current?.abort(), []);
  useEffect(() => stop, [stop]); // a page that is left does not keep the model busy

  const answerTo = useCallback(async (asked: Turn[], how: How) => {
    if (running.current) return;
    const abort = new AbortController();
    const { signal } = abort;
    running.current = abort;
    let answer: Turn = { id: nextId.current++, role: "assistant", content: "" };
    const show = (change: Partial<Turn>) => {
      answer = { ...answer, ...change };
      if (running.current === abort) setTurns([...asked, answer]);
    };
    /** Resolves when the person has answered; a stop is a no. */
    const allow = (written: string) => (tool: Tool) =>
      new Promise<boolean>((resolve) => {
        const done = (allowed: boolean) => {
          signal.removeEventListener("abort", no);
          setAsking(undefined);
          resolve(allowed);
        };
        const no = () => done(false);
        signal.addEventListener("abort", no);
        setAsking({ tool, written, answer: done });
      });
    show({});
    setProblem(undefined);
    setBusy(true);
    try {
      const model = chosen() ?? (await firstModel(signal));
      if (how.kb) {
        const history = asked.slice(0, -1).map(({ role, content }) => ({ role, content }));
        const parts = askKnowledge(how.kb, model, asked.at(-1)!.content, history, signal);
        for await (const { text, sources } of parts) show({ content: text, sources });
      } else {
        let tools = how.tools ? offered : [];
        for (let round = 0; round < MOST_ROUNDS; round++) {
          const messages = [...asked, answer].flatMap(messagesOf);
          const stream = streamChat(model, messages, signal, tools);
          const wanted = await eachOf(stream, (piece) => show({ content: answer.content + piece }));
          if (!wanted.length) break;
          // Small models like to call again what they have called: then, and in the last round, the answer has to come in words.
          if (round >= MOST_ROUNDS - 2 || wanted.every((call) => wasCalled(call, answer.calls ?? []))) tools = [];
          if (!tools.length) {
            show({ content: "" });
            continue;
          }
          const results: Message[] = [{ role: "assistant", content: answer.content, tool_calls: wanted }];
          for (const { id, function: f } of wanted) {
            const content = await runTool(f.name, f.arguments, allow(f.arguments));
            results.push({ role: "tool", tool_call_id: id, content });
          }
          if (signal.aborted) break;
          show({ content: "", calls: [...(answer.calls ?? []), ...results] });
        }
      }
    } catch (error) {
      if (!signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      if (running.current === abort) {
        // An answer of which nothing came is no part of the conversation: a server may refuse empty messages.
        if (!answer.content) setTurns(asked);
        running.current = undefined;
        setBusy(false);
      }
    }
  }, []);

  const send = useCallback(
    (content: string, files: Attachment[], how: How) =>
      answerTo([...turns, { id: nextId.current++, role: "user", content, files }], how),
    [turns, answerTo],
  );

  /** Answer the last question anew. */
  const again = useCallback(
    (how: How) => {
      const last = turns.findLastIndex(({ role }) => role === "user");
      return last < 0 ? undefined : answerTo(turns.slice(0, last + 1), how);
    },
    [turns, answerTo],
  );

  const clear = useCallback(() => {
    stop();
    running.current = undefined; // what still arrives belongs to nobody
    setBusy(false);
    setTurns([]);
    setProblem(undefined);
  }, [stop]);

  return { turns, busy, problem, asking, send, again, stop, clear };
}

/** Hands on each piece; returns what the stream returns. */
async function eachOf<T>(stream: AsyncGenerator<string, T>, piece: (text: string) => void): Promise<T> {
  for (;;) {
    const next = await stream.next();
    if (next.done) return next.value;
    piece(next.value);
  }
}

function wasCalled({ function: f }: ToolCall, calls: Message[]): boolean {
  const before = calls.flatMap((message) => (message.role === "assistant" ? (message.tool_calls ?? []) : []));
  return before.some((one) => one.function.name === f.name && one.function.arguments === f.arguments);
}

function messagesOf({ role, content, files = [], calls = [] }: Turn): Message[] {
  if (role === "user") return [{ role, content: withFiles(content, files) }];
  return content ? [...calls, { role, content }] : calls;
}
