import { Ban, Check, CircleX, Clock, ListChecks, Wrench } from "lucide-react";
import { Link } from "wouter";
import { ApprovalCard } from "@/components/Approval";
import { Spinner } from "@/components/Button";
import { Values } from "@/components/Values";
import { seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { ChatStep } from "@/lib/types";
import { useApprove } from "./api";
import css from "./Steps.module.css";

/** The work on an answer: its plan, and each call folded, with what it was given and what came of it. */
export function Steps({ steps, run, live }: { steps: ChatStep[]; run: string | null; live: boolean }) {
  const { t } = useI18n();
  const approve = useApprove(run);
  if (!steps.length) return null;
  return (
    <div className={css.steps} data-testid="steps">
      {steps.map((step) => {
        if (step.kind === "plan") return <Plan key={step.id} step={step} />;
        if (step.state !== "waiting" || !live) return <Call key={step.id} step={step} live={live} />;
        return (
          <ApprovalCard
            key={step.id}
            name={step.name}
            effect={step.effect ?? "write"}
            values={step.arguments}
            busy={approve.isPending}
            error={approve.error}
            onAnswer={(answer) => approve.mutate({ call: step.id, ...answer })}
          />
        );
      })}
      {run && !live && (
        <Link className={css.trace} href={`/agents/${run}`}>
          {t("chat.trace")}
        </Link>
      )}
    </div>
  );
}

function Plan({ step }: { step: ChatStep }) {
  const { t } = useI18n();
  return (
    <details className={css.step}>
      <summary>
        <ListChecks size={15} aria-hidden />
        <span>{t("chat.plan", { n: step.plan.length })}</span>
      </summary>
      <ol className={css.plan}>
        {step.plan.map(({ tool, aim }, place) => (
          <li key={place}>
            <code>{tool}</code> {aim}
          </li>
        ))}
      </ol>
    </details>
  );
}

const ICONS = { done: Check, failed: CircleX, refused: Ban, waiting: Clock, running: Wrench } as const;

function Call({ step, live }: { step: ChatStep; live: boolean }) {
  const { t } = useI18n();
  // What was on its way when the answer ended is not on its way any more.
  const state = !live && (step.state === "running" || step.state === "waiting") ? "failed" : step.state;
  const Icon = ICONS[state];
  return (
    <details className={css.step} data-state={state}>
      <summary>
        {state === "running" ? <Spinner size={15} /> : <Icon size={15} aria-hidden />}
        <code>{step.name}</code>
        <span className={css.brief}>{brief(step.changed ?? step.arguments)}</span>
        <small>
          {t(`chat.step.${state}`)}
          {step.seconds !== null && ` · ${seconds(step.seconds)}`}
        </small>
      </summary>
      <div className={css.inside}>
        <h4>{t("chat.stepInput")}</h4>
        <Values values={step.arguments} />
        {step.changed && (
          <>
            <h4>{t("chat.stepChanged")}</h4>
            <Values values={step.changed} />
          </>
        )}
        {step.result && (
          <>
            <h4>{t("chat.stepOutput")}</h4>
            <pre>{step.result}</pre>
          </>
        )}
      </div>
    </details>
  );
}

/** The arguments on one line. */
function brief(values: unknown): string {
  const told =
    typeof values === "object" && values !== null && !Array.isArray(values) ? Object.values(values) : [values];
  return told.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(", ");
}
