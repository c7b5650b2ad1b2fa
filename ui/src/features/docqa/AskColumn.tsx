import { ArrowUp, Compass, Eraser, FileQuestion, Square, Table2 } from "lucide-react";
import type { FormEvent } from "react";
import { StickToBottom } from "use-stick-to-bottom";
import { IconButton } from "@/components/Button";
import { Sources } from "@/components/Cite";
import { Markdown } from "@/components/Markdown";
import { Empty, ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useKeptText } from "@/lib/kept";
import { ask, clearAsked, stopAsk, useAsked, type Asked } from "./asks";
import { citationHref } from "./places";
import css from "./Docqa.module.css";

interface AskColumnProps {
  kb: string;
  name: string;
  canAsk: boolean;
  /** Called with the place of an answer that has come. */
  onPlace: (href: string) => void;
}

export function AskColumn({ kb, name, canAsk, onPlace }: AskColumnProps) {
  const { t } = useI18n();
  const asked = useAsked(kb);
  const [question, setQuestion] = useKeptText(`docqa-${kb}`);
  const open = asked.some(({ state }) => state === "open");
  const put = (text: string) =>
    void ask(kb, text, ({ citations }) => {
      const first = citations.find(({ cited }) => cited);
      if (first) onPlace(citationHref(first));
    });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!question.trim() || open || !canAsk) return;
    put(question.trim());
    setQuestion("");
  };
  return (
    <section className={css.asks}>
      <StickToBottom className={css.scroll} initial="instant" resize="smooth">
        <StickToBottom.Content className={css.turns}>
          {!asked.length && <Empty icon={FileQuestion} title={t("docqa.empty")} hint={t("docqa.emptyHint")} />}
          {asked.map((one) => (
            <Turn key={one.id} one={one} onAgain={() => put(one.question)} />
          ))}
        </StickToBottom.Content>
      </StickToBottom>
      <form className={css.form} onSubmit={submit}>
        {asked.length > 0 && !open && (
          <IconButton icon={Eraser} label={t("docqa.clear")} onClick={() => clearAsked(kb)} />
        )}
        <input
          data-slash
          data-testid="docqa-question"
          aria-label={t("docqa.ask", { name })}
          placeholder={t("docqa.ask", { name })}
          value={question}
          maxLength={4000}
          onChange={(event) => setQuestion(event.target.value)}
        />
        {open ? (
          <button type="button" className={css.send} aria-label={t("answer.stop")} onClick={() => stopAsk(kb)}>
            <Square size={13} fill="currentColor" aria-hidden />
          </button>
        ) : (
          <button
            type="submit"
            className={css.send}
            aria-label={t("answer.send")}
            disabled={!question.trim() || !canAsk}
          >
            <ArrowUp size={18} aria-hidden />
          </button>
        )}
      </form>
      <div className="visually-hidden" role="status" aria-live="polite">
        {open ? t("answer.answering") : asked.at(-1)?.answer}
      </div>
    </section>
  );
}

function Turn({ one, onAgain }: { one: Asked; onAgain: () => void }) {
  const { t, say } = useI18n();
  const live = one.state === "open";
  return (
    <article className={css.turn} aria-busy={live} data-testid="docqa-turn">
      <h2>{one.question}</h2>
      {one.refused ? (
        <p className={css.refused}>
          <Compass size={18} aria-hidden />
          <span>
            <strong>{t("docqa.refused")}</strong>{" "}
            {one.citations.length > 0 && t("answer.refusedWhy", { n: one.citations.length })}
          </span>
        </p>
      ) : (
        one.answer && <Markdown text={one.answer} streaming={live} citations={one.citations} />
      )}
      {live && !one.answer && <p className={css.hint}>{t("docqa.searching")}</p>}
      {one.table && (
        <p className={css.hint}>
          <Table2 size={14} aria-hidden /> {t("docqa.byTable", { what: say(one.table.looked_up) })}
        </p>
      )}
      {one.state === "stopped" && <p className={css.hint}>{t("answer.stopped")}</p>}
      {one.state === "failed" && <ErrorPanel title={t("answer.failed")} error={one.error} retry={onAgain} />}
      {!live && <Sources citations={one.citations} />}
    </article>
  );
}
