import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { KnowledgeBase } from "@/lib/types";
import { useChangeKb, useCreateKb, useStores } from "./api";

interface KbDialogProps {
  open: boolean;
  onClose: () => void;
  onDone: (kb: KnowledgeBase) => void;
  /** Change this one; without it a new one is made. */
  kb?: KnowledgeBase;
  files?: readonly File[];
}

export function KbDialog({ open, onClose, onDone, kb, files = [] }: KbDialogProps) {
  const { t, say } = useI18n();
  const errorText = useErrorText();
  const create = useCreateKb();
  const change = useChangeKb();
  const [name, setName] = useState(kb?.name ?? files[0]?.name.replace(/\.\w+$/, "") ?? "");
  const [description, setDescription] = useState(kb?.description ?? "");
  const [store, setStore] = useState("");
  const stores = useStores(open && !kb).data ?? [];
  const missing = stores.find((offer) => offer.name === store)?.error?.fix;
  const doing = kb ? change : create;

  const save = () => {
    const body = { name: name.trim(), description: description.trim() };
    if (kb) change.mutate({ id: kb.id, ...body }, { onSuccess: onDone });
    else create.mutate(store ? { ...body, store } : body, { onSuccess: onDone });
  };
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t(kb ? "rag.rename" : "rag.new")}
      hint={files.length ? t("rag.willAdd", { n: files.length }) : undefined}
      onSubmit={save}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={doing.isPending} disabled={!name.trim() || Boolean(missing)}>
            {t(kb ? "do.save" : "do.create")}
          </Button>
        </>
      }
    >
      <Field label={t("rag.name")} error={doing.error ? errorText(doing.error).text : null}>
        {(props) => (
          <input {...props} autoFocus maxLength={120} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Field label={t("rag.description")}>
        {(props) => (
          <textarea
            {...props}
            rows={2}
            maxLength={500}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        )}
      </Field>
      {!kb && stores.length > 1 && (
        <Field label={t("rag.store")} error={missing ? t("rag.storeMissing", { fix: missing }) : null}>
          {(props) => (
            <select {...props} value={store} onChange={(event) => setStore(event.target.value)}>
              {stores.map((offer) => (
                <option key={offer.name} value={offer.is_default ? "" : offer.name}>
                  {say(offer.title)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </Dialog>
  );
}
