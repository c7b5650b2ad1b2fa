import { ListChecks, PlugZap, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useApis } from "@/lib/queries";
import { toast } from "@/lib/toast";
import type { Api, TestedApi } from "@/lib/types";
import { ApiModelsDialog } from "./ApiModelsDialog";
import css from "./Apis.module.css";
import { useRemoveApi, useTestApi } from "./apis";

/** The APIs that were added; nothing where there is none. */
export function Apis() {
  const { t } = useI18n();
  const apis = useApis().data ?? [];
  if (apis.length === 0) return null;
  return (
    <section className={css.section}>
      <h2>{t("models.apis")}</h2>
      <p className={css.hint}>{t("models.apisHint")}</p>
      <ul className={css.list}>
        {apis.map((api) => (
          <li key={api.name} data-api={api.name}>
            <ApiCard api={api} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function ApiCard({ api }: { api: Api }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const test = useTestApi();
  const remove = useRemoveApi();
  const [choosing, setChoosing] = useState<TestedApi | null>(null);
  const [removing, setRemoving] = useState(false);
  const onError = (error: unknown) => toast(errorText(error).text, "bad");
  const ask = (then: (tested: TestedApi) => void) => test.mutate(api.name, { onSuccess: then, onError });
  return (
    <>
      <div className={css.words}>
        <strong>{api.name}</strong>
        <small>
          {[api.base_url, api.key ? t("models.apiKeyEnd", { end: api.key }) : t("models.apiNoKey")].join(" · ")}
        </small>
        <small>{api.models.map((name) => name.slice(api.name.length + 1)).join(", ")}</small>
      </div>
      <span className={css.buttons}>
        <Button
          small
          icon={PlugZap}
          busy={test.isPending}
          aria-label={t("models.apiTest", { name: api.name })}
          onClick={() => ask(({ model, seconds }) => toast(t("models.apiAnswered", { model, s: seconds.toFixed(1) })))}
        >
          {t("models.test")}
        </Button>
        <IconButton
          small
          icon={ListChecks}
          label={t("models.apiChoose", { name: api.name })}
          disabled={test.isPending}
          onClick={() => ask(setChoosing)}
        />
        <IconButton
          small
          icon={Trash2}
          label={t("models.apiRemove", { name: api.name })}
          onClick={() => setRemoving(true)}
        />
      </span>
      {choosing && <ApiModelsDialog api={api} listed={choosing.listed} onClose={() => setChoosing(null)} />}
      <Confirm
        open={removing}
        onClose={() => setRemoving(false)}
        title={t("models.apiRemove", { name: api.name })}
        hint={t("models.apiRemoveHint")}
        verb={t("do.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate(api.name, { onSuccess: () => setRemoving(false), onError })}
      />
    </>
  );
}
