import { Trash2 } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { Button, CopyButton } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useKbs } from "@/lib/queries";
import { changeDesk, removeDesk, useChange, type Desk } from "./api";
import css from "./Support.module.css";

export function DeskSettingsForm({ desk }: { desk: Desk }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const kbs = useKbs().data ?? [];
  const change = useChange(changeDesk(desk.id));
  const remove = useChange(removeDesk);
  const [asking, setAsking] = useState(false);
  const [name, setName] = useState(desk.name);
  const [kb, setKb] = useState(desk.kb_id ?? "");
  const [settings, setSettings] = useState(desk.settings);
  const [origins, setOrigins] = useState(desk.settings.origins.join("\n"));
  const save = () =>
    change.mutate({
      name,
      kb_id: kb || null,
      settings: { ...settings, origins: origins.split("\n").filter((line) => line.trim()) },
    });
  const snippet = `<script src="${location.origin}/support/widget.js" data-desk="${desk.id}" defer></script>`;
  return (
    <div style={{ maxWidth: "40rem" }}>
      <Field label={t("support.name")}>
        {(props) => <input {...props} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <Field label={t("support.kb")}>
        {(props) => (
          <select {...props} value={kb} onChange={(event) => setKb(event.target.value)}>
            <option value="">{t("support.noKb")}</option>
            {kbs.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={t("support.greeting")}>
        {(props) => (
          <textarea
            {...props}
            rows={2}
            maxLength={500}
            value={settings.greeting}
            onChange={(event) => setSettings({ ...settings, greeting: event.target.value })}
          />
        )}
      </Field>
      <Field label={t("support.patience")}>
        {(props) => (
          <input
            {...props}
            type="number"
            min={1}
            max={10}
            value={settings.patience}
            onChange={(event) => setSettings({ ...settings, patience: Number(event.target.value) })}
          />
        )}
      </Field>
      <label className={css.check}>
        <input
          type="checkbox"
          checked={settings.verify_phone}
          onChange={(event) => setSettings({ ...settings, verify_phone: event.target.checked })}
        />
        {t("support.verify")}
      </label>
      <Field label={t("support.origins")} hint={t("support.originsHint")}>
        {(props) => (
          <textarea
            {...props}
            rows={3}
            spellCheck={false}
            value={origins}
            onChange={(event) => setOrigins(event.target.value)}
          />
        )}
      </Field>
      <div className={css.check}>
        <Button tone="primary" busy={change.isPending} onClick={save}>
          {t("do.save")}
        </Button>
        {change.isSuccess && <span role="status">{t("support.saved")}</span>}
      </div>
      {(change.error ?? remove.error) && <ErrorPanel error={change.error ?? remove.error} />}
      <h2>{t("support.embed")}</h2>
      <p>{t("support.embedHint")}</p>
      <div className={css.snippet}>
        <code>{snippet}</code>
        <CopyButton text={snippet} />
      </div>
      <div className={css.check}>
        <Button tone="ghost" icon={Trash2} onClick={() => setAsking(true)}>
          {t("support.remove")}
        </Button>
      </div>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={t("support.remove")}
        hint={t("support.removeHint")}
        verb={t("do.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate(desk.id, { onSuccess: () => go("/support") })}
      />
    </div>
  );
}
