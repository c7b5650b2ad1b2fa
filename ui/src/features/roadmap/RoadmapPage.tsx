import { FileDown, Flag, ListChecks } from "lucide-react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/Button";
import { Menu, MenuItem } from "@/components/Menu";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { download } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { Roadmap } from "@/lib/types";
import { useCheck, useChecking, useRoadmap } from "./api";
import css from "./RoadmapPage.module.css";
import { Stage } from "./Stage";
import { TaskDrawer } from "./TaskDrawer";
import { Trail } from "./Trail";

export default function RoadmapPage({ task }: { task?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const { data, error, refetch, isPending } = useRoadmap();
  const checking = useChecking();
  const check = useCheck();
  const errorText = useErrorText();
  const run = (tasks: string[]) => check.mutate(tasks, { onError: (refusal) => toast(errorText(refusal).text, "bad") });
  const shown = data?.stages.flatMap(({ tasks }) => tasks).find(({ id }) => id === task);
  return (
    <Page
      title={t("roadmap.title")}
      lead={t("roadmap.lead")}
      actions={
        <>
          <Menu trigger={<Button icon={FileDown}>{t("roadmap.report")}</Button>}>
            <MenuItem onSelect={() => void download("/roadmap/report?format=html", "zhilu-report.html")}>HTML</MenuItem>
            <MenuItem onSelect={() => void download("/roadmap/report?format=json", "zhilu-report.json")}>JSON</MenuItem>
          </Menu>
          <Button
            tone="primary"
            icon={ListChecks}
            busy={check.isPending}
            disabled={checking.size > 0}
            onClick={() => run([])}
          >
            {t("roadmap.checkAll")}
          </Button>
        </>
      }
    >
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={8} height={30} />}
      {data && (
        <>
          <Trail roadmap={data} />
          <NextStep roadmap={data} />
          <ol className={css.stages}>
            {data.stages.map((stage) => (
              <Stage key={stage.id} stage={stage} next={data.next} checking={checking} onCheck={run} />
            ))}
          </ol>
        </>
      )}
      {shown && (
        <TaskDrawer
          task={shown}
          checking={checking.get(shown.id)}
          onCheck={() => run([shown.id])}
          onClose={() => go("/roadmap")}
        />
      )}
    </Page>
  );
}

function NextStep({ roadmap }: { roadmap: Roadmap }) {
  const { t, say } = useI18n();
  const next = roadmap.stages.flatMap(({ tasks }) => tasks).find(({ id }) => id === roadmap.next);
  return (
    <p className={css.next}>
      <Flag size={16} aria-hidden />
      <b>{t("roadmap.progress", { passed: roadmap.passed, checkable: roadmap.checkable })}</b>
      {next ? (
        <span>
          {t("roadmap.next")}:{" "}
          <Link href={`/roadmap/${next.id}`}>
            {next.id} {say(next.title)}
          </Link>{" "}
          <small>({say(roadmap.next_why)})</small>
        </span>
      ) : (
        <span>{say(roadmap.next_why)}</span>
      )}
    </p>
  );
}
