import { Field } from "@/components/Field";
import { useI18n } from "@/lib/i18n";
import type { Method, Optimizer } from "@/lib/types";
import css from "./MoreOptions.module.css";
import { OPTIMIZERS } from "./objectives";

export interface Options {
  optimizer: Optimizer;
  checkpointing: boolean;
  dora: boolean;
  rslora: boolean;
}

export const USUAL: Options = { optimizer: "adamw", checkpointing: false, dora: false, rslora: false };

const SWITCHES = ["checkpointing", "rslora", "dora"] as const;

/** What few people change; an adapter's own kinds are not offered where all weights are trained. */
export function MoreOptions({
  options,
  method,
  onChange,
}: {
  options: Options;
  method: Method;
  onChange: (options: Options) => void;
}) {
  const { t } = useI18n();
  const switches = SWITCHES.filter((one) => one === "checkpointing" || method !== "full");
  return (
    <details className={css.more}>
      <summary>{t("tune.more")}</summary>
      <Field label={t("tune.optimizer")}>
        {(props) => (
          <select
            {...props}
            value={options.optimizer}
            onChange={(event) => onChange({ ...options, optimizer: event.target.value as Optimizer })}
          >
            {OPTIMIZERS.map((one) => (
              <option key={one} value={one}>
                {t(`tune.optimizer.${one}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {switches.map((one) => (
        <label key={one}>
          <input
            type="checkbox"
            checked={options[one]}
            onChange={(event) => onChange({ ...options, [one]: event.target.checked })}
          />
          {t(`tune.switch.${one}`)}
        </label>
      ))}
    </details>
  );
}
