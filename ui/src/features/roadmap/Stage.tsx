import { ChevronRight, ListChecks } from "lucide-react";
import { Link } from "wouter";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { figure } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { RoadmapStage, RoadmapTask } from "@/lib/types";
import type { Checking } from "./api";
import { Doctor } from "./Doctor";
import css from "./RoadmapPage.module.css";
import { isBehind, lookOf, wordOf } from "./verdict";
import { VerdictMark } from "./VerdictMark";

interface StageProps {
  stage: RoadmapStage;
  next: string | null;
  checking: Map<string, Checking>;
  onCheck: (tasks: string[]) => void;
}

export function Stage({ stage, next, checking, onCheck }: StageProps) {
  const { t, say } = useI18n();
  const gates = stage.tasks.filter(({ has_gate }) => has_gate);
  const done = gates.length > 0 && gates.every(isBehind);
  const here = stage.tasks.some(({ id }) => id === next);
  return (
    <li id={`stage-${stage.id}`} className={css.stage} data-done={done || undefined} data-here={here || undefined}>
      <span className={css.camp} aria-hidden>
        {stage.id}
      </span>
      <div className={css.stageBody}>
        <header>
          <div>
            <h2>
              <span className="visually-hidden">{t("roadmap.stageShort", { id: stage.id })}: </span>
              {say(stage.title)} {stage.optional && <Badge>{t("roadmap.optional")}</Badge>}
            </h2>
            <p>{say(stage.subtitle)}</p>
            {stage.tools && <p className={css.tools}>{say(stage.tools)}</p>}
          </div>
          {gates.length > 0 && (
            <Button
              small
              icon={ListChecks}
              disabled={gates.some(({ id }) => checking.has(id))}
              onClick={() => onCheck(gates.map(({ id }) => id))}
            >
              {t("roadmap.checkStage")}
            </Button>
          )}
        </header>
        <ul className={css.tasks}>
          {stage.tasks.map((task) => (
            <TaskRow key={task.id} task={task} checking={checking.get(task.id)} isNext={task.id === next} />
          ))}
        </ul>
        {stage.id === "0" && <Doctor />}
      </div>
    </li>
  );
}

/** Numbers, versions and names fit into a row; folders and sentences stand in the drawer. */
const isShort = (value: number | string): boolean => typeof value === "number" || /^[^/\\]{1,20}$/.test(value);

function TaskRow({ task, checking, isNext }: { task: RoadmapTask; checking: Checking | undefined; isNext: boolean }) {
  const { t, say, lang } = useI18n();
  const measured = task.status === "passed" ? task.figures.filter(({ value }) => isShort(value)) : [];
  const figures = measured
    .slice(0, 2)
    .map(({ name, value, unit }) => `${say(name)}: ${figure(value, lang)} ${unit}`.trim())
    .join(" · ");
  const said = checking
    ? t(checking === "now" ? "roadmap.checking" : "roadmap.waiting")
    : figures || (task.has_gate ? say(task.why) : t("roadmap.later"));
  // What a step of one's own would mend is said with its command, in the row already.
  const lacks = !checking && task.status === "cannot_run_here" && !isBehind(task);
  return (
    <li data-task={task.id} data-status={checking ? "checking" : lookOf(task)}>
      <Link href={`/roadmap/${task.id}`} className={css.task} data-next={isNext || undefined}>
        <VerdictMark task={task} checking={checking} />
        <span className={css.id}>{task.id}</span>
        <span className={css.words}>
          <b>
            {say(task.title)} {task.optional && <Badge>{t("roadmap.optional")}</Badge>}
          </b>
          {said && (
            <small>
              {lacks && <b>{t(wordOf(task))}. </b>}
              {said}
            </small>
          )}
          {lacks && task.fix && <code>{task.fix}</code>}
        </span>
        <ChevronRight size={16} aria-hidden />
      </Link>
    </li>
  );
}
