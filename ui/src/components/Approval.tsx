import { Check, CheckCheck, Pencil, ShieldQuestion, X } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { Values } from "@/components/Values";
import { useI18n } from "@/lib/i18n";
import css from "./Approval.module.css";

export interface Approval {
  allowed: boolean;
  always: boolean;
  reason: string;
  /** What to do instead of what the model asked for. */
  arguments?: Record<string, unknown>;
}

interface ApprovalProps {
  name: string;
  effect: "read" | "write" | "run" | "send";
  values: unknown;
  busy: boolean;
  error: unknown;
  onAnswer: (answer: Approval) => void;
}

type Draft = Record<string, string>;

const shown = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

/** A call that waits for a person: what would be done, exactly, and the answers: yes, no, or yes to something else. */
export function ApprovalCard({ name, effect, values, busy, error, onAnswer }: ApprovalProps) {
  const { t } = useI18n();
  const [reason, setReason] = useState("");
  const [draft, setDraft] = useState<Draft | null>(null);
  const given = typeof values === "object" && values !== null && !Array.isArray(values) ? values : null;
  const changed = draft && given ? read(draft, given as Record<string, unknown>) : undefined;
  const say = (allowed: boolean, always = false) =>
    onAnswer({
      allowed,
      always,
      reason,
      ...(allowed && changed && JSON.stringify(changed) !== JSON.stringify(given) ? { arguments: changed } : {}),
    });
  return (
    <section className={css.ask} role="alertdialog" aria-label={t("approval.ask", { name })} data-testid="approval">
      <h2>
        <ShieldQuestion size={18} aria-hidden /> {t("approval.ask", { name })}
      </h2>
      <p className={css.hint}>{t(`approval.effect.${effect}`)}</p>
      {draft ? (
        Object.entries(draft).map(([key, value]) => (
          <Field key={key} label={key}>
            {(control) => (
              <textarea
                {...control}
                className={css.value}
                rows={Math.min(10, value.split("\n").length + 1)}
                value={value}
                onChange={(event) => setDraft({ ...draft, [key]: event.target.value })}
              />
            )}
          </Field>
        ))
      ) : (
        <Values values={values} />
      )}
      {draft && changed === null && <p className={css.bad}>{t("approval.notJson")}</p>}
      <Field label={t("approval.reason")}>
        {(control) => <input {...control} value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
      <div className={css.bar}>
        {given && !draft && (
          <Button
            icon={Pencil}
            tone="ghost"
            disabled={busy}
            onClick={() => setDraft(Object.fromEntries(Object.entries(given).map(([key, v]) => [key, shown(v)])))}
          >
            {t("approval.edit")}
          </Button>
        )}
        <Button icon={X} disabled={busy} onClick={() => say(false)}>
          {t("approval.no")}
        </Button>
        {!draft && (
          <Button icon={CheckCheck} disabled={busy} onClick={() => say(true, true)}>
            {t("approval.always")}
          </Button>
        )}
        <Button tone="primary" icon={Check} busy={busy} disabled={changed === null} onClick={() => say(true)}>
          {t(draft ? "approval.yesChanged" : "approval.yes")}
        </Button>
      </div>
      {error ? <ErrorPanel error={error} /> : null}
    </section>
  );
}

/** The arguments as they were written; null where one that is no text is no JSON any more. */
function read(draft: Draft, given: Record<string, unknown>): Record<string, unknown> | null {
  try {
    return Object.fromEntries(
      Object.entries(draft).map(([key, text]) => [
        key,
        typeof given[key] === "string" ? text : (JSON.parse(text) as unknown),
      ]),
    );
  } catch {
    return null;
  }
}
