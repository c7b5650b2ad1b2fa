import { Combine, MessagesSquare, PackageOpen, Scale } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/Button";
import { Facts } from "@/components/Facts";
import { JobLine } from "@/components/JobLine";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import type { Exported, Run } from "@/lib/types";
import { useAsk, useExport, useMerge, useParity } from "./api";
import css from "./RunDrawer.module.css";

const FORMATS: readonly Exported["format"][] = ["safetensors", "gguf", "ollama"];

/** What is done with a finished run: compare it with what is served, merge it, write it for other programs. */
export function AfterRun({ run, refetch }: { run: Run; refetch: () => void }) {
  const { t, say } = useI18n();
  const parity = useParity();
  const ask = useAsk();
  const merge = useMerge();
  const write = useExport();
  const [format, setFormat] = useState<Exported["format"]>("gguf");
  const jobs = (useJobs().data ?? []).filter(
    ({ kind, params }) => (kind === "tune-merge" || kind === "tune-export") && params.run === run.name,
  );
  const latest = jobs[0];
  const busy = latest ? isActive(latest) : false;
  useEffect(() => {
    if (!busy) refetch();
  }, [busy, refetch]);
  const failed = parity.error ?? ask.error ?? merge.error ?? write.error;
  return (
    <>
      <div className={css.parity}>
        {run.outcome?.adapter && (
          <Button icon={Scale} busy={parity.isPending} onClick={() => parity.mutate(run.name)}>
            {t("tune.parity")}
          </Button>
        )}
        {["sft", "grpo", "ppo"].includes(run.config.objective ?? "") && (
          <Button icon={MessagesSquare} busy={ask.isPending} onClick={() => ask.mutate(run.name)}>
            {t("tune.ask")}
          </Button>
        )}
        {run.outcome?.adapter && !run.merged && (
          <Button icon={Combine} disabled={busy} onClick={() => merge.mutate({ name: run.name, format })}>
            {t("tune.merge")}
          </Button>
        )}
        <select
          aria-label={t("tune.format")}
          value={format}
          onChange={(e) => setFormat(e.target.value as typeof format)}
        >
          {FORMATS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <Button icon={PackageOpen} disabled={busy} onClick={() => write.mutate({ name: run.name, format })}>
          {t("tune.export")}
        </Button>
        {ask.data && (
          <p data-equal={ask.data.tuned > ask.data.base}>
            {t("tune.asked", {
              prompts: ask.data.prompts,
              base: (100 * ask.data.base).toFixed(0),
              tuned: (100 * ask.data.tuned).toFixed(0),
            })}
          </p>
        )}
        {parity.data && <p data-equal={parity.data.equal}>{say(parity.data.said)}</p>}
        {failed && <ErrorPanel error={failed} />}
      </div>
      {latest && (busy || latest.status === "failed") && <JobLine job={latest} title={say(latest.title)} />}
      <Facts
        facts={[
          ...(run.merged
            ? [
                [
                  t("tune.merged"),
                  t("tune.mergedIs", {
                    model: run.merged.model,
                    apart: run.merged.apart.toExponential(1),
                    tolerance: run.merged.tolerance,
                  }),
                ] as [string, string],
              ]
            : []),
          ...(run.exports ?? []).map((done): [string, string] => [`${done.format} ${done.precision}`, done.folder]),
        ]}
      />
    </>
  );
}
