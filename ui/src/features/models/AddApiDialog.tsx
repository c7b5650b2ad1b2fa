import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { FixLine, useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { TestedApi } from "@/lib/types";
import { ApiModelsDialog } from "./ApiModelsDialog";
import { useAddApi, useKnownApis } from "./apis";

const OTHER = "";

/** Adds an API by its name or by any URL; once it has answered, which of its models menus offer. */
export function AddApiDialog({ onClose }: { onClose: () => void }) {
  const { t, say } = useI18n();
  const errorText = useErrorText();
  const known = useKnownApis().data ?? [];
  const add = useAddApi();
  const [which, setWhich] = useState<string | null>(null);
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [key, setKey] = useState("");
  const [model, setModel] = useState("");
  const [added, setAdded] = useState<TestedApi | null>(null);

  const preset = known.find((one) => one.name === (which ?? known[0]?.name));
  const isOther = which === OTHER;
  const needsKey = !isOther && preset?.needs_key;
  const ready = isOther ? name.trim() && /^https?:\/\//.test(url.trim()) : preset && (!needsKey || key.trim());
  const submit = () => {
    const models = model.trim() ? { models: [model.trim()] } : {};
    const secret = key.trim() ? { api_key: key.trim() } : {};
    const body = isOther ? { name: name.trim(), base_url: url.trim() } : { name: preset?.name ?? "" };
    add.mutate(
      { ...body, ...secret, ...models },
      {
        onSuccess: (tested) => {
          setKey("");
          toast(t("models.apiAnswered", { model: tested.model, s: tested.seconds.toFixed(1) }));
          if (tested.listed.length > tested.api.models.length) setAdded(tested);
          else onClose();
        },
      },
    );
  };
  if (added) return <ApiModelsDialog api={added.api} listed={added.listed} onClose={onClose} />;
  const problem = add.error ? errorText(add.error) : null;
  const keyHost = preset?.keys && !isOther ? new URL(preset.keys).hostname : null;
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("model.addApi")}
      hint={t("models.apiHint")}
      onSubmit={submit}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={add.isPending} disabled={!ready}>
            {t("models.apiAdd")}
          </Button>
        </>
      }
    >
      <Field label={t("models.apiWhich")} hint={isOther ? undefined : preset?.base_url}>
        {(props) => (
          <select {...props} value={which ?? preset?.name ?? OTHER} onChange={(event) => setWhich(event.target.value)}>
            {known.map((one) => (
              <option key={one.name} value={one.name}>
                {say(one.title)}
              </option>
            ))}
            <option value={OTHER}>{t("models.apiOther")}</option>
          </select>
        )}
      </Field>
      {isOther && (
        <>
          <Field label={t("models.apiName")}>
            {(props) => (
              <input
                {...props}
                autoFocus
                spellCheck={false}
                maxLength={40}
                placeholder="mine"
                value={name}
                onChange={(event) => setName(event.target.value.toLowerCase())}
              />
            )}
          </Field>
          <Field label={t("models.apiUrl")}>
            {(props) => (
              <input
                {...props}
                spellCheck={false}
                placeholder="https://…/v1"
                value={url}
                onChange={(event) => setUrl(event.target.value)}
              />
            )}
          </Field>
        </>
      )}
      {(isOther || needsKey) && (
        <Field
          label={t(isOther ? "models.apiSecretOptional" : "models.apiSecret")}
          hint={
            keyHost && (
              <a href={preset?.keys ?? ""} target="_blank" rel="noopener noreferrer">
                {t("models.apiKeys", { host: keyHost })}
              </a>
            )
          }
        >
          {(props) => (
            <input
              {...props}
              type="password"
              autoComplete="off"
              spellCheck={false}
              value={key}
              onChange={(event) => setKey(event.target.value)}
            />
          )}
        </Field>
      )}
      {isOther && (
        <Field label={t("models.apiModel")} hint={t("models.apiModelHint")}>
          {(props) => (
            <input {...props} spellCheck={false} value={model} onChange={(event) => setModel(event.target.value)} />
          )}
        </Field>
      )}
      {problem && (
        <p role="alert" data-bad>
          {problem.text}
        </p>
      )}
      {problem?.fix && <FixLine fix={problem.fix} />}
    </Dialog>
  );
}
