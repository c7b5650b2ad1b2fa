import { Check, CheckCheck, ShieldQuestion, X } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import css from "./Agents.module.css";
import { useAnswer, type Pending } from "./api";
import { Values } from "./Values";

/** A call that waits for a person: what would be done, exactly, and the three answers. */
export function ApprovalCard({ run, pending }: { run: string; pending: Pending }) {
  const { t } = useI18n();
  const [reason, setReason] = useState("");
  const answer = useAnswer(run);
  const say = (allowed: boolean, always = false) => answer.mutate({ call: pending.id, allowed, always, reason });
  return (
    <section className={css.ask} role="alertdialog" aria-label={t("agents.ask", { name: pending.name })}>
      <h2>
        <ShieldQuestion size={18} aria-hidden /> {t("agents.ask", { name: pending.name })}
      </h2>
      <p className={css.hint}>{t(`agents.effect.${pending.effect}`)}</p>
      <Values values={pending.arguments} />
      <Field label={t("agents.reason")}>
        {(control) => <input {...control} value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
      <div className={css.bar}>
        <Button icon={X} disabled={answer.isPending} onClick={() => say(false)}>
          {t("agents.no")}
        </Button>
        <Button icon={CheckCheck} disabled={answer.isPending} onClick={() => say(true, true)}>
          {t("agents.always")}
        </Button>
        <Button tone="primary" icon={Check} busy={answer.isPending} onClick={() => say(true)}>
          {t("agents.yes")}
        </Button>
      </div>
      {answer.error && <ErrorPanel error={answer.error} />}
    </section>
  );
}
