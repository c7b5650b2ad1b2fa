import { Activity, BookOpen } from "lucide-react";
import { Link, useLocation } from "wouter";
import { Page } from "@/components/Page";
import { Segments } from "@/components/Segments";
import { TabPanel, Tabs } from "@/components/Tabs";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useLessons, type Lesson } from "./api";
import { LessonView } from "./LessonView";
import css from "./Internals.module.css";

/** The number of the roadmap's task: 6.7.2 is a part of 6.7. */
const group = (task: string) => task.split(".").slice(0, 2).join(".");

export default function InternalsPage({ task }: { task?: string }) {
  const { t, say } = useI18n();
  const [, go] = useLocation();
  const { data, error, isPending, refetch } = useLessons();
  const lesson = data?.find((one) => one.task === task) ?? data?.find((one) => group(one.task) === task) ?? data?.[0];
  const groups = [...new Set(data?.map((one) => group(one.task)))];
  const inGroup = (name: string) => data?.filter((one) => group(one.task) === name) ?? [];
  // A task of the roadmap gives its name to the further parts of it; 6.7 has parts only.
  const title = (name: string, lessons: Lesson[]) =>
    lessons[0]?.task === name ? say(lessons[0].name) : t("internals.beyond");
  return (
    <Page
      title={t("internals.title")}
      lead={t("internals.lead")}
      actions={
        <>
          <Link href="/internals/live" className={css.toPapers}>
            <Activity size={15} aria-hidden /> {t("live.open")}
          </Link>
          <Link href="/internals/papers" className={css.toPapers}>
            <BookOpen size={15} aria-hidden /> {t("papers.title")}
          </Link>
        </>
      }
    >
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={8} height={28} />}
      {lesson && (
        <Tabs
          label={t("internals.title")}
          value={group(lesson.task)}
          onChange={(name) => go(`/internals/${name}`)}
          tabs={groups.map((name) => ({ value: name, label: `${name} ${title(name, inGroup(name))}` }))}
        >
          {groups.map((name) => (
            <TabPanel key={name} value={name} className={css.panel}>
              {inGroup(name).length > 1 && (
                <Segments
                  label={title(name, inGroup(name))}
                  value={lesson.task}
                  onChange={(chosen) => go(`/internals/${chosen}`)}
                  options={inGroup(name).map((one) => ({ value: one.task, label: say(one.name) }))}
                />
              )}
              {group(lesson.task) === name && <LessonView key={lesson.task} lesson={lesson} />}
            </TabPanel>
          ))}
        </Tabs>
      )}
    </Page>
  );
}
