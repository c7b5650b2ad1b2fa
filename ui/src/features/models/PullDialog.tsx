import { useState } from "react";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Segments } from "@/components/Segments";
import { FixLine, useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { usePullModel, type Pull } from "./api";
import css from "./ModelsPage.module.css";
import { SUGGESTED } from "./suggested";

interface PullDialogProps {
  open: boolean;
  onClose: () => void;
  /** Filled in for a start. */
  first: string;
}

export function PullDialog({ open, onClose, first }: PullDialogProps) {
  const { t, lang } = useI18n();
  const errorText = useErrorText();
  const pull = usePullModel();
  const fix = errorText(pull.error).fix;
  const [source, setSource] = useState<Pull["source"]>(lang === "zh" ? "modelscope" : "hf");
  const [repo, setRepo] = useState(first);
  const [revision, setRevision] = useState("");
  const [name, setName] = useState("");

  const submit = () => {
    const wanted = {
      source,
      repo: repo.trim(),
      revision: revision.trim() || undefined,
      name: name.trim() || undefined,
    };
    pull.mutate(wanted, { onSuccess: onClose });
  };
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t("models.pull")}
      hint={t("models.pullHint")}
      onSubmit={submit}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={pull.isPending} disabled={!repo.includes("/")}>
            {t("models.doPull")}
          </Button>
        </>
      }
    >
      <Field label={t("models.hub")}>
        {() => (
          <Segments
            label={t("models.hub")}
            value={source}
            onChange={setSource}
            options={[
              { value: "hf", label: "Hugging Face" },
              { value: "modelscope", label: "ModelScope 魔搭" },
            ]}
          />
        )}
      </Field>
      <Field
        label={t("models.repo")}
        hint={t("models.repoHint")}
        error={pull.error ? errorText(pull.error).text : null}
      >
        {(props) => (
          <input
            {...props}
            autoFocus
            spellCheck={false}
            placeholder="Qwen/Qwen3-0.6B"
            value={repo}
            onChange={(event) => setRepo(event.target.value)}
          />
        )}
      </Field>
      {fix && <FixLine fix={fix} />}
      <p className={css.suggested}>
        {t("models.suggested")}:{" "}
        {SUGGESTED.map((suggestion) => (
          <button type="button" key={suggestion.repo} onClick={() => setRepo(suggestion.repo)}>
            {suggestion.repo}
          </button>
        ))}
      </p>
      <Field label={t("models.revision")}>
        {(props) => (
          <input {...props} spellCheck={false} value={revision} onChange={(event) => setRevision(event.target.value)} />
        )}
      </Field>
      <Field label={t("models.name")}>
        {(props) => (
          <input {...props} spellCheck={false} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}
