import { CircleAlert, Info, ShieldCheck, Trash2, TriangleAlert } from "lucide-react";
import { Badge } from "@/components/Badge";
import { Button, IconButton } from "@/components/Button";
import { ErrorPanel, FixLine } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { Dataset, DataFinding, DataReport } from "@/lib/types";
import { useCheckDataset, useRemoveDataset } from "./api";
import css from "./DatasetCard.module.css";

const ICONS = { error: CircleAlert, warning: TriangleAlert, hint: Info } as const;

/** One dataset: what was found in it, and what the model would see. */
export function DatasetCard({ dataset, onTrain }: { dataset: Dataset; onTrain: () => void }) {
  const { t, say } = useI18n();
  const check = useCheckDataset();
  const remove = useRemoveDataset();
  const report = dataset.report;
  return (
    <article className={css.card} data-dataset={dataset.name}>
      <header>
        <h3>{dataset.name}</h3>
        <Badge tone={!report ? "neutral" : report.ok ? "ok" : "bad"} dot>
          {t(!report ? "tune.unchecked" : report.ok ? "tune.ready" : "tune.errors")}
        </Badge>
        <span className={css.kind}>{say(report?.title)}</span>
        <span className={css.actions}>
          <Button small icon={ShieldCheck} busy={check.isPending} onClick={() => check.mutate(dataset.name)}>
            {t("tune.check")}
          </Button>
          {report?.ok && (
            <Button small tone="primary" onClick={onTrain}>
              {t("tune.train")}
            </Button>
          )}
          <IconButton
            icon={Trash2}
            label={t("tune.delete", { name: dataset.name })}
            onClick={() => remove.mutate(dataset.name)}
          />
        </span>
      </header>
      {(check.error ?? remove.error) && <ErrorPanel error={check.error ?? remove.error} />}
      {report && <Report report={report} />}
    </article>
  );
}

function Report({ report }: { report: DataReport }) {
  const { t } = useI18n();
  const { tokens, learned } = report;
  return (
    <>
      <p className={css.facts}>
        {t("tune.rows", { usable: report.usable, rows: report.rows })}
        {tokens && learned && report.model && (
          <>
            {" · "}
            {t("tune.tokens", {
              least: tokens.least,
              most: tokens.most,
              model: report.model,
              share: Math.round((100 * learned.total) / Math.max(tokens.total, 1)),
            })}
          </>
        )}
      </p>
      {report.findings.length === 0 && <p className={css.facts}>{t("tune.nothingWrong")}</p>}
      <ul className={css.findings}>
        {report.findings.map((finding) => (
          <Finding key={finding.code} finding={finding} />
        ))}
      </ul>
      {(report.samples ?? []).length > 0 && (
        <details>
          <summary>{t("tune.sees")}</summary>
          {(report.samples ?? []).map((sample, number) => (
            <pre key={number} className={css.sample} aria-label={t("tune.line", { line: sample.line })}>
              {sample.pieces.map((piece, place) =>
                piece.learned ? <mark key={place}>{piece.text}</mark> : <span key={place}>{piece.text}</span>,
              )}
            </pre>
          ))}
        </details>
      )}
    </>
  );
}

function Finding({ finding }: { finding: DataFinding }) {
  const { t, say } = useI18n();
  const Icon = ICONS[finding.severity];
  const lines = finding.lines.slice(0, 8).join(", ") + (finding.count > 8 ? " …" : "");
  return (
    <li data-severity={finding.severity}>
      <Icon size={16} role="img" aria-label={t(`tune.severity.${finding.severity}`)} />
      <div>
        <strong>{say(finding.title)}</strong>{" "}
        <small>{t(finding.count === 1 ? "tune.oneLine" : "tune.lines", { n: finding.count, lines })}</small>
        <p>{say(finding.message)}</p>
        {finding.fix && <FixLine fix={finding.fix} bare />}
      </div>
    </li>
  );
}
