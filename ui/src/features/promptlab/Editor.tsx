import { Code, Plus, Save, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { useRendered, useSaveVersion, useSet, type Template, type Version } from "./api";
import { CodeDialog } from "./CodeDialog";
import { InkField } from "./InkField";
import { variables } from "./pieces";
import css from "./Promptlab.module.css";

interface EditorProps {
  version: Version;
  newest: number;
  setName: string;
  onSaved: (number: number) => void;
}

/** One version to read and to change; what is saved is a new one. */
export function Editor({ version, newest, setName, onSaved }: EditorProps) {
  const { t } = useI18n();
  const [draft, setDraft] = useState<Template>(version.template);
  const [isExporting, setExporting] = useState(false);
  const save = useSaveVersion();
  const names = variables(draft.system, draft.user);
  const change = (part: Partial<Template>) => setDraft((old) => ({ ...old, ...part }));
  const keep = () =>
    save.mutate(
      { name: version.name, template: draft },
      {
        onSuccess: ({ number }) => {
          toast(t(number > newest ? "prompts.saved" : "prompts.unchanged", { n: number }), "ok");
          onSaved(number);
        },
      },
    );
  return (
    <div className={css.split}>
      <section className={css.card}>
        <Field label={t("prompts.system")}>
          {({ id }) => <InkField id={id} value={draft.system} onChange={(system) => change({ system })} />}
        </Field>
        <Examples draft={draft} names={variables(draft.user)} onChange={(examples) => change({ examples })} />
        <Field label={t("prompts.user")} hint={t("prompts.userHint", { name: "{name}" })}>
          {({ id, ...rest }) => (
            <InkField
              id={id}
              aria-describedby={rest["aria-describedby"]}
              rows={4}
              value={draft.user}
              onChange={(user) => change({ user })}
            />
          )}
        </Field>
        <p className={css.row}>
          <span className={css.hint}>{t(names.length ? "prompts.variables" : "prompts.noVariables")}</span>
          {names.map((name) => (
            <span key={name} className={css.chip}>
              {name}
            </span>
          ))}
        </p>
        <div className={css.knobs}>
          <Field label={t("prompts.maxTokens")}>
            {(props) => (
              <input
                {...props}
                type="number"
                min={1}
                max={8192}
                value={draft.max_tokens}
                onChange={(event) => change({ max_tokens: Number(event.target.value) })}
              />
            )}
          </Field>
          <Field label={t("prompts.temperature")}>
            {(props) => (
              <input
                {...props}
                type="number"
                min={0}
                max={2}
                step={0.1}
                value={draft.temperature}
                onChange={(event) => change({ temperature: Number(event.target.value) })}
              />
            )}
          </Field>
        </div>
        <Field label={t("prompts.note")}>
          {(props) => (
            <input {...props} value={draft.note} onChange={(event) => change({ note: event.target.value })} />
          )}
        </Field>
        {save.error && <ErrorPanel error={save.error} />}
        <div className={css.row}>
          <Button tone="primary" icon={Save} busy={save.isPending} disabled={!draft.user.trim()} onClick={keep}>
            {t("prompts.save", { n: newest + 1 })}
          </Button>
          <Button icon={Code} onClick={() => setExporting(true)}>
            {t("prompts.code")}
          </Button>
        </div>
      </section>
      <Preview draft={draft} setName={setName} />
      {isExporting && <CodeDialog version={version} onClose={() => setExporting(false)} />}
    </div>
  );
}

interface ExamplesProps {
  draft: Template;
  names: string[];
  onChange: (examples: Template["examples"]) => void;
}

function Examples({ draft: { examples }, names, onChange }: ExamplesProps) {
  const { t } = useI18n();
  const change = (place: number, part: Partial<Template["examples"][number]>) =>
    onChange(examples.map((one, index) => (index === place ? { ...one, ...part } : one)));
  return (
    <section aria-label={t("prompts.examples")}>
      <h3>{t("prompts.examples")}</h3>
      {examples.map((example, place) => (
        <div key={place} className={css.example} style={{ marginTop: "var(--s2)" }}>
          {names.map((name) => (
            <Field key={name} label={name}>
              {(props) => (
                <textarea
                  {...props}
                  rows={1}
                  value={example.vars[name] ?? ""}
                  onChange={(event) => change(place, { vars: { ...example.vars, [name]: event.target.value } })}
                />
              )}
            </Field>
          ))}
          <Field label={t("prompts.answer")}>
            {(props) => (
              <textarea
                {...props}
                rows={1}
                value={example.answer}
                onChange={(event) => change(place, { answer: event.target.value })}
              />
            )}
          </Field>
          <IconButton
            small
            icon={Trash2}
            label={t("prompts.removeExample", { n: place + 1 })}
            onClick={() => onChange(examples.filter((_, index) => index !== place))}
          />
        </div>
      ))}
      <Button
        small
        icon={Plus}
        style={{ marginTop: "var(--s2)" }}
        onClick={() =>
          onChange([...examples, { vars: Object.fromEntries(names.map((name) => [name, ""])), answer: "" }])
        }
      >
        {t("prompts.addExample")}
      </Button>
    </section>
  );
}

function Preview({ draft, setName }: { draft: Template; setName: string }) {
  const { t } = useI18n();
  const first = useSet(setName).data?.questions[0];
  const names = variables(draft.system, draft.user);
  const values = Object.fromEntries(names.map((name) => [name, first?.vars[name] ?? `{{${name}}}`]));
  const rendered = useRendered({ ...draft, note: "" }, values);
  return (
    <section className={css.card}>
      <h3>{t("prompts.preview")}</h3>
      {first && <p className={css.hint}>{t("prompts.previewHint", { set: setName })}</p>}
      {rendered.error && <ErrorPanel error={rendered.error} />}
      <div>
        {rendered.data?.map((message, place) => (
          <div key={place} className={css.message}>
            <b>{message.role}</b>
            <pre>{message.content}</pre>
          </div>
        ))}
      </div>
    </section>
  );
}
