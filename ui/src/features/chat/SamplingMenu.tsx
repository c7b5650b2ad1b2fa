import { SlidersHorizontal } from "lucide-react";
import { Popover } from "radix-ui";
import { useId, useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Segments } from "@/components/Segments";
import { useI18n } from "@/lib/i18n";
import type { Sampling } from "@/lib/types";
import { Pill } from "@/components/Pill";
import css from "./SamplingMenu.module.css";

interface SamplingMenuProps {
  sampling: Sampling;
  onChange: (next: Sampling) => void;
  /** The model thinks before it answers, where one wishes. */
  canThink: boolean;
  role: string;
  onRole: (text: string) => void;
}

export function SamplingMenu({ sampling, onChange, canThink, role, onRole }: SamplingMenuProps) {
  const { t } = useI18n();
  const set = <K extends keyof Sampling>(key: K, value: Sampling[K] | undefined) => {
    const next = { ...sampling, [key]: value };
    if (value === undefined) delete next[key];
    onChange(next);
  };
  const changed = Object.keys(sampling).length > 0;
  const [draft, setDraft] = useState(role);
  return (
    <Popover.Root
      onOpenChange={(open) => {
        if (open) setDraft(role);
        else if (draft.trim() !== role) onRole(draft.trim());
      }}
    >
      <Popover.Trigger asChild>
        <Pill label={t("chat.sampling")} on={changed || role !== ""}>
          <SlidersHorizontal size={14} aria-hidden />
        </Pill>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className={css.panel} side="top" align="start" sideOffset={8} collisionPadding={12}>
          <div className={css.head}>
            <strong>{t("chat.sampling")}</strong>
            <Button small tone="ghost" disabled={!changed} onClick={() => onChange({})}>
              {t("chat.reset")}
            </Button>
          </div>
          <p className={css.hint}>{t("chat.samplingHint")}</p>
          <Field label={t("chat.role")} hint={t("chat.roleHint")}>
            {(props) => (
              <textarea
                {...props}
                rows={3}
                maxLength={20_000}
                value={draft}
                onChange={(event) => setDraft(event.target.value)}
              />
            )}
          </Field>
          {canThink && (
            <Field label={t("chat.think")} hint={t("chat.thinkHint")}>
              {() => (
                <Segments
                  label={t("chat.think")}
                  value={sampling.think === undefined ? "auto" : sampling.think ? "on" : "off"}
                  onChange={(chosen) => set("think", chosen === "auto" ? undefined : chosen === "on")}
                  options={(["auto", "on", "off"] as const).map((value) => ({
                    value,
                    label: t(`chat.think.${value}`),
                  }))}
                />
              )}
            </Field>
          )}
          <Slider
            label={t("chat.temperature")}
            hint={t("chat.temperatureHint")}
            max={2}
            start={0.7}
            value={sampling.temperature}
            onChange={(value) => set("temperature", value)}
          />
          <Slider
            label={t("chat.topP")}
            hint={t("chat.topPHint")}
            min={0.05}
            max={1}
            start={1}
            value={sampling.top_p}
            onChange={(value) => set("top_p", value)}
          />
          <Field label={t("chat.maxTokens")} hint={t("chat.maxTokensHint")}>
            {(props) => (
              <input
                {...props}
                type="number"
                min={1}
                value={sampling.max_tokens ?? ""}
                onChange={(event) => {
                  const value = Math.floor(event.target.valueAsNumber);
                  set("max_tokens", value >= 1 ? value : undefined);
                }}
              />
            )}
          </Field>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

interface SliderProps {
  label: string;
  hint: string;
  min?: number;
  max: number;
  /** Where the handle stands while no value is chosen. */
  start: number;
  value: number | undefined;
  onChange: (value: number) => void;
}

function Slider({ label, hint, min = 0, max, start, value, onChange }: SliderProps) {
  const { t } = useI18n();
  const id = useId();
  return (
    <div className={css.slider}>
      <label htmlFor={id}>
        {label}
        <output>{value ?? t("chat.auto")}</output>
      </label>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={0.05}
        value={value ?? start}
        data-unset={value === undefined || undefined}
        onChange={(event) => onChange(event.target.valueAsNumber)}
      />
      <small>{hint}</small>
    </div>
  );
}
