import { Trash2 } from "lucide-react";
import { Link, useLocation } from "wouter";
import { IconButton } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { useDelete, useRun, useRuns, type LongtextRun } from "./api";
import { RunResult } from "./RunResult";
import { StartForm } from "./StartForm";
import css from "./Longtext.module.css";

export default function LongtextPage({ id = "" }: { id?: string }) {
  const { t, lang } = useI18n();
  const [, go] = useLocation();
  const runs = useRuns();
  const run = useRun(id);
  const remove = useDelete();
  const job = (useJobs().data ?? []).find(({ kind, params }) => kind === "longtext" && params.run === id);
  const name = (one: LongtextRun) => one.wish.question || t(`longtext.want.${one.wish.want ?? "ask"}`);
  return (
    <Page title={t("longtext.title")} lead={t("longtext.lead")}>
      <div className={css.page}>
        <StartForm onStarted={(started) => go(`/longtext/${started}`)} />
        {job && (isActive(job) || job.status === "failed") && <JobLine job={job} />}
        {run.error && <ErrorPanel error={run.error} />}
        {id && run.isPending && <Skeleton lines={4} height={28} />}
        {run.data && <RunResult run={run.data} />}
        <section>
          <h2>{t("longtext.history")}</h2>
          {runs.error && <ErrorPanel error={runs.error} />}
          {runs.data?.length === 0 && <p className={css.hint}>{t("longtext.none")}</p>}
          <ul className={css.runs}>
            {runs.data?.map((one) => (
              <li key={one.id} data-chosen={one.id === id || undefined}>
                <Link href={`/longtext/${one.id}`}>{name(one)}</Link>
                <small>
                  {one.wish.name} · {one.model} · {ago(one.created_at, lang)}
                </small>
                <IconButton
                  small
                  icon={Trash2}
                  label={t("longtext.delete")}
                  onClick={() => remove.mutate(one.id, { onSuccess: () => one.id === id && go("/longtext") })}
                />
              </li>
            ))}
          </ul>
        </section>
      </div>
    </Page>
  );
}
