import { StrictMode, useEffect, useRef, useState, type FormEvent } from "react";
import { createRoot } from "react-dom/client";
import { ask, type Told, type Turn } from "./ask";
import "./style.css";

const zh = navigator.language.startsWith("zh");
const words = zh
  ? { ask: "输入问题", send: "发送", stop: "停止", from: "回答依据", model: "模型本身", waiting: "正在回答" }
  : { ask: "Ask something", send: "Send", stop: "Stop", from: "Answer from", model: "the model itself", waiting: "Answering" };

interface Shown extends Turn {
  /** Calls of functions and sources, as they were told. */
  beside: Told[];
}

function Chat() {
  const [turns, setTurns] = useState<Shown[]>([]);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const [bases, setBases] = useState<string[]>([]);
  const [base, setBase] = useState("");
  const [running, setRunning] = useState<AbortController>();
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    document.documentElement.lang = zh ? "zh" : "en";
    fetch("/api/about").then(async (response) => response.ok && setBases((await response.json()).knowledgeBases), () => undefined);
  }, []);
  useEffect(() => {
    void end.current?.scrollIntoView({ block: "end" });
  }, [turns, problem]);

  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || running) return;
    const stop = new AbortController();
    const asked: Shown[] = [...turns, { role: "user", content: text.trim(), beside: [] }];
    let answer: Shown = { role: "assistant", content: "", beside: [] };
    setRunning(stop);
    setTurns([...asked, answer]);
    setText("");
    setProblem("");
    try {
      const said = asked.map(({ role, content }) => ({ role, content }));
      for await (const told of ask(said, base, stop.signal)) {
        answer = told.text
          ? { ...answer, content: answer.content + told.text }
          : { ...answer, beside: [...answer.beside, told] };
        setTurns([...asked, answer]);
      }
    } catch (error) {
      if (!stop.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      if (!answer.content) setTurns(asked); // servers may refuse empty messages
      setRunning(undefined);
    }
  };

  return (
    <>
      <main aria-live="polite" aria-busy={running !== undefined}>
        {turns.map(({ role, content, beside }, index) => (
          <article key={index} className={role}>
            {beside.map((told, at) => (told.tool ? <Call key={at} told={told} /> : null))}
            <p>{content || (role === "assistant" && <span className="waiting">{words.waiting}…</span>)}</p>
            {beside.flatMap(({ sources = [] }) => sources).map(({ n, name, text }) => (
              <details key={n}>
                <summary>
                  [{n}] {name}
                </summary>
                <blockquote>{text}</blockquote>
              </details>
            ))}
          </article>
        ))}
        {problem && <p role="alert">{problem}</p>}
        <div ref={end} />
      </main>
      <form onSubmit={(event) => void send(event)}>
        <textarea
          aria-label={words.ask}
          placeholder={words.ask}
          rows={2}
          autoFocus
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            // While an input method is open, Enter chooses a word (Chinese, Japanese).
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) void send(event);
          }}
        />
        <div className="row">
          {bases.length > 0 && (
            <label>
              {words.from}{" "}
              <select value={base} onChange={(event) => setBase(event.target.value)}>
                <option value="">{words.model}</option>
                {bases.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          )}
          <span className="gap" />
          {running ? (
            <button type="button" data-stop onClick={() => running.abort()}>
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

function Call({ told: { tool, given, result } }: { told: Told }) {
  return <pre className="call">{`${tool}(${given}) → ${result}`}</pre>;
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Chat />
  </StrictMode>,
);
