import { Activity } from "lucide-react";
import { Link, useLocation, useSearchParams } from "wouter";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useJobs } from "@/lib/queries";
import type { JobStatus } from "@/lib/types";
import { JobDrawer } from "./JobDrawer";
import css from "./JobsPage.module.css";

const STATES: readonly JobStatus[] = ["running", "queued", "done", "failed", "cancelled"];

export default function JobsPage({ id }: { id?: string }) {
  const { t, say } = useI18n();
  const [, go] = useLocation();
  const [params, setParams] = useSearchParams();
  const { data, error, refetch, isPending } = useJobs();
  const wanted = STATES.find((status) => status === params.get("status"));
  const shown = (data ?? []).filter(({ status }) => !wanted || status === wanted);
  const count = (status: JobStatus) => (data ?? []).filter((job) => job.status === status).length;
  return (
    <Page title={t("jobs.title")} lead={t("jobs.lead")}>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={5} height={36} />}
      {data?.length === 0 && <Empty icon={Activity} title={t("jobs.empty")} hint={t("jobs.emptyHint")} />}
      {data && data.length > 0 && (
        <>
          <div className={css.filters} role="group" aria-label={t("jobs.title")}>
            <button type="button" aria-pressed={!wanted} onClick={() => setParams({})}>
              {t("jobs.all")} <small>{data.length}</small>
            </button>
            {STATES.filter((status) => count(status) > 0 || status === wanted).map((status) => (
              <button type="button" key={status} aria-pressed={status === wanted} onClick={() => setParams({ status })}>
                {t(`job.status.${status}`)} <small>{count(status)}</small>
              </button>
            ))}
          </div>
          {!shown.length && <p className={css.none}>{t("jobs.noneInFilter")}</p>}
          <ul className={css.list}>
            {shown.map((job) => (
              <li key={job.id}>
                <JobLine job={job} title={<Link href={`/jobs/${job.id}`}>{say(job.title)}</Link>} />
              </li>
            ))}
          </ul>
        </>
      )}
      {id && <JobDrawer id={id} onClose={() => go("/jobs")} />}
    </Page>
  );
}
