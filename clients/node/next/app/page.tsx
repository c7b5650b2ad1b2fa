"use client";

import { useChat } from "@ai-sdk/react";
import { getToolName, isToolUIPart } from "ai";
import { useEffect, useState, type FormEvent } from "react";

const WORDS = {
  en: { ask: "Ask something", send: "Send", stop: "Stop", waiting: "Answering" },
  zh: { ask: "输入问题", send: "发送", stop: "停止", waiting: "正在回答" },
};

export default function Chat() {
  const { messages, sendMessage, status, stop, error } = useChat(); // POST /api/chat
  const [text, setText] = useState("");
  const [words, setWords] = useState(WORDS.en); // the server does not know the browser's language
  const busy = status === "submitted" || status === "streaming";

  useEffect(() => {
    if (!navigator.language.startsWith("zh")) return;
    document.documentElement.lang = "zh";
    setWords(WORDS.zh);
  }, []);

  const send = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || busy) return;
    void sendMessage({ text: text.trim() });
    setText("");
  };

  return (
    <>
      <main aria-live="polite" aria-busy={busy}>
        {messages.map(({ id, role, parts }) => (
          <article key={id} className={role}>
            {parts.map((part, index) => {
              if (part.type === "text") return <p key={index}>{part.text}</p>;
              if (!isToolUIPart(part)) return null;
              const result = part.state === "output-available" ? ` → ${String(part.output)}` : "";
              return <pre key={index} className="call">{`${getToolName(part)}(${JSON.stringify(part.input)})${result}`}</pre>;
            })}
          </article>
        ))}
        {status === "submitted" && <p className="waiting">{words.waiting}…</p>}
        {error && <p role="alert">{error.message}</p>}
      </main>
      <form onSubmit={send}>
        <textarea
          aria-label={words.ask}
          placeholder={words.ask}
          rows={2}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            // While an input method is open, Enter chooses a word (Chinese, Japanese).
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) send(event);
          }}
        />
        <div className="row">
          <span className="gap" />
          {busy ? (
            <button type="button" data-stop onClick={() => void stop()}>
              {words.stop}
            </button>
          ) : (
            <button type="submit" disabled={!text.trim()}>
              {words.send}
            </button>
          )}
        </div>
      </form>
    </>
  );
}
