import { BookOpenText, Columns2, FilePlus2, Wrench } from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import type { Run } from "@/lib/types";
import { useAddDataset, useAddExample, useDatasets, useRuns } from "./api";
import { CompareRuns } from "./CompareRuns";
import { DatasetCard } from "./DatasetCard";
import { MakeData } from "./MakeData";
import { RunDrawer } from "./RunDrawer";
import { TrainDialog } from "./TrainDialog";
import css from "./TuningPage.module.css";

const ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.xlsx,.xls,.ods";

const MOST_COMPARED = 4;

export default function TuningPage({ name }: { name?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const datasets = useDatasets();
  const runs = useRuns();
  const add = useAddDataset();
  const example = useAddExample();
  const input = useRef<HTMLInputElement>(null);
  const [training, setTraining] = useState<string | null>(null);
  const [making, setMaking] = useState(false);
  const [marked, setMarked] = useState<readonly string[]>([]);
  const [comparing, setComparing] = useState(false);
  return (
    <Page
      title={t("tune.title")}
      lead={t("tune.lead")}
      actions={
        <>
          <Button icon={BookOpenText} onClick={() => setMaking(true)}>
            {t("tune.make")}
          </Button>
          <Button tone="primary" icon={FilePlus2} busy={add.isPending} onClick={() => input.current?.click()}>
            {t("tune.addData")}
          </Button>
        </>
      }
    >
      <input
        ref={input}
        type="file"
        hidden
        accept={ACCEPTED}
        data-testid="dataset-file"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) add.mutate(file);
          event.target.value = "";
        }}
      />
      {(add.error ?? example.error) && <ErrorPanel error={add.error ?? example.error} />}
      <section className={css.section}>
        <h2>{t("tune.data")}</h2>
        {datasets.error && <ErrorPanel error={datasets.error} retry={() => void datasets.refetch()} />}
        {datasets.isPending && <Skeleton lines={2} height={48} />}
        {datasets.data?.length === 0 && (
          <Empty icon={Wrench} title={t("tune.noData")} hint={t("tune.noDataHint")}>
            <Button busy={example.isPending} onClick={() => example.mutate()}>
              {t("tune.example")}
            </Button>
          </Empty>
        )}
        {datasets.data?.map((dataset) => (
          <DatasetCard key={dataset.name} dataset={dataset} onTrain={() => setTraining(dataset.name)} />
        ))}
      </section>
      <section className={css.section}>
        <h2>{t("tune.runs")}</h2>
        {runs.error && <ErrorPanel error={runs.error} retry={() => void runs.refetch()} />}
        {runs.data?.length === 0 && <p className={css.none}>{t("tune.noRuns")}</p>}
        <ul className={css.list}>
          {runs.data?.map((run) => (
            <RunLine
              key={run.name}
              run={run}
              isMarked={marked.includes(run.name)}
              onMark={(is) => setMarked((now) => (is ? [...now, run.name] : now.filter((one) => one !== run.name)))}
            />
          ))}
        </ul>
        {(runs.data?.length ?? 0) > 1 && (
          <p className={css.compare}>
            <Button small icon={Columns2} disabled={marked.length < 2} onClick={() => setComparing(true)}>
              {t("tune.compare")}
            </Button>
            {marked.length < 2 && <small>{t("tune.compareHint")}</small>}
          </p>
        )}
      </section>
      {training && (
        <TrainDialog
          data={training}
          kind={datasets.data?.find(({ name }) => name === training)?.report?.kind ?? "chat"}
          onClose={() => setTraining(null)}
          onStarted={(run) => {
            setTraining(null);
            go(`/tuning/${encodeURIComponent(run.name)}`);
          }}
        />
      )}
      {making && <MakeData onClose={() => setMaking(false)} />}
      {comparing && <CompareRuns names={marked.slice(0, MOST_COMPARED)} onClose={() => setComparing(false)} />}
      {name && <RunDrawer name={name} onClose={() => go("/tuning")} />}
    </Page>
  );
}

interface RunLineProps {
  run: Run;
  isMarked: boolean;
  onMark: (is: boolean) => void;
}

function RunLine({ run, isMarked, onMark }: RunLineProps) {
  const { t, say } = useI18n();
  const job = (useJobs().data ?? []).find(({ id }) => id === run.job_id);
  const link = <Link href={`/tuning/${encodeURIComponent(run.name)}`}>{run.name}</Link>;
  const out = run.outcome;
  if (job && isActive(job)) {
    return (
      <li>
        <JobLine job={job} title={link} />
      </li>
    );
  }
  return (
    <li className={css.run}>
      {!run.error && (
        <input
          type="checkbox"
          aria-label={t("tune.mark", { name: run.name })}
          checked={isMarked}
          onChange={(event) => onMark(event.target.checked)}
        />
      )}
      {link}
      <span>{run.error ? say(run.error) : `${run.config.model} · ${run.config.data}`}</span>
      <b>
        {run.error
          ? ""
          : out
            ? `${out.held_out_before.toFixed(3)} → ${out.held_out_after.toFixed(3)}`
            : t("tune.unfinished")}
      </b>
    </li>
  );
}
