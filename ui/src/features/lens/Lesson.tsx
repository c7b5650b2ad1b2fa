import { ArrowRight, CircleCheck, CircleX } from "lucide-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { useI18n } from "@/lib/i18n";
import css from "./Lens.module.css";

export interface TabProps {
  model: string;
  models: readonly string[];
}

/** What became of a prediction, and where the gate is. */
export function Judged({ passed, task, children }: { passed: boolean; task: string; children: ReactNode }) {
  const { t } = useI18n();
  const Sign = passed ? CircleCheck : CircleX;
  return (
    <div className={css.judged} data-passed={passed} role="status">
      <Sign size={18} aria-hidden />
      <div>
        <p>{children}</p>
        <Link href={`/roadmap/${task}`}>
          {t("lens.toGate", { task })} <ArrowRight size={13} aria-hidden />
        </Link>
      </div>
    </div>
  );
}

/** A token as one sees it: what has no ink gets a sign. */
export const inked = (text: string): string => text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "·");

interface OtherModelProps extends TabProps {
  label: string;
  value: string;
  onChange: (name: string) => void;
}

/** A second model to look at beside the first; the empty name is none. */
export function OtherModel({ label, model, models, value, onChange }: OtherModelProps) {
  const { t } = useI18n();
  if (models.every((name) => name === model))
    return (
      <p className={css.hint} data-unsaved>
        {t("lens.onlyModel", { what: label })}{" "}
        <Link href="/models">
          {t("lens.toModels")} <ArrowRight size={13} aria-hidden />
        </Link>
      </p>
    );
  return (
    <label className={css.model}>
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">–</option>
        {models
          .filter((name) => name !== model)
          .map((name) => (
            <option key={name}>{name}</option>
          ))}
      </select>
    </label>
  );
}
