import { useQueryClient } from "@tanstack/react-query";
import { ArrowUp, Compass, Eraser, Globe, MessageCircleQuestion, Square } from "lucide-react";
import { useEffect, type FormEvent } from "react";
import { StickToBottom } from "use-stick-to-bottom";
import { Link } from "wouter";
import { CopyButton, IconButton, Spinner } from "@/components/Button";
import { Sources } from "@/components/Cite";
import { Markdown } from "@/components/Markdown";
import { ModelMenu } from "@/components/ModelMenu";
import { Empty, ErrorPanel } from "@/components/states";
import { Thought } from "@/components/Thought";
import { useI18n } from "@/lib/i18n";
import { useKeptText } from "@/lib/kept";
import { useStatus } from "@/lib/queries";
import type { KnowledgeBase } from "@/lib/types";
import { useDocuments, useWebSearch } from "./api";
import css from "./AskPanel.module.css";
import { ask, clearAsked, isOpen, stopAsk, useAsked, type Asked, type Likely } from "./asks";

export function AskPanel({ kb }: { kb: KnowledgeBase }) {
  const { t } = useI18n();
  const queries = useQueryClient();
  const asked = useAsked(kb.id);
  const documents = useDocuments(kb.id).data ?? [];
  const [question, setQuestion] = useKeptText(`ask-${kb.id}`);
  const [model, setModel] = useKeptText("ask-model");
  const [onWeb, setOnWeb] = useKeptText("ask-web");
  const canSearch = !!useWebSearch().data?.provider;
  const web = canSearch && onWeb === "on";
  const standard = useStatus().data?.model.name ?? null;
  const open = asked.some(isOpen);
  const ready = documents.filter(({ status }) => status === "ready").length;
  const reading = documents.filter(({ status }) => status === "queued" || status === "ingesting").length;

  const put = (text: string) => void ask(queries, kb.id, text, { model: model || null, web });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!question.trim() || open) return;
    put(question.trim());
    setQuestion("");
  };

  useEffect(() => {
    if (!open) return;
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && stopAsk(kb.id);
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [open, kb.id]);

  return (
    <div className={css.panel}>
      <StickToBottom className={css.scroll} initial="instant" resize="smooth">
        <StickToBottom.Content className={css.content}>
          {!asked.length && (
            <Empty
              icon={MessageCircleQuestion}
              title={t("rag.askEmpty")}
              hint={t(ready ? "rag.askEmptyHint" : "rag.askNoDocs")}
            />
          )}
          {asked.map((one) => (
            <Turn key={one.id} one={one} kb={kb.id} onAgain={() => put(one.question)} />
          ))}
        </StickToBottom.Content>
      </StickToBottom>
      {reading > 0 && (
        <p className={css.reading} role="status">
          <Spinner size={13} /> {t("rag.reading", { n: reading })}
        </p>
      )}
      <form className={css.form} onSubmit={submit}>
        {asked.length > 0 && !open && (
          <IconButton icon={Eraser} label={t("rag.clear")} onClick={() => clearAsked(kb.id)} />
        )}
        <ModelMenu chosen={model || standard} onChoose={setModel} />
        {canSearch && (
          <IconButton
            icon={Globe}
            label={t("rag.web")}
            aria-pressed={web}
            active={web}
            onClick={() => setOnWeb(web ? "" : "on")}
          />
        )}
        <input
          data-slash
          aria-label={t(web ? "rag.askWeb" : "rag.ask")}
          placeholder={t(web ? "rag.askWeb" : "rag.ask")}
          value={question}
          maxLength={4000}
          onChange={(event) => setQuestion(event.target.value)}
        />
        {open ? (
          <button type="button" className={css.send} aria-label={t("answer.stop")} onClick={() => stopAsk(kb.id)}>
            <Square size={13} fill="currentColor" aria-hidden />
          </button>
        ) : (
          <button
            type="submit"
            className={css.send}
            aria-label={t("answer.send")}
            disabled={!question.trim() || !(ready || web)}
          >
            <ArrowUp size={18} aria-hidden />
          </button>
        )}
      </form>
      <div className="visually-hidden" role="status" aria-live="polite">
        {open ? t("answer.answering") : asked.at(-1)?.answer}
      </div>
    </div>
  );
}

function Turn({ one, kb, onAgain }: { one: Asked; kb: string; onAgain: () => void }) {
  const { t } = useI18n();
  const live = isOpen(one);
  return (
    <article className={css.turn} aria-busy={live}>
      <h2>{one.question}</h2>
      {one.thought && <Thought text={one.thought} open={false} seconds={one.thought_seconds ?? null} />}
      {live && one.likely && <LikelyPassage one={one} likely={one.likely} />}
      {one.refused ? (
        <Refusal one={one} />
      ) : (
        <>
          {one.answer && <Markdown text={one.answer} streaming={live} citations={one.citations} />}
          {live && !one.answer && (
            <p className={css.waiting}>
              {one.state === "searching" ? t("rag.searching") : t("rag.found", { n: one.citations.length })}…
            </p>
          )}
        </>
      )}
      {(one.verdict === "quoted" || one.verdict === "unjudged") && (
        <p className={css.note}>{t(`rag.verdict.${one.verdict}`)}</p>
      )}
      {one.state === "stopped" && <p className={css.waiting}>{t("answer.stopped")}</p>}
      {one.state === "reloaded" && <ErrorPanel title={t("answer.reloaded")} error={null} retry={onAgain} />}
      {one.state === "failed" && <ErrorPanel title={t("answer.failed")} error={one.error} retry={onAgain} />}
      {!live && <Sources citations={one.citations} />}
      {!live && (
        <footer className={css.foot}>
          {one.answer && <CopyButton text={one.answer} />}
          {one.trace_id && <Link href={`/knowledge/${kb}?trace=${one.trace_id}`}>{t("rag.trace")}</Link>}
        </footer>
      )}
    </article>
  );
}

/** What was found before the model says anything, its likely sentence marked; gone when the answer with its sources is there. */
function LikelyPassage({ one, likely }: { one: Asked; likely: Likely }) {
  const { t } = useI18n();
  const passage = one.citations[likely.n - 1];
  if (!passage) return null;
  return (
    <figure className={css.likely}>
      <figcaption>
        {t("rag.likely")} · {passage.doc_name}
      </figcaption>
      <blockquote>
        <mark>{likely.text}</mark>
      </blockquote>
    </figure>
  );
}

/** Not an error: the documents were read and do not hold it. Says so, and what to try. */
function Refusal({ one }: { one: Asked }) {
  const { t, lang } = useI18n();
  const read = one.citations.length;
  return (
    <div className={css.refusal}>
      <Compass size={20} aria-hidden />
      <div>
        <strong>{t("rag.refused")}</strong>
        <p>{read ? t("answer.refusedWhy", { n: read }) : t("rag.refusedWhyNone")}</p>
        {one.why && <p>{t("rag.refusedBefore", { why: one.why[lang] })}</p>}
        <p>{t("rag.refusedTry")}</p>
      </div>
    </div>
  );
}
