import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { Answer } from "./Answer";
import { useChat } from "./useChat";

const zh = navigator.language.startsWith("zh");
const words = zh
  ? { ask: "输入问题", send: "发送", stop: "停止", clear: "清空", waiting: "正在回答" }
  : { ask: "Ask something", send: "Send", stop: "Stop", clear: "Clear", waiting: "Answering" };

export function App() {
  const { turns, busy, problem, send, stop, clear } = useChat();
  const [text, setText] = useState("");
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    document.documentElement.lang = zh ? "zh" : "en";
  }, []);
  useEffect(() => {
    void end.current?.scrollIntoView({ block: "end" }); // newer browsers return a promise here, which is no clean-up
  }, [turns, problem]);

  const ask = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || busy) return;
    void send(text.trim());
    setText("");
  };
  const keys = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // While an input method is open, Enter chooses a word (Chinese, Japanese).
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) ask(event);
  };

  return (
    <>
      <main aria-live="polite" aria-busy={busy}>
        {turns.map((turn) => (
          <article key={turn.id} className={turn.role}>
            {turn.role === "user" ? turn.content : <Answer text={turn.content} />}
            {turn.role === "assistant" && !turn.content && <span className="waiting">{words.waiting}…</span>}
          </article>
        ))}
        {problem && <p role="alert">{problem}</p>}
        <div ref={end} />
      </main>
      <form onSubmit={ask}>
        <textarea
          aria-label={words.ask}
          placeholder={words.ask}
          rows={2}
          autoFocus
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={keys}
        />
        {busy ? (
          <button type="button" onClick={stop}>
            {words.stop}
          </button>
        ) : (
          <button type="submit" disabled={!text.trim()}>
            {words.send}
          </button>
        )}
        <button type="button" className="quiet" onClick={clear} disabled={!turns.length}>
          {words.clear}
        </button>
      </form>
    </>
  );
}
