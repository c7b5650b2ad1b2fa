import { Link } from "wouter";
import { Badge } from "@/components/Badge";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n, type Key } from "@/lib/i18n";
import type { BoardComparison, BoardRow, BoardRun, BoardRunDetail } from "@/lib/types";
import { saidSetup, useComparison, useRun } from "./board";
import css from "./Scoreboard.module.css";

const FIGURES: readonly (readonly [name: string, key?: Key])[] = [
  ["hit@1"],
  ["hit@3"],
  ["hit@5"],
  ["hit@10"],
  ["mrr@10"],
  ["ndcg@10"],
  ["right", "rag.board.fig.right"],
  ["answer_f1", "rag.board.fig.answer_f1"],
  ["citation_precision", "rag.board.fig.citation_precision"],
  ["citation_recall", "rag.board.fig.citation_recall"],
  ["refused_answerable", "rag.board.fig.refused_answerable"],
  ["refused_unanswerable", "rag.board.fig.refused_unanswerable"],
  ["seconds", "rag.board.fig.seconds"],
];
const FINE = new Set<BoardRow["label"]>(["right", "not_asked"]);

/** One run, or two side by side: the figures, and the questions that failed. */
export function RunView({ kb, run, against }: { kb: string; run: string; against: string | null }) {
  return against ? <Two kb={kb} a={run} b={against} /> : <One kb={kb} run={run} />;
}

function One({ kb, run }: { kb: string; run: string }) {
  const { data, error, refetch } = useRun(kb, run);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} height={24} />;
  return (
    <>
      <Figures runs={[data.run]} />
      <Failures kb={kb} details={[data]} />
    </>
  );
}

function Two({ kb, a, b }: { kb: string; a: string; b: string }) {
  const { data, error, refetch } = useComparison(kb, a, b);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} height={24} />;
  return (
    <>
      <Figures runs={[data.a.run, data.b.run]} differences={data.differences} />
      <Failures kb={kb} details={[data.a, data.b]} />
    </>
  );
}

function Figures({ runs, differences }: { runs: BoardRun[]; differences?: BoardComparison["differences"] }) {
  const { t } = useI18n();
  const there = FIGURES.filter(([name]) => runs.some((run) => run.summary?.figures[name] != null));
  const signed = (value: number) => (value > 0 ? "+" : "") + value.toFixed(3);
  return (
    <div className={css.scroll}>
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">{t("rag.board.figure")}</th>
            {runs.map((run) => (
              <th scope="col" key={run.id}>
                {saidSetup(run.setup) || t("rag.board.asItIs")}
              </th>
            ))}
            {differences && <th scope="col">{t("rag.board.difference")}</th>}
          </tr>
        </thead>
        <tbody>
          {there.map(([name, key]) => {
            const apart = differences?.find((one) => one.figure === name);
            return (
              <tr key={name}>
                <th scope="row">{key ? t(key) : name}</th>
                {runs.map((run) => (
                  <td key={run.id}>{run.summary?.figures[name]?.toFixed(3) ?? "–"}</td>
                ))}
                {differences && (
                  <td data-clear={(apart && (apart.low > 0 || apart.high < 0)) || undefined}>
                    {apart ? `${signed(apart.mean)} [${signed(apart.low)}, ${signed(apart.high)}]` : ""}
                  </td>
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Every question that some run got wrong, with what each said to it. */
function Failures({ kb, details }: { kb: string; details: BoardRunDetail[] }) {
  const { t } = useI18n();
  const failed = new Set(
    details.flatMap(({ rows }) => rows.filter((row) => !FINE.has(row.label)).map((row) => row.question_id)),
  );
  const rows = [...failed].map((id) => details.map((one) => one.rows.find((row) => row.question_id === id)));
  return (
    <section aria-label={t("rag.board.failed")}>
      <h2 className={css.title}>{t("rag.board.failed")}</h2>
      {!rows.length && <p className={css.lead}>{t("rag.board.allRight")}</p>}
      <ul className={css.rows}>
        {rows.map((same, index) => {
          const row = same.find(Boolean);
          return (
            row && (
              <li key={row.question_id + index} className={css.failure}>
                <b>{row.question}</b>
                <p>
                  {t("rag.board.known")}: {row.known.join(" | ") || t("rag.board.noAnswer")}
                </p>
                {same.map((one, at) => one && <Said key={at} kb={kb} row={one} />)}
              </li>
            )
          );
        })}
      </ul>
    </section>
  );
}

function Said({ kb, row }: { kb: string; row: BoardRow }) {
  const { t } = useI18n();
  const top = row.passages[0] as { doc_id?: string; doc_name?: string; start?: number; end?: number } | undefined;
  return (
    <p className={css.said}>
      <Badge tone={FINE.has(row.label) ? "ok" : "warn"}>{t(`rag.board.label.${row.label}`)}</Badge>
      <span>
        {row.answer ?? ""}{" "}
        <small>{row.answerable && (row.rank ? t("rag.board.rank", { rank: row.rank }) : t("rag.board.noRank"))}</small>{" "}
        {top?.doc_id && (
          <Link href={`/knowledge/${kb}/documents/${top.doc_id}?start=${top.start}&end=${top.end}`}>
            {top.doc_name}
          </Link>
        )}
      </span>
    </p>
  );
}
