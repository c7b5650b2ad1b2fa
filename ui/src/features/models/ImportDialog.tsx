import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { FixLine, useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { useImportModel } from "./api";
import { ElsewhereList } from "./Elsewhere";

export function ImportDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const take = useImportModel();
  const fix = errorText(take.error).fix;
  const [path, setPath] = useState("");
  const [name, setName] = useState("");

  const submit = () =>
    take.mutate(
      { path: path.trim(), name: name.trim() || undefined },
      {
        onSuccess: (model) => {
          toast(t("models.imported", { name: model.name }));
          onClose();
        },
      },
    );
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t("models.import")}
      onSubmit={submit}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={take.isPending} disabled={!path.trim()}>
            {t("models.doImport")}
          </Button>
        </>
      }
    >
      <Field
        label={t("models.folder")}
        hint={t(take.isPending ? "models.importing" : "models.folderHint")}
        error={take.error ? errorText(take.error).text : null}
      >
        {(props) => (
          <input
            {...props}
            autoFocus
            spellCheck={false}
            value={path}
            onChange={(event) => setPath(event.target.value)}
          />
        )}
      </Field>
      {fix && <FixLine fix={fix} />}
      {open && <ElsewhereList onDone={onClose} />}
      <Field label={t("models.name")}>
        {(props) => (
          <input {...props} spellCheck={false} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}
