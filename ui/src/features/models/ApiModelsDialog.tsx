import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { SearchField } from "@/components/SearchField";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { Api } from "@/lib/types";
import css from "./Apis.module.css";
import { useChooseModels } from "./apis";

interface ApiModelsDialogProps {
  api: Api;
  /** Every model that the API lists, as it calls them. */
  listed: readonly string[];
  onClose: () => void;
}

/** Which of an API's models menus offer. */
export function ApiModelsDialog({ api, listed, onClose }: ApiModelsDialogProps) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const save = useChooseModels();
  const [chosen, setChosen] = useState(() => api.models.map((name) => name.slice(api.name.length + 1)));
  const [words, setWords] = useState("");
  const all = [...chosen.filter((name) => !listed.includes(name)), ...listed];
  const shown = all.filter((name) => name.toLowerCase().includes(words.trim().toLowerCase()));
  const submit = () =>
    save.mutate(
      { name: api.name, models: all.filter((name) => chosen.includes(name)) },
      { onSuccess: onClose, onError: (error) => toast(errorText(error).text, "bad") },
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("models.apiChoose", { name: api.name })}
      hint={t("models.apiModelsHint")}
      onSubmit={submit}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={save.isPending}>
            {t("do.save")}
          </Button>
        </>
      }
    >
      {all.length > 10 && <SearchField label={t("models.apiFilter")} value={words} onChange={setWords} />}
      <ul className={css.choices}>
        {shown.map((name) => (
          <li key={name}>
            <label>
              <input
                type="checkbox"
                checked={chosen.includes(name)}
                onChange={(event) =>
                  setChosen(event.target.checked ? [...chosen, name] : chosen.filter((one) => one !== name))
                }
              />
              <span>{name}</span>
            </label>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
