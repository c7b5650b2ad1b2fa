import { X } from "lucide-react";
import { useId } from "react";
import { IconButton } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { useI18n, type Key } from "@/lib/i18n";
import css from "./Playground.module.css";
import type { Knob } from "./request";

interface KnobsProps {
  knobs: readonly Knob[];
  numbers: Record<string, number>;
  onChange: (numbers: Record<string, number>) => void;
}

/** Numbers of the request, each with a handle for trying and a field for exact values. */
export function Knobs({ knobs, numbers, onChange }: KnobsProps) {
  const set = (key: string, value: number | undefined) => {
    const next = { ...numbers };
    if (value === undefined) delete next[key];
    else next[key] = value;
    onChange(next);
  };
  return knobs.map((knob) => (
    <KnobLine key={knob.key} knob={knob} value={numbers[knob.key]} onChange={(value) => set(knob.key, value)} />
  ));
}

function KnobLine({ knob, value, onChange }: { knob: Knob; value?: number; onChange: (value?: number) => void }) {
  const { t } = useI18n();
  const id = useId();
  const { key, low, high, step, slider, rest } = knob;
  const take = (given: number) => {
    if (Number.isNaN(given)) return onChange(undefined);
    const whole = step === 1 ? Math.round(given) : given;
    onChange(Math.min(high, Math.max(low, whole)));
  };
  return (
    <div className={css.knob}>
      <label htmlFor={id}>
        <code>{key}</code>
      </label>
      <span className={css.knobValue}>
        {value !== undefined && (
          <IconButton small icon={X} label={t("play.unset", { name: key })} onClick={() => onChange(undefined)} />
        )}
        <input
          id={id}
          type="number"
          className={controlClass}
          min={low}
          max={high}
          step={step === 1 ? 1 : "any"}
          placeholder={t("play.default")}
          aria-describedby={`${id}-hint`}
          value={value ?? ""}
          onChange={(event) => take(event.target.valueAsNumber)}
        />
      </span>
      {slider && (
        <input
          type="range"
          aria-label={key}
          aria-describedby={`${id}-hint`}
          min={slider[0]}
          max={slider[1]}
          step={step}
          value={value ?? rest}
          data-unset={value === undefined || undefined}
          onChange={(event) => take(event.target.valueAsNumber)}
        />
      )}
      <small id={`${id}-hint`}>{t(`play.knob.${key}` as Key)}</small>
    </div>
  );
}
