import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { onKeyNeeded, storeKey } from "@/lib/api";
import { useI18n } from "@/lib/i18n";

/** Asks for the key once a request was refused for want of one. */
export function KeyDialog() {
  const { t } = useI18n();
  const queries = useQueryClient();
  const [open, setOpen] = useState(false);
  const [key, setKey] = useState("");

  useEffect(() => onKeyNeeded(() => setOpen(true)), []);

  const save = () => {
    storeKey(key.trim());
    setOpen(false);
    void queries.invalidateQueries();
  };
  return (
    <Dialog
      open={open}
      onClose={() => setOpen(false)}
      title={t("key.title")}
      hint={t("key.hint")}
      onSubmit={save}
      actions={
        <Button tone="primary" type="submit" disabled={!key.trim()}>
          {t("do.save")}
        </Button>
      }
    >
      <Field label={t("key.label")}>
        {(props) => (
          <input {...props} type="password" autoComplete="off" value={key} onChange={(e) => setKey(e.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}
