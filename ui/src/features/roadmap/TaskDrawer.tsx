import { ArrowRight, ListChecks } from "lucide-react";
import { Link } from "wouter";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Prose } from "@/components/Prose";
import { ErrorPanel, FixLine, Skeleton } from "@/components/states";
import { ago, dateTime, figure, seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Evidence, Figure, RoadmapTask } from "@/lib/types";
import { useEvidence, type Checking } from "./api";
import { pageOf } from "./pageOf";
import css from "./TaskDrawer.module.css";
import { lookOf, wordOf } from "./verdict";
import { VerdictMark } from "./VerdictMark";

interface TaskDrawerProps {
  task: RoadmapTask;
  checking: Checking | undefined;
  onCheck: () => void;
  onClose: () => void;
}

export function TaskDrawer({ task, checking, onCheck, onClose }: TaskDrawerProps) {
  const { t, say } = useI18n();
  const page = pageOf(task.id);
  return (
    <Dialog open shape="panel" onClose={onClose} title={`${task.id} ${say(task.title)}`}>
      <div className={css.task}>
        <VerdictPanel task={task} checking={checking} onCheck={onCheck} />
        <section>
          <h3>{t("roadmap.gate")}</h3>
          <Prose text={say(task.gate)} />
          {task.needs.length > 0 && <p className={css.quiet}>{t("roadmap.needs", { tasks: task.needs.join(", ") })}</p>}
        </section>
        {task.guide && (
          <section>
            <h3>{t("roadmap.guide")}</h3>
            <Prose text={say(task.guide)} />
            {page && (
              <Link href={page} className={css.page}>
                {t("roadmap.openPage")} <ArrowRight size={15} aria-hidden />
              </Link>
            )}
          </section>
        )}
        {task.command && (
          <section>
            <h3>{t("roadmap.command")}</h3>
            <FixLine bare fix={task.command} />
          </section>
        )}
        {task.has_gate && <History task={task.id} />}
      </div>
    </Dialog>
  );
}

function VerdictPanel({ task, checking, onCheck }: Omit<TaskDrawerProps, "onClose">) {
  const { t, say, lang } = useI18n();
  const { why, fix, figures, checked_at } = task;
  const words = checking
    ? t(checking === "now" ? "roadmap.checking" : "roadmap.waiting")
    : task.has_gate
      ? t(wordOf(task))
      : t("roadmap.later");
  return (
    <section className={css.verdict} data-status={checking ? "checking" : lookOf(task)} aria-live="polite">
      <header>
        <VerdictMark task={task} checking={checking} />
        <strong>{words}</strong>
        {task.slow && <Badge>{t("roadmap.slow")}</Badge>}
        {checked_at && !checking && <small>{ago(checked_at, lang)}</small>}
        {task.has_gate && (
          <Button small icon={ListChecks} busy={checking === "now"} disabled={checking !== undefined} onClick={onCheck}>
            {t(checked_at ? "roadmap.checkAgain" : "roadmap.check")}
          </Button>
        )}
      </header>
      {!checking && (
        <>
          {why && <Prose text={say(why)} />}
          {fix && <FixLine fix={fix} />}
          <Figures figures={figures} />
        </>
      )}
    </section>
  );
}

/** Characters from which a figure is a sentence and takes a line of its own. */
const LONG = 24;

function Figures({ figures }: { figures: readonly Figure[] }) {
  const { say, lang } = useI18n();
  if (!figures.length) return null;
  return (
    <dl className={css.figures}>
      {figures.map(({ name, value, unit }, index) => (
        <div key={index} data-long={String(value).length > LONG || undefined}>
          <dt>{say(name)}</dt>
          <dd>
            {figure(value, lang)} <small>{unit}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function History({ task }: { task: string }) {
  const { t, lang } = useI18n();
  const { data, error, refetch, isPending } = useEvidence(task);
  return (
    <section>
      <h3>{t("roadmap.evidence")}</h3>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={2} />}
      {data?.length === 0 && <p className={css.quiet}>{t("roadmap.evidenceNone")}</p>}
      {data?.map((run) => (
        <details key={run.checked_at} className={css.run}>
          <summary>
            <b data-status={lookOf(run.verdict)}>{t(wordOf(run.verdict))}</b> {dateTime(run.checked_at, lang)} ·{" "}
            {seconds(run.seconds)}
          </summary>
          <Run run={run} />
        </details>
      ))}
    </section>
  );
}

function Run({ run }: { run: Evidence }) {
  const { t, say } = useI18n();
  return (
    <div className={css.runBody}>
      <Prose text={say(run.verdict.why)} />
      <Figures figures={run.verdict.figures} />
      {run.verdict.artefacts.length > 0 && (
        <>
          <h4>{t("roadmap.artefacts")}</h4>
          {run.verdict.artefacts.map(({ name, sha256 }) => (
            <p key={name} className={css.hash}>
              {name} <code>{sha256}</code>
            </p>
          ))}
        </>
      )}
      <h4>{t("roadmap.versions")}</h4>
      <p className={css.hash}>
        {Object.entries(run.versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(" · ")}
      </p>
    </div>
  );
}
