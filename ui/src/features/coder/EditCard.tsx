import { Check, FlaskConical, Trash2, Undo2 } from "lucide-react";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { Worded } from "./AnswerCard";
import { useEditStep, type Edit } from "./api";
import css from "./Coder.module.css";

const TONES: Record<Edit["status"], BadgeTone> = {
  proposed: "info",
  applied: "ok",
  undone: "neutral",
  refused: "warn",
};

/** One change: its diff, how the tests went with it, and what a person decides about it. */
export function EditCard({ repo, edit }: { repo: string; edit: Edit }) {
  const { t, say } = useI18n();
  const step = useEditStep(repo, edit.id);
  const going = step.isPending ? step.variables : null;
  const can = edit.status !== "refused";
  return (
    <article className={css.card} data-testid="coder-edit">
      <header>
        <h3>
          <Worded text={edit.instruction} />
        </h3>
        <Badge tone={TONES[edit.status]}>{t(`coder.edit.${edit.status}`)}</Badge>
      </header>
      <p className={css.root}>
        {edit.path} {edit.symbol}
      </p>
      {edit.problem && <p className={css.warning}>{say(edit.problem)}</p>}
      {edit.diff && <Diff text={edit.diff} path={edit.path ?? ""} />}
      {edit.tests && <Tests run={edit.tests} />}
      {step.error && <ErrorPanel error={step.error} />}
      <div className={css.steps}>
        {can && (
          <Button small icon={FlaskConical} busy={going === "tests"} onClick={() => step.mutate("tests")}>
            {t("coder.test")}
          </Button>
        )}
        {(edit.status === "proposed" || edit.status === "undone") && (
          <Button small tone="primary" icon={Check} busy={going === "apply"} onClick={() => step.mutate("apply")}>
            {t("coder.approve")}
          </Button>
        )}
        {edit.status === "applied" && (
          <Button small icon={Undo2} busy={going === "undo"} onClick={() => step.mutate("undo")}>
            {t("coder.undo")}
          </Button>
        )}
        <Button small tone="ghost" icon={Trash2} busy={going === "forget"} onClick={() => step.mutate("forget")}>
          {t("coder.discard")}
        </Button>
      </div>
    </article>
  );
}

function Diff({ text, path }: { text: string; path: string }) {
  const { t } = useI18n();
  const lines = text.replace(/\n$/, "").split("\n").slice(2);
  return (
    <div className={css.diff} role="group" aria-label={t("coder.diff", { path })} tabIndex={0}>
      {lines.map((line, index) => (
        <span key={index} data-mark={line[0]}>
          {line || " "}
        </span>
      ))}
    </div>
  );
}

function Tests({ run }: { run: NonNullable<Edit["tests"]> }) {
  const { t } = useI18n();
  return (
    <details className={css.more} open={!run.passed}>
      <summary>
        <Badge tone={run.passed ? "ok" : "bad"}>
          {t(run.passed ? "coder.passed" : run.timed_out ? "coder.timedOut" : "coder.failed")}
        </Badge>{" "}
        <code>{run.command}</code>
      </summary>
      <pre className={css.code}>{run.output}</pre>
    </details>
  );
}
