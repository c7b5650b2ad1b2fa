import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Dialog } from "@/components/Dialog";
import { Facts } from "@/components/Facts";
import { JobLine } from "@/components/JobLine";
import { LogView } from "@/components/LogView";
import { ErrorPanel, FixLine, Skeleton, useErrorText } from "@/components/states";
import { api, stream } from "@/lib/api";
import { dateTime, seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { acceptJob, isActive } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type JobEvent = { event: "progress" | "status"; data: Job } | { event: "log"; data: { text: string } };

export function JobDrawer({ id, onClose }: { id: string; onClose: () => void }) {
  const { t, say } = useI18n();
  const {
    data: job,
    error,
    refetch,
  } = useQuery({
    queryKey: ["job", id],
    queryFn: ({ signal }) => api.get<Job>(`/jobs/${id}`, signal),
  });
  return (
    <Dialog open shape="panel" onClose={onClose} title={job ? say(job.title) : t("jobs.title")}>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {!job && !error && <Skeleton />}
      {job && <Details job={job} />}
    </Dialog>
  );
}

function Details({ job }: { job: Job }) {
  const { t, say, lang } = useI18n();
  const fix = useErrorText()(job.error).fix;
  const active = isActive(job);
  const log = useLog(job.id, active);
  const took = job.started_at && (Date.parse(job.finished_at ?? job.started_at) - Date.parse(job.started_at)) / 1000;
  return (
    <>
      <JobLine job={job} title={say(job.stage) || say(job.title)} />
      {job.status === "failed" && fix && <FixLine fix={fix} />}
      <Facts
        facts={[
          [t("jobs.kind"), job.kind],
          [t("jobs.attempt"), job.attempt],
          [t("jobs.began"), dateTime(job.started_at, lang)],
          [t("jobs.took"), job.finished_at && took !== null ? seconds(took as number) : null],
          [t("jobs.params"), <code key="params">{JSON.stringify(job.params)}</code>],
          [t("jobs.result"), job.result && <code key="result">{JSON.stringify(job.result)}</code>],
        ]}
      />
      <LogView title={t("jobs.log")} text={log} empty={t("jobs.noLog")} follow={active} />
    </>
  );
}

/** The log's end, and while the job runs what is added to it. */
function useLog(id: string, active: boolean): string {
  const queries = useQueryClient();
  const [added, setAdded] = useState("");
  const { data } = useQuery({
    queryKey: ["job-log", id, active],
    queryFn: ({ signal }) => api.get<{ text: string }>(`/jobs/${id}/log`, signal),
    // Whoever follows a running job gets its lines by the stream; the file holds what came before and after.
    refetchInterval: active ? 3_000 : false,
  });

  useEffect(() => {
    if (!active) return;
    const stop = new AbortController();
    const follow = async () => {
      for await (const { event, data } of stream<JobEvent>(`/jobs/${id}/events`, stop.signal)) {
        if (event === "log") setAdded((old) => `${old}${data.text}\n`);
        else acceptJob(queries, data);
      }
    };
    follow().catch(() => undefined); // cut off: the log file is read again anyway
    return () => stop.abort();
  }, [id, active, queries]);

  return data?.text || added;
}
