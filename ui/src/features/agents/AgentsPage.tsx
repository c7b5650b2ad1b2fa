import { Waypoints } from "lucide-react";
import { Link } from "wouter";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import css from "./Agents.module.css";
import { useRuns } from "./api";
import { MemoryCard } from "./MemoryCard";
import { RunForm } from "./RunForm";
import { StopBadge } from "./StopBadge";

export default function AgentsPage() {
  const { t, lang } = useI18n();
  const { data, error, refetch, isPending } = useRuns();
  return (
    <Page title={t("agents.title")} lead={t("agents.lead")} narrow>
      <RunForm />
      <MemoryCard />
      <h2 className={css.heading}>{t("agents.runs")}</h2>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={3} height={40} />}
      {data?.length === 0 && <Empty icon={Waypoints} title={t("agents.empty")} hint={t("agents.emptyHint")} />}
      <ul className={css.runs}>
        {data?.map((run) => (
          <li key={run.id}>
            <Link href={`/agents/${run.id}`}>
              <span>{run.wish.task}</span>
              <small>
                {run.model} · {ago(run.created_at, lang)}
              </small>
            </Link>
            <StopBadge run={run} />
          </li>
        ))}
      </ul>
    </Page>
  );
}
