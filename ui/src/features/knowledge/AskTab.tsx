import { LockKeyhole, Send, Square, ThumbsDown, ThumbsUp } from "lucide-react";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { Button, IconButton, Spinner } from "@/components/Button";
import { Empty, ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { Citation } from "@/lib/types";
import { askKnowledge, useChange, useQuestions, type Me } from "./api";
import css from "./Enterprise.module.css";

interface Answered {
  id: string | null;
  question: string;
  text: string;
  refused: boolean;
  citations: readonly Citation[];
}

export function AskTab({ me }: { me: Me }) {
  const { t } = useI18n();
  const questions = useQuestions();
  const [question, setQuestion] = useState("");
  const [now, setNow] = useState<Answered | null>(null);
  const [going, setGoing] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const put = async (asked: string) => {
    const control = new AbortController();
    abort.current = control;
    setError(null);
    setGoing(true);
    setNow({ id: null, question: asked, text: "", refused: false, citations: [] });
    try {
      for await (const { event, data } of askKnowledge(asked, control.signal)) {
        if (event === "delta") setNow((old) => old && { ...old, text: old.text + data.text });
        else if (event === "error") setError(data.error);
        else if (event === "done") {
          const { answer, refused, citations, trace_id } = data;
          setNow({ id: trace_id, question: asked, text: answer, refused, citations });
          setQuestion("");
          void questions.refetch();
        }
      }
    } catch (problem) {
      if (!control.signal.aborted) setError(problem);
    } finally {
      setGoing(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (question.trim() && !going) void put(question.trim());
  };
  if (me.kbs.length === 0) return <Empty icon={LockKeyhole} title={t("know.nothing")} hint={t("know.nothingHint")} />;
  const earlier = questions.data?.filter(({ id }) => id !== now?.id) ?? [];
  const names = me.kbs.map((kb) => String(kb.name)).join(", ");
  const label = t("know.question", { names });
  return (
    <div className={css.column}>
      <form className={css.ask} onSubmit={submit}>
        <input
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
          aria-label={label}
          placeholder={label}
          maxLength={4000}
          data-testid="enterprise-question"
        />
        {going ? (
          <Button icon={Square} onClick={() => abort.current?.abort()}>
            {t("know.stop")}
          </Button>
        ) : (
          <Button tone="primary" icon={Send} type="submit" disabled={!question.trim()}>
            {t("know.askIt")}
          </Button>
        )}
      </form>
      {error != null && <ErrorPanel error={error} />}
      {now && (
        <article className={css.card} aria-live="polite">
          <h3>{now.question}</h3>
          <p className={css.answer}>{now.text || (going && <Spinner />)}</p>
          <ol className={css.cites}>
            {now.citations
              .filter(({ cited }) => cited)
              .map((cite) => (
                <li key={cite.n} value={cite.n}>
                  <details>
                    <summary>{cite.doc_name}</summary>
                    <blockquote>{cite.text}</blockquote>
                  </details>
                </li>
              ))}
          </ol>
          {now.id && !going && <Vote key={now.id} id={now.id} />}
        </article>
      )}
      {earlier.length > 0 && (
        <section>
          <h2>{t("know.earlier")}</h2>
          {earlier.map((one) => (
            <details key={one.id} className={css.earlier}>
              <summary>
                {one.question} {one.refused && <small>{t("know.refused")}</small>}
              </summary>
              <p>{one.answer ?? t("know.hidden")}</p>
              <small>{one.documents.map(({ name }) => name).join(" · ")}</small>
            </details>
          ))}
        </section>
      )}
    </div>
  );
}

function Vote({ id }: { id: string }) {
  const { t } = useI18n();
  const change = useChange();
  const [rating, setRating] = useState(0);
  const [note, setNote] = useState("");
  const send = (value: number) => {
    setRating(value);
    change.mutate({ method: "post", path: `/questions/${id}/feedback`, body: { rating: value, note } });
  };
  return (
    <div className={css.line}>
      <IconButton small icon={ThumbsUp} label={t("know.good")} active={rating > 0} onClick={() => send(1)} />
      <IconButton small icon={ThumbsDown} label={t("know.bad")} active={rating < 0} onClick={() => send(-1)} />
      {rating < 0 && (
        <>
          <input
            value={note}
            maxLength={2000}
            aria-label={t("know.note")}
            placeholder={t("know.note")}
            onChange={(event) => setNote(event.target.value)}
          />
          <Button small disabled={!note.trim()} onClick={() => send(-1)}>
            {t("know.send")}
          </Button>
        </>
      )}
      {change.isSuccess && <small role="status">{t("know.noted")}</small>}
      {change.error && <ErrorPanel error={change.error} />}
    </div>
  );
}
