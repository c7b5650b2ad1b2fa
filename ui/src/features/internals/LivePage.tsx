import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowLeft } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { Lesson, LessonCard } from "@/components/Lesson";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { api } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { useModels, useStatus } from "@/lib/queries";
import { useShared } from "@/lib/shared";
import { BlockTables } from "./BlockTables";
import { joined, type EngineSteps } from "./live";
import { LiveAsk } from "./LiveAsk";
import { LiveTimeline } from "./LiveTimeline";
import css from "./Internals.module.css";

const EVERY_MS = 500;

/** The steps of a running model's engine, from the moment the page is opened on. */
function useSteps(model: string, moving: boolean) {
  const queries = useQueryClient();
  const key = ["engine-steps", model];
  return useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const before = queries.getQueryData<EngineSteps>(key);
      const ask = (after: number) =>
        api.get<EngineSteps>(`/engines/running/${encodeURIComponent(model)}/steps?after=${after}`, signal);
      const news = await ask(before?.last ?? 0);
      return before && news.last < before.last ? ask(0) : joined(before, news);
    },
    enabled: model !== "",
    refetchInterval: moving ? EVERY_MS : false,
    refetchOnWindowFocus: false,
    gcTime: 0,
    retry: false,
  });
}

/** The scheduler and the block tables of the engine that runs, drawn as they change. */
export default function LivePage() {
  const { t } = useI18n();
  const running = (useModels().data ?? []).filter(({ state }) => state === "ready").map(({ name }) => name);
  const fallback = useStatus().data?.model.name ?? "";
  const [chosen, choose] = useShared<string>("model", "");
  const model = running.includes(chosen) ? chosen : running.includes(fallback) ? fallback : (running[0] ?? fallback);
  const [moving, move] = useState(true);
  const isRunning = running.includes(model);
  const { data, error, isPending, refetch } = useSteps(isRunning ? model : "", moving);
  return (
    <Page
      title={t("live.title")}
      lead={t("live.lead")}
      actions={
        <>
          <label className={css.shelf}>
            <span>{t("live.model")}</span>
            <select value={model} onChange={(event) => choose(event.target.value)}>
              {(running.length ? running : [model]).map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <Link href="/internals/6.5" className={css.toPapers}>
            <ArrowLeft size={15} aria-hidden /> 6.5 PagedAttention
          </Link>
        </>
      }
    >
      <div className={css.papers}>
        <Lesson title={t("live.words.title")} text={t("live.words")} />
        {model && <LiveAsk model={model} />}
        <LessonCard title={t("live.timeline")} hint={t("live.timelineHint")}>
          {error && <ErrorPanel error={error} retry={() => void refetch()} />}
          {!isRunning && <p className={css.hint}>{t("live.notRunning")}</p>}
          {isPending && isRunning && !error && <Skeleton lines={5} height={28} />}
          {data && <LiveTimeline model={model} seen={data} moving={moving} onMove={move} />}
        </LessonCard>
        {data && <BlockTables seen={data} />}
      </div>
    </Page>
  );
}
