import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, RotateCcw } from "lucide-react";
import { useState } from "react";
import { Badge, type BadgeTone } from "@/components/Badge";
import { IconButton } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { useErrorText } from "@/components/states";
import { api } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { Setting } from "@/lib/types";
import css from "./SettingsPage.module.css";

const TONES: Record<Setting["source"], BadgeTone> = { default: "neutral", file: "pine", env: "info", flag: "info" };

export function SettingRow({ setting }: { setting: Setting }) {
  const { t, say } = useI18n();
  const queries = useQueryClient();
  const errorText = useErrorText();
  const { key, source } = setting;
  const fixed = source === "env" || source === "flag";
  const refresh = (all: Setting[] | undefined) => {
    if (Array.isArray(all)) queries.setQueryData(["settings"], all);
    void queries.invalidateQueries({ queryKey: ["status"] });
    toast(t(setting.restart_required ? "settings.savedRestart" : "settings.saved", { key }));
  };
  const change = useMutation({
    mutationFn: (value: string | number | boolean) => api.put<Setting[]>(`/settings/${key}`, { value }),
    onSuccess: refresh,
  });
  const reset = useMutation({ mutationFn: () => api.delete<Setting[]>(`/settings/${key}`), onSuccess: refresh });
  const shown = (value: Setting["value"]) =>
    value === null || value === ""
      ? t("settings.unset")
      : typeof value === "boolean"
        ? t(value ? "settings.on" : "settings.off")
        : String(value);
  const failure = change.error ?? reset.error;
  return (
    <li className={css.row}>
      <div>
        <span className={css.name}>
          <code>{key}</code>
          <Badge tone={TONES[source]}>{t(`settings.source.${source}`)}</Badge>
          {setting.restart_required && <Badge>{t("settings.restart")}</Badge>}
        </span>
        <p>{say(setting.description)}</p>
      </div>
      <div>
        <div className={css.edit}>
          <Control
            key={String(setting.value)}
            setting={setting}
            disabled={fixed || change.isPending}
            onSave={(value) => change.mutate(value)}
          />
          {source === "file" && (
            <IconButton
              icon={RotateCcw}
              label={t("settings.reset")}
              disabled={reset.isPending}
              onClick={() => reset.mutate()}
            />
          )}
        </div>
        {failure ? (
          <small data-error role="alert">
            {errorText(failure).text}
          </small>
        ) : (
          <small>
            {fixed
              ? t("settings.fixed", { source: t(`settings.source.${source}`) })
              : source === "file" && t("settings.default", { value: shown(setting.default) })}
          </small>
        )}
      </div>
    </li>
  );
}

interface ControlProps {
  setting: Setting;
  disabled: boolean;
  onSave: (value: string | number | boolean) => void;
}

function Control({ setting, disabled, onSave }: ControlProps) {
  const { t } = useI18n();
  const { key, type, value, choices } = setting;
  // A secret comes masked: one can only write it anew.
  const [draft, setDraft] = useState(setting.secret || value === null ? "" : String(value));
  const shared = { className: controlClass, disabled, "aria-label": key };
  if (choices || type === "boolean") {
    return (
      <select
        {...shared}
        value={String(value)}
        onChange={(event) => onSave(type === "boolean" ? event.target.value === "true" : event.target.value)}
      >
        {type === "boolean"
          ? ["true", "false"].map((option) => (
              <option key={option} value={option}>
                {t(option === "true" ? "settings.on" : "settings.off")}
              </option>
            ))
          : choices?.map((option) => <option key={option}>{option}</option>)}
      </select>
    );
  }
  const isNumber = type === "integer" || type === "number";
  const changed = draft !== "" && draft !== String(value ?? "");
  const save = () => changed && onSave(isNumber ? Number(draft) : draft);
  return (
    <form
      className={css.edit}
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <input
        {...shared}
        type={setting.secret ? "password" : isNumber ? "number" : "text"}
        placeholder={setting.secret && value ? String(value) : t("settings.unset")}
        autoComplete="off"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
      />
      {changed && <IconButton type="submit" icon={Check} label={t("do.save")} active />}
    </form>
  );
}
