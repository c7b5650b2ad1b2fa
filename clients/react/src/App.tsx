import { useEffect, useRef, useState } from "react";
import { Answer } from "./Answer";
import { Composer } from "./Composer";
import type { Message } from "./stream";
import { useChat, type How, type Turn } from "./useChat";
import { isChinese, words } from "./words";

export function App() {
  const { turns, busy, problem, asking, send, again, stop, clear } = useChat();
  const [how, setHow] = useState<How>({ tools: false, kb: "" });
  const [wrongFile, setWrongFile] = useState<string>();
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    document.documentElement.lang = isChinese ? "zh" : "en";
  }, []);
  useEffect(() => {
    void end.current?.scrollIntoView({ block: "end" }); // newer browsers return a promise here, which is no clean-up
  }, [turns, problem, asking]);

  return (
    <>
      <main aria-live="polite" aria-busy={busy}>
        {turns.map((turn) => (
          <article key={turn.id} className={turn.role}>
            {turn.role === "user" ? <Question turn={turn} /> : <Reply turn={turn} />}
          </article>
        ))}
        {asking && (
          <section className="asking" role="alertdialog" aria-label={words.may}>
            <p>
              {words.may} <code>{`${asking.tool.name}(${asking.written})`}</code>
            </p>
            <button type="button" autoFocus onClick={() => asking.answer(false)}>
              {words.refuse}
            </button>
            <button type="button" onClick={() => asking.answer(true)}>
              {words.allow}
            </button>
          </section>
        )}
        {(problem ?? wrongFile) && <p role="alert">{problem ?? wrongFile}</p>}
        {turns.length > 0 && !busy && (
          <div className="row">
            <button type="button" className="quiet" onClick={() => void again(how)}>
              {words.again}
            </button>
            <button type="button" className="quiet" onClick={clear}>
              {words.clear}
            </button>
          </div>
        )}
        <div ref={end} />
      </main>
      <Composer
        busy={busy}
        how={how}
        onHow={setHow}
        onSend={(text, files) => void send(text, files, how)}
        onStop={stop}
        onProblem={setWrongFile}
      />
    </>
  );
}

function Question({ turn: { content, files = [] } }: { turn: Turn }) {
  return (
    <>
      {files.length > 0 && (
        <ul className="files">
          {files.map(({ name, kind, content }, index) => (
            <li key={index}>{kind === "image" ? <img src={content} alt={name} /> : name}</li>
          ))}
        </ul>
      )}
      {content}
    </>
  );
}

function Reply({ turn: { id, content, calls = [], sources = [] } }: { turn: Turn }) {
  return (
    <>
      {calls.map((message, index) => (
        <Call key={index} message={message} />
      ))}
      <Answer id={id} text={content} sources={sources} heading={words.sources} />
      {!content && <span className="waiting">{words.waiting}…</span>}
    </>
  );
}

/** What was called, and what came of it. */
function Call({ message }: { message: Message }) {
  if (message.role === "tool") return <pre className="call">→ {message.content}</pre>;
  if (message.role !== "assistant") return null;
  return message.tool_calls?.map(({ id, function: f }) => (
    <pre key={id} className="call">{`${f.name}(${f.arguments})`}</pre>
  ));
}
