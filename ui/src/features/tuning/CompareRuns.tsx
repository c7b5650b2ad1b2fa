import { useQueries } from "@tanstack/react-query";
import { Dialog } from "@/components/Dialog";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { RunDetail } from "@/lib/types";
import { runQuery } from "./api";
import css from "./CompareRuns.module.css";
import { curves } from "./lossPaths";

const MEASURES = { margin: 1, accuracy: 1, reward: 1, kl: 1 } as const;
const WIDTH = 640;
const HEIGHT = 200;

/** Runs beside each other: held-out curves in one picture, what they were made of and what came of them in one table. */
export function CompareRuns({ names, onClose }: { names: readonly string[]; onClose: () => void }) {
  const { t } = useI18n();
  const found = useQueries({ queries: names.map(runQuery) });
  const details = found.flatMap(({ data }) => (data ? [data] : []));
  const error = found.find((one) => one.error)?.error;
  return (
    <Dialog open shape="wide" onClose={onClose} title={t("tune.compare")}>
      {error && <ErrorPanel error={error} />}
      {details.length < names.length && !error && <Skeleton />}
      {details.length === names.length && <Beside details={details} />}
    </Dialog>
  );
}

function Beside({ details }: { details: RunDetail[] }) {
  const { t } = useI18n();
  const drawn = curves(
    details.map(({ metrics }) => metrics),
    WIDTH,
    HEIGHT,
  );
  const measured = ({ run: { config } }: RunDetail) =>
    [config.objective ?? "sft", config.held_out ?? config.data, config.model].join("\n");
  const mixed = new Set(details.map(measured)).size > 1;
  const keys = [...new Set(details.flatMap(({ run }) => Object.keys(run.outcome?.measures ?? {})))];
  const pair = (values?: [number, number] | null) =>
    values ? `${values[0].toFixed(3)} → ${values[1].toFixed(3)}` : "–";
  const rows: [string, (detail: RunDetail) => string][] = [
    [t("tune.base"), ({ run }) => run.config.model],
    [t("tune.data"), ({ run }) => run.config.data],
    [t("tune.objective"), ({ run }) => run.config.objective ?? "sft"],
    [t("tune.method"), ({ run }) => run.config.method ?? "lora"],
    [t("tune.launch"), ({ run: { config } }) => config.launch ?? "one"],
    ...["rank", "learning_rate", "batch_tokens", "steps"].map((key): [string, (detail: RunDetail) => string] => [
      key,
      ({ run }) => String(run.chosen?.[key] ?? "–"),
    ]),
    [t("tune.heldOut"), ({ run: { outcome } }) => pair(outcome && [outcome.held_out_before, outcome.held_out_after])],
    ...keys.map((key): [string, (detail: RunDetail) => string] => [
      key in MEASURES ? t(`tune.measure.${key as keyof typeof MEASURES}`) : key,
      ({ run }) => pair(run.outcome?.measures?.[key] as [number, number] | undefined),
    ]),
    [t("tune.best"), ({ run: { outcome } }) => (outcome ? `${outcome.best_step} / ${outcome.steps}` : "–")],
    [
      t("tune.speed"),
      ({ run: { outcome } }) => (outcome ? Math.round(outcome.tokens_per_second).toLocaleString() : "–"),
    ],
    [t("tune.memory"), ({ run: { outcome } }) => (outcome ? `${outcome.peak_mb.toLocaleString()} MB` : "–")],
  ];
  return (
    <>
      {drawn && (
        <svg
          className={css.picture}
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          role="img"
          aria-label={t("tune.compareCurves", { low: drawn.low.toFixed(2), high: drawn.high.toFixed(2) })}
        >
          {drawn.paths.map((path, number) => (
            <path key={number} d={path} data-run={number} />
          ))}
        </svg>
      )}
      {mixed && <p role="note">{t("tune.compareMixed")}</p>}
      <div className={css.scroll}>
        <table className={css.table}>
          <thead>
            <tr>
              <td />
              {details.map(({ run }, number) => (
                <th key={run.name} scope="col" data-run={number}>
                  {run.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([title, said]) => (
              <tr key={title}>
                <th scope="row">{title}</th>
                {details.map((detail) => (
                  <td key={detail.run.name}>{said(detail)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
