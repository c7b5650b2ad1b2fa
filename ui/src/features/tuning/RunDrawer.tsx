import { useCallback } from "react";
import { Dialog } from "@/components/Dialog";
import { Facts } from "@/components/Facts";
import { JobLine } from "@/components/JobLine";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import type { Outcome, RunDetail } from "@/lib/types";
import { AfterRun } from "./AfterRun";
import { useRun } from "./api";
import { LossCurve } from "./LossCurve";
import css from "./RunDrawer.module.css";

const MEASURES = { margin: 1, accuracy: 1, reward: 1, kl: 1 } as const;

/** A rendered prompt for the eye: without its special tokens. */
const plain = (prompt: string) => prompt.replace(/<\|[a-z_]{1,30}\|>/g, "").trim();

export function RunDrawer({ name, onClose }: { name: string; onClose: () => void }) {
  const { data, error, refetch } = useRun(name);
  const again = useCallback(() => void refetch(), [refetch]);
  return (
    <Dialog open shape="panel" onClose={onClose} title={name}>
      {error && <ErrorPanel error={error} retry={again} />}
      {!data && !error && <Skeleton />}
      {data && <Details detail={data} refetch={again} />}
    </Dialog>
  );
}

/** Of a base in 4 bits: what its weights took, and the figure of the base that the adapter is served on. */
function servedFacts(
  { weights, served, answered_on }: Outcome,
  t: ReturnType<typeof useI18n>["t"],
): [string, string][] {
  if (!weights) return [];
  const mb = (bytes: number) => (bytes / 1e6).toFixed(1);
  const facts: [string, string][] = [
    [
      t("tune.weights"),
      t("tune.weightsAre", {
        count: mb(weights.quantized_parameters),
        size: mb(weights.quantized_bytes),
        bits: ((8 * weights.quantized_bytes) / weights.quantized_parameters).toFixed(2),
        rest: mb(weights.other_bytes),
      }),
    ],
  ];
  if (served) facts.push([t("tune.served"), `${served[0].toFixed(3)} → ${served[1].toFixed(3)}`]);
  else facts.push([t("tune.answers"), t(`tune.answeredOn.${answered_on ?? "served"}`)]);
  return facts;
}

function Details({ detail: { run, metrics }, refetch }: { detail: RunDetail; refetch: () => void }) {
  const { t, say } = useI18n();
  const job = (useJobs().data ?? []).find(({ id }) => id === run.job_id);
  const out = run.outcome;
  return (
    <>
      {job && (isActive(job) || job.status === "failed") && (
        <JobLine job={job} title={say(job.stage) || say(job.title)} />
      )}
      <LossCurve metrics={metrics} />
      {out && (
        <Facts
          facts={[
            [t("tune.base"), run.config.model],
            [t("tune.data"), run.config.data],
            [t("tune.heldOut"), `${out.held_out_before.toFixed(3)} → ${out.held_out_after.toFixed(3)}`],
            ...Object.entries(out.measures ?? {}).map(([key, [first, last]]): [string, string] => [
              key in MEASURES ? t(`tune.measure.${key as keyof typeof MEASURES}`) : key,
              `${first.toFixed(3)} → ${last.toFixed(3)}`,
            ]),
            ...servedFacts(out, t),
            [t("tune.best"), `${out.best_step} / ${out.steps}`],
            [t("tune.method"), t(`tune.method.${run.config.method ?? "lora"}`)],
            [t("tune.speed"), Math.round(out.tokens_per_second).toLocaleString()],
            [t("tune.memory"), `${out.peak_mb.toLocaleString()} MB`],
            [t("tune.adapter"), out.adapter],
          ]}
        />
      )}
      {out &&
        (run.config.objective === "reward" ? (
          <p>{t("tune.isReward", { model: run.config.model })}</p>
        ) : (
          <AfterRun run={run} refetch={refetch} />
        ))}
      {out && out.answers.length > 0 && (
        <>
          <h3 className={css.title}>{t("tune.answers")}</h3>
          {out.answers.map((answer, number) => (
            <section key={number} className={css.answer}>
              <p>{plain(answer.prompt)}</p>
              <Facts
                facts={[
                  [t("tune.before"), answer.before],
                  [t("tune.after"), answer.after],
                  [t("tune.wanted"), plain(answer.wanted)],
                ]}
              />
            </section>
          ))}
        </>
      )}
      <h3 className={css.title}>{t("tune.chosen")}</h3>
      <Facts
        facts={Object.entries(run.chosen ?? {}).map(([key, value]) => [
          key,
          `${String(value)} (${say(run.reasons?.[key])})`,
        ])}
      />
    </>
  );
}
