import { Check, FilePlus } from "lucide-react";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useChart, type Attempt, type Result, type Section } from "./api";
import css from "./Report.module.css";

const TONES: Record<Section["status"], BadgeTone> = { answered: "ok", unsure: "warn", failed: "bad" };
const MOST_ROWS = 50;

interface SectionCardProps {
  section: Section;
  /** Absent where there is no report to put it into. */
  onKeep?: () => void;
  kept?: boolean;
  children?: React.ReactNode;
}

/** One question: what can be said, the chart, the table, and how the query was found. */
export function SectionCard({ section, onKeep, kept, children }: SectionCardProps) {
  const { t, say } = useI18n();
  const { sentences, result, status } = section;
  const told = sentences.filter(({ is_kept }) => is_kept);
  const leftOut = sentences.filter(({ is_kept }) => !is_kept);
  return (
    <article className={css.section} data-testid="report-section">
      <header>
        <h3>{section.question}</h3>
        <Badge tone={TONES[status]}>{t(`report.status.${status}`)}</Badge>
      </header>
      {status === "answered" && (
        <p className={css.told} data-testid="report-told">
          {told.map(({ text }) => text).join(" ")}
        </p>
      )}
      {status === "unsure" && <p className={css.warning}>{t("report.unsure")}</p>}
      {status === "failed" && <p className={css.warning}>{t("report.failed", { model: section.model })}</p>}
      {children}
      {status === "answered" && <Picture section={section} />}
      {result && result.rows.length > 0 && <Rows result={result} />}
      {leftOut.length > 0 && (
        <details className={css.more}>
          <summary>{t("report.leftOut", { n: leftOut.length })}</summary>
          <ul>
            {leftOut.map(({ text, why }) => (
              <li key={text}>
                <s>{text}</s> <small>{say(why)}</small>
              </li>
            ))}
          </ul>
        </details>
      )}
      {section.attempts.length > 0 && (
        <details className={css.more}>
          <summary>
            {t("report.query")}
            {result && <small> · {t("report.agreed", { n: section.agreed, of: section.attempts.length })}</small>}
          </summary>
          {section.said && <p>{say(section.said)}</p>}
          <Attempts attempts={section.attempts} />
        </details>
      )}
      {onKeep && status === "answered" && (
        <footer>
          <Button small icon={kept ? Check : FilePlus} disabled={kept} onClick={onKeep}>
            {kept ? t("report.kept") : t("report.keep")}
          </Button>
        </footer>
      )}
    </article>
  );
}

export function Attempts({ attempts }: { attempts: readonly Attempt[] }) {
  const { t, say } = useI18n();
  return (
    <ol className={css.attempts}>
      {attempts.map((attempt, index) => (
        <li key={index}>
          <small>
            {t("report.attempt", { n: index + 1 })}
            {attempt.num_rows != null && ` · ${t("report.rows", { n: attempt.num_rows })}`}
          </small>
          <pre>{attempt.sql}</pre>
          {attempt.problem && <p className={css.problem}>{say(attempt.problem)}</p>}
        </li>
      ))}
    </ol>
  );
}

function Picture({ section }: { section: Section }) {
  const { t, say } = useI18n();
  const drawn = !!section.chart?.spec;
  const chart = useChart(section.question, section.result, drawn);
  if (chart.error) return <ErrorPanel error={chart.error} />;
  if (!drawn)
    return (
      section.chart && <small className={css.noChart}>{t("report.noChart", { why: say(section.chart.reason) })}</small>
    );
  return (
    <figure className={css.picture}>
      {chart.data && <img src={chart.data} alt={t("report.chart", { title: section.question })} />}
      <figcaption>{say(section.chart?.reason)}</figcaption>
    </figure>
  );
}

function Rows({ result }: { result: Result }) {
  const { t, lang } = useI18n();
  const shown = result.rows.slice(0, MOST_ROWS);
  const figure = new Intl.NumberFormat(lang === "zh" ? "zh-CN" : "en", {
    maximumFractionDigits: 2,
    useGrouping: false,
  });
  return (
    <div className={css.wide} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {result.columns.map((name, index) => (
              <th key={index} scope="col" className={typeof shown[0]?.[index] === "number" ? css.number : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row, number) => (
            <tr key={number}>
              {row.map((cell, index) =>
                typeof cell === "number" ? (
                  <td key={index} className={css.number}>
                    {figure.format(cell)}
                  </td>
                ) : (
                  <td key={index}>{cell == null ? "" : String(cell)}</td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {(result.rows.length > MOST_ROWS || result.is_cut) && <small>{t("report.cut", { n: shown.length })}</small>}
    </div>
  );
}
