import { useLocation } from "wouter";
import { Page } from "@/components/Page";
import { TabPanel, Tabs } from "@/components/Tabs";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useLessons } from "./api";
import { LessonView } from "./LessonView";
import css from "./Internals.module.css";

export default function InternalsPage({ task }: { task?: string }) {
  const { t, say } = useI18n();
  const [, go] = useLocation();
  const { data, error, isPending, refetch } = useLessons();
  const shown = data?.find((lesson) => lesson.task === task)?.task ?? data?.[0]?.task ?? "";
  return (
    <Page title={t("internals.title")} lead={t("internals.lead")}>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={8} height={28} />}
      {data && (
        <Tabs
          label={t("internals.title")}
          value={shown}
          onChange={(name) => go(`/internals/${name}`)}
          tabs={data.map((lesson) => ({ value: lesson.task, label: `${lesson.task} ${say(lesson.name)}` }))}
        >
          {data.map((lesson) => (
            <TabPanel key={lesson.task} value={lesson.task} className={css.panel}>
              <LessonView lesson={lesson} />
            </TabPanel>
          ))}
        </Tabs>
      )}
    </Page>
  );
}
