import { Braces, Eraser, Sparkles } from "lucide-react";
import { useId } from "react";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { useI18n } from "@/lib/i18n";
import css from "./Playground.module.css";
import { parseJson, type Problem } from "./validate";

interface JsonEditorProps {
  label: string;
  value: string;
  onChange: (next: string) => void;
  example: string;
  check: (value: unknown) => Problem[];
}

/** JSON to write by hand: what is wrong is said under it while one types. */
export function JsonEditor({ label, value, onChange, example, check }: JsonEditorProps) {
  const { t } = useI18n();
  const id = useId();
  const isEmpty = !value.trim();
  const parsed = isEmpty ? {} : parseJson(value);
  const problems = isEmpty ? [] : parsed.problem ? [parsed.problem] : check(parsed.value);
  return (
    <div className={css.json}>
      <div className={css.jsonTools}>
        <Button
          small
          icon={Braces}
          disabled={isEmpty || !!parsed.problem}
          onClick={() => onChange(JSON.stringify(parsed.value, null, 2))}
        >
          {t("play.tidy")}
        </Button>
        <Button small icon={Sparkles} disabled={!isEmpty} onClick={() => onChange(example)}>
          {t("play.example")}
        </Button>
        <Button small icon={Eraser} disabled={isEmpty} onClick={() => onChange("")}>
          {t("play.clear")}
        </Button>
        {!isEmpty && !problems.length && <Badge tone="ok">{t("play.valid")}</Badge>}
      </div>
      <textarea
        className={`${controlClass} ${css.mono}`}
        rows={16}
        spellCheck={false}
        autoFocus
        aria-label={label}
        aria-invalid={problems.length > 0 || undefined}
        aria-describedby={id}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      <ul id={id} className={css.problems} aria-live="polite">
        {problems.map(({ key, values }, index) => (
          <li key={index}>{t(key, values)}</li>
        ))}
      </ul>
    </div>
  );
}
