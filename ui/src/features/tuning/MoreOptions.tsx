import { Field } from "@/components/Field";
import { useI18n } from "@/lib/i18n";
import type { Launch, Method, Objective, Optimizer } from "@/lib/types";
import css from "./MoreOptions.module.css";
import { LAUNCHES, OPTIMIZERS } from "./objectives";

export interface Options {
  optimizer: Optimizer;
  checkpointing: boolean;
  dora: boolean;
  rslora: boolean;
  launch: Launch;
  nproc: number | null;
}

export const USUAL: Options = {
  optimizer: "adamw",
  checkpointing: false,
  dora: false,
  rslora: false,
  launch: "one",
  nproc: null,
};

/** What of the options a run of this objective and method can take: an option that was hidden since is not sent. */
export function fitting(options: Options, objective: Objective, method: Method): Options {
  const launch = LAUNCHES(objective, method).includes(options.launch) ? options.launch : "one";
  return {
    ...options,
    ...(method === "full" && { dora: false, rslora: false }),
    launch,
    nproc: launch === "one" ? null : options.nproc,
  };
}

const SWITCHES = ["checkpointing", "rslora", "dora"] as const;

/** What few people change; an adapter's own kinds are not offered where all weights are trained. */
export function MoreOptions({
  options,
  objective,
  method,
  onChange,
}: {
  options: Options;
  objective: Objective;
  method: Method;
  onChange: (options: Options) => void;
}) {
  const { t } = useI18n();
  const launches = LAUNCHES(objective, method);
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
      {launches.length > 1 && (
        <Field label={t("tune.launch")}>
          {(props) => (
            <select
              {...props}
              value={options.launch}
              onChange={(event) => onChange({ ...options, launch: event.target.value as Launch })}
            >
              {launches.map((one) => (
                <option key={one} value={one}>
                  {t(`tune.launch.${one}`)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {options.launch !== "one" && (
        <Field label={t("tune.nproc")}>
          {(props) => (
            <input
              {...props}
              type="number"
              min={1}
              max={1024}
              placeholder="2"
              value={options.nproc ?? ""}
              onChange={(event) => onChange({ ...options, nproc: event.target.valueAsNumber || null })}
            />
          )}
        </Field>
      )}
    </details>
  );
}
