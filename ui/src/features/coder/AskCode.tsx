import { useEffect, useRef, useState } from "react";
import { AskLine } from "@/components/AskLine";
import { Spinner } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { AnswerCard } from "./AnswerCard";
import type { Place } from "./FileDialog";
import { ask, type Answer, type Repo } from "./api";
import { SAMPLE_QUESTIONS } from "./strings";
import css from "./Coder.module.css";

interface Going {
  question: string;
  found: Answer | null;
  text: string;
}

/** The question, what comes, and the answers of this visit with the newest first. */
export function AskCode({ repo, onOpen }: { repo: Repo; onOpen: (place: Place) => void }) {
  const { t } = useI18n();
  const [question, setQuestion] = useState("");
  const [going, setGoing] = useState<Going | null>(null);
  const [answered, setAnswered] = useState<Answer[]>([]);
  const [error, setError] = useState<unknown>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const put = async (asked: string) => {
    const control = new AbortController();
    abort.current = control;
    setError(null);
    setGoing({ question: asked, found: null, text: "" });
    try {
      for await (const { event, data } of ask(repo.id, asked, control.signal)) {
        if (event === "passages") setGoing((old) => old && { ...old, found: data, text: "" });
        else if (event === "text") setGoing((old) => old && { ...old, text: old.text + data.text });
        else if (event === "error") setError(data.error);
        else if (event === "done") {
          setAnswered((old) => [data, ...old]);
          setQuestion("");
        }
      }
    } catch (problem) {
      if (!control.signal.aborted) setError(problem);
    } finally {
      setGoing(null);
    }
  };
  return (
    <div>
      <AskLine
        label={t("coder.ask", { name: repo.name })}
        value={question}
        onChange={setQuestion}
        busy={going !== null}
        onAsk={(text) => void put(text)}
        onStop={() => abort.current?.abort()}
        examples={repo.name === "tinyshop" && !going && answered.length === 0 ? SAMPLE_QUESTIONS : []}
        testId="coder-question"
      />
      {error != null && <ErrorPanel error={error} />}
      {going && (
        <article className={css.card}>
          <h3>{going.question}</h3>
          <p className={css.waiting}>
            <Spinner /> {going.found ? t("coder.reading", { n: going.found.passages.length }) : t("coder.looking")}
          </p>
          {going.text && <p className={css.coming}>{going.text}</p>}
        </article>
      )}
      {answered.map((answer, index) => (
        <AnswerCard key={answered.length - index} answer={answer} onOpen={onOpen} />
      ))}
    </div>
  );
}
