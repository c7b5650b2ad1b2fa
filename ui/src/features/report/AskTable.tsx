import { useEffect, useRef, useState } from "react";
import { AskLine } from "@/components/AskLine";
import { Spinner } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { ask, type Attempt, type Section, type Source } from "./api";
import { Attempts, SectionCard } from "./SectionCard";
import { SAMPLE_QUESTIONS } from "./strings";
import css from "./Report.module.css";

interface Going {
  question: string;
  attempts: Attempt[];
  section: Section | null;
}

interface AskTableProps {
  source: Source;
  kept: readonly string[];
  onKeep: (question: string) => void;
}

/** The question, what goes on, and the answers of this visit with the newest first. */
export function AskTable({ source, kept, onKeep }: AskTableProps) {
  const { t } = useI18n();
  const [question, setQuestion] = useState("");
  const [going, setGoing] = useState<Going | null>(null);
  const [answered, setAnswered] = useState<Section[]>([]);
  const [error, setError] = useState<unknown>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const put = async (asked: string) => {
    const control = new AbortController();
    abort.current = control;
    setError(null);
    setGoing({ question: asked, attempts: [], section: null });
    try {
      for await (const { event, data } of ask(source.id, asked, control.signal)) {
        if (event === "query") setGoing((old) => old && { ...old, attempts: [...old.attempts, data] });
        else if (event === "result") setGoing((old) => old && { ...old, section: data });
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
  const examples = SAMPLE_QUESTIONS[source.origin] ?? [];
  return (
    <div>
      <AskLine
        label={t("report.ask", { name: source.name })}
        value={question}
        onChange={setQuestion}
        busy={going !== null}
        onAsk={(text) => void put(text)}
        onStop={() => abort.current?.abort()}
        examples={going || answered.length ? [] : examples}
        testId="report-question"
      />
      {error != null && <ErrorPanel error={error} />}
      {going &&
        (going.section ? (
          <SectionCard section={{ ...going.section, sentences: [] }}>
            {<Waiting text={t("report.telling")} />}
          </SectionCard>
        ) : (
          <Writing going={going} />
        ))}
      {answered.map((section, index) => (
        <SectionCard
          key={answered.length - index}
          section={section}
          kept={kept.includes(section.question)}
          onKeep={() => onKeep(section.question)}
        />
      ))}
    </div>
  );
}

function Waiting({ text }: { text: string }) {
  return (
    <p className={css.waiting}>
      <Spinner /> {text}
    </p>
  );
}

function Writing({ going }: { going: Going }) {
  const { t } = useI18n();
  return (
    <article className={css.section}>
      <header>
        <h3>{going.question}</h3>
      </header>
      <Waiting text={t("report.writing")} />
      <Attempts attempts={going.attempts} />
    </article>
  );
}
