import { useCallback, useEffect, useRef, useState } from "react";
import { firstModel, streamChat, type Message } from "./stream";

export interface Turn extends Message {
  id: number;
}

/** A conversation: what was said, whether an answer is coming, what went wrong last. */
export function useChat() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const running = useRef<AbortController | undefined>(undefined);
  const nextId = useRef(0);

  const stop = useCallback(() => running.current?.abort(), []);
  useEffect(() => stop, [stop]); // a page that is left does not keep the model busy

  const send = useCallback(
    async (text: string) => {
      if (running.current) return;
      const abort = new AbortController();
      running.current = abort;
      const question: Turn = { id: nextId.current++, role: "user", content: text };
      const answer: Turn = { id: nextId.current++, role: "assistant", content: "" };
      const asked = [...turns, question];
      setTurns([...asked, answer]);
      setProblem(undefined);
      setBusy(true);
      let content = "";
      try {
        const model: string = import.meta.env.VITE_ZHILU_MODEL ?? (await firstModel(abort.signal));
        const messages = asked.map(({ role, content }) => ({ role, content }));
        for await (const piece of streamChat(model, messages, abort.signal)) {
          content += piece;
          if (running.current === abort) setTurns([...asked, { ...answer, content }]);
        }
      } catch (error) {
        if (!abort.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
      } finally {
        if (running.current === abort) {
          // An answer of which nothing came is no part of the conversation: a server may refuse empty messages.
          if (!content) setTurns(asked);
          running.current = undefined;
          setBusy(false);
        }
      }
    },
    [turns],
  );

  const clear = useCallback(() => {
    stop();
    running.current = undefined; // what still arrives belongs to nobody
    setBusy(false);
    setTurns([]);
    setProblem(undefined);
  }, [stop]);

  return { turns, busy, problem, send, stop, clear };
}
