import { Send, Square } from "lucide-react";
import type { FormEvent } from "react";
import { Button } from "@/components/Button";
import { useI18n } from "@/lib/i18n";
import css from "./AskLine.module.css";

interface AskLineProps {
  /** What the field is for: its label and its placeholder. */
  label: string;
  value: string;
  onChange: (text: string) => void;
  /** While an answer is on its way one can only stop it. */
  busy: boolean;
  onAsk: (text: string) => void;
  onStop: () => void;
  /** Questions to try it with; none: nothing is said of them. */
  examples?: readonly string[];
  testId?: string;
}

/** One line to ask something, with questions to try it with. */
export function AskLine({ label, value, onChange, busy, onAsk, onStop, examples = [], testId }: AskLineProps) {
  const { t } = useI18n();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value.trim() && !busy) onAsk(value.trim());
  };
  return (
    <>
      <form className={css.ask} onSubmit={submit}>
        <input
          value={value}
          onChange={(event) => onChange(event.target.value)}
          aria-label={label}
          placeholder={label}
          maxLength={2000}
          data-testid={testId}
        />
        {busy ? (
          <Button icon={Square} onClick={onStop}>
            {t("answer.stop")}
          </Button>
        ) : (
          <Button tone="primary" icon={Send} type="submit" disabled={!value.trim()}>
            {t("ask.ask")}
          </Button>
        )}
      </form>
      {examples.length > 0 && <Examples texts={examples} onChoose={onAsk} />}
    </>
  );
}

export function Examples({ texts, onChoose }: { texts: readonly string[]; onChoose: (text: string) => void }) {
  const { t } = useI18n();
  return (
    <div className={css.examples}>
      <span>{t("ask.examples")}</span>
      {texts.map((text) => (
        <button key={text} type="button" onClick={() => onChoose(text)}>
          {text}
        </button>
      ))}
    </div>
  );
}
