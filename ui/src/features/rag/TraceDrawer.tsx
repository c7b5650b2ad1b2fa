import { Link } from "wouter";
import { Badge, type BadgeTone } from "@/components/Badge";
import { passageHref } from "@/components/Cite";
import { Dialog } from "@/components/Dialog";
import { ErrorPanel, Skeleton } from "@/components/states";
import { seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Candidate, Support, Trace } from "@/lib/types";
import { useTrace } from "./api";
import css from "./TraceDrawer.module.css";

/** What led to an answer, in the order it happened. */
export function TraceDrawer({ kb, id, onClose }: { kb: string; id: string; onClose: () => void }) {
  const { t } = useI18n();
  const { data, error, refetch } = useTrace(kb, id);
  return (
    <Dialog open shape="panel" onClose={onClose} title={t("rag.trace.title")} hint={data?.question}>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton lines={8} />}
      {data && (
        <div className={css.trace}>
          <Outcome trace={data} />
          <Retrieval kb={kb} trace={data} />
          <Prompt trace={data} />
          <Checked trace={data} />
        </div>
      )}
    </Dialog>
  );
}

function Outcome({ trace }: { trace: Trace }) {
  const { t } = useI18n();
  return (
    <section>
      {trace.rewrite && (
        <p className={css.hint}>
          {t("rag.trace.rewritten")}: <b>{trace.rewrite.rewritten}</b>
        </p>
      )}
      <blockquote>{trace.answer}</blockquote>
      <p className={css.hint}>
        {t(`rag.verdict.${trace.verdict}`)} ·{" "}
        {t("rag.trace.time", { total: seconds(trace.seconds), retrieval: seconds(trace.retrieval.seconds) })}
      </p>
    </section>
  );
}

const percent = (share: number) => `${Math.round(share * 100)}%`;
const score = (value: number | null | undefined) => (value == null ? "–" : value.toFixed(3));

function Retrieval({ kb, trace }: { kb: string; trace: Trace }) {
  const { t } = useI18n();
  const { num_lexical, num_dense, dense_weight, coverage, min_coverage, candidates } = trace.retrieval;
  const shown = new Set(trace.citations.map(({ chunk_id }) => chunk_id));
  const values = {
    lexical: num_lexical,
    dense: num_dense,
    weight: percent(dense_weight),
    coverage: percent(coverage),
    min: percent(min_coverage ?? 0),
  };
  return (
    <section>
      <h3>{t("rag.trace.retrieval")}</h3>
      <p className={css.hint}>{t("rag.trace.retrievalHint", values)}</p>
      <div className={css.table}>
        <table>
          <thead>
            <tr>
              <th>{t("rag.trace.passage")}</th>
              <th>{t("rag.score.lexical")}</th>
              <th>{t("rag.score.dense")}</th>
              <th>{t("rag.trace.coverage")}</th>
              <th>{t("rag.trace.fused")}</th>
            </tr>
          </thead>
          <tbody>
            {candidates.map((candidate) => (
              <tr key={candidate.chunk_id} data-shown={shown.has(candidate.chunk_id) || undefined}>
                <td>
                  <Link href={passageHref(asCitation(candidate, kb))}>{candidate.doc_name}</Link>
                  <small>
                    {candidate.start}–{candidate.end}
                    {shown.has(candidate.chunk_id) && ` · ${t("rag.trace.toModel")}`}
                  </small>
                </td>
                <td>{score(candidate.lexical)}</td>
                <td>{score(candidate.dense)}</td>
                <td>{candidate.coverage == null ? "–" : percent(candidate.coverage)}</td>
                <td>
                  <b>{score(candidate.score)}</b>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function asCitation(candidate: Candidate, kb_id: string) {
  const unknown = { n: 0, page: null, heading: "", text: "", cited: false, quote_start: null, quote_end: null };
  return { ...candidate, ...unknown, kb_id };
}

function Prompt({ trace }: { trace: Trace }) {
  const { t } = useI18n();
  return (
    <section>
      <h3>{t("rag.trace.prompt", { model: trace.model })}</h3>
      {!trace.prompt && <p className={css.hint}>{t("rag.trace.notAsked")}</p>}
      {trace.prompt && (
        <>
          <p className={css.hint}>
            {t("rag.trace.promptHint", { n: trace.prompt.num_tokens ?? "–", context: trace.prompt.context ?? "–" })}
          </p>
          {trace.prompt.messages.map(({ role, content }, index) => (
            <div key={index} className={css.message}>
              <small>{String(role)}</small>
              <pre>{String(content ?? "")}</pre>
            </div>
          ))}
        </>
      )}
    </section>
  );
}

const TONES: Record<Support, BadgeTone> = {
  exact: "ok",
  overlap: "info",
  neutral: "neutral",
  beside: "warn",
  unsure: "warn",
  unjudged: "warn",
  unsupported: "warn",
};

function Checked({ trace }: { trace: Trace }) {
  const { t } = useI18n();
  if (!trace.raw) return null;
  return (
    <section>
      <h3>{t("rag.trace.raw")}</h3>
      <div className={css.message}>
        <pre>{trace.raw}</pre>
      </div>
      {trace.sentences.length > 0 && (
        <>
          <h3>{t("rag.trace.checked")}</h3>
          <ul className={css.sentences}>
            {trace.sentences.map((sentence, index) => (
              <li key={index} data-shown={sentence.shown || undefined}>
                <Badge tone={TONES[sentence.support]}>{t(`rag.support.${sentence.support}`)}</Badge>
                <span>
                  {sentence.text} {sentence.passages.map((n) => `[${n}]`).join("")}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
