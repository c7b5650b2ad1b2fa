import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { KnowledgeBase } from "@/lib/types";
import { useMoveKb, useStores } from "./api";

/** Where the vectors go; what is missing here for a place is said under it. */
export function MoveDialog({ kb, onClose }: { kb: KnowledgeBase; onClose: () => void }) {
  const { t, say } = useI18n();
  const errorText = useErrorText();
  const move = useMoveKb();
  const stores = useStores(true).data ?? [];
  const others = stores.filter((offer) => offer.name !== kb.store);
  const [chosen, setChosen] = useState("");
  const store = others.find((offer) => offer.name === chosen) ?? others.find((offer) => !offer.error) ?? others[0];
  const missing = store?.error?.fix;
  const titleOf = (name: string) => {
    const found = stores.find((offer) => offer.name === name);
    return found ? say(found.title) : name;
  };
  const start = () => {
    if (!store) return;
    move.mutate(
      { id: kb.id, store: store.name },
      {
        onSuccess: () => {
          toast(t("rag.moveBegun", { store: say(store.title) }));
          onClose();
        },
      },
    );
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("rag.move")}
      hint={t("rag.moveHint", { store: titleOf(kb.store) })}
      onSubmit={start}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={move.isPending} disabled={!store || Boolean(missing)}>
            {t("rag.moveDo")}
          </Button>
        </>
      }
    >
      <Field
        label={t("rag.store")}
        error={missing ? t("rag.storeMissing", { fix: missing }) : move.error ? errorText(move.error).text : null}
      >
        {(props) => (
          <select {...props} value={store?.name ?? ""} onChange={(event) => setChosen(event.target.value)}>
            {others.map((offer) => (
              <option key={offer.name} value={offer.name}>
                {say(offer.title)}
              </option>
            ))}
          </select>
        )}
      </Field>
    </Dialog>
  );
}
