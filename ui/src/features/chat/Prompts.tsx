import { Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import css from "./Prompts.module.css";
import { filled, useDeletePrompt, useSavedPrompts, useSavePrompt, type Offered, type SavedPrompt } from "./shelf";

interface PickerProps {
  offered: Offered[];
  /** Which of them Enter takes. */
  at: number;
  onPick: (prompt: Offered) => void;
  onManage: () => void;
}

/** The prompts that fit what stands behind the slash. */
export function PromptPicker({ offered, at, onPick, onManage }: PickerProps) {
  const { t } = useI18n();
  return (
    <div className={css.picker} role="listbox" aria-label={t("chat.prompts")} id="chat-prompts">
      {offered.map((prompt, place) => (
        <button
          type="button"
          key={prompt.name}
          role="option"
          aria-selected={place === at}
          className={css.option}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onPick(prompt)}
        >
          <code>/{prompt.name}</code>
          <span>{prompt.text ?? t("chat.promptTemplate")}</span>
        </button>
      ))}
      {!offered.length && <p className={css.none}>{t("chat.promptsNone")}</p>}
      <button type="button" className={css.manage} onMouseDown={(event) => event.preventDefault()} onClick={onManage}>
        {t("chat.promptsManage")}
      </button>
    </div>
  );
}

interface FillProps {
  text: string;
  places: string[];
  onClose: () => void;
  onFilled: (text: string) => void;
}

/** Asks for what stands between the braces of a prompt. */
export function FillPrompt({ text, places, onClose, onFilled }: FillProps) {
  const { t } = useI18n();
  const [values, setValues] = useState<Record<string, string>>({});
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("chat.promptFill")}
      onSubmit={() => onFilled(filled(text, Object.fromEntries(places.map((name) => [name, values[name] ?? ""]))))}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit">
            {t("chat.promptInsert")}
          </Button>
        </>
      }
    >
      {places.map((name, place) => (
        <Field key={name} label={name}>
          {(control) => (
            <textarea
              {...control}
              autoFocus={place === 0}
              rows={2}
              value={values[name] ?? ""}
              onChange={(event) => setValues({ ...values, [name]: event.target.value })}
            />
          )}
        </Field>
      ))}
    </Dialog>
  );
}

/** The library of saved prompts: write, change, delete. */
export function PromptsDialog({ onClose }: { onClose: () => void }) {
  const { t } = useI18n();
  const { data, error } = useSavedPrompts();
  const remove = useDeletePrompt();
  const [editing, setEditing] = useState<SavedPrompt | "new" | null>(null);
  if (editing) return <EditPrompt prompt={editing === "new" ? null : editing} onClose={() => setEditing(null)} />;
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("chat.prompts")}
      actions={
        <Button tone="primary" icon={Plus} onClick={() => setEditing("new")}>
          {t("chat.promptNew")}
        </Button>
      }
    >
      <p className={css.hint}>{t("chat.promptsHint")}</p>
      {error && <ErrorPanel error={error} />}
      <ul className={css.list}>
        {data?.map((prompt) => (
          <li key={prompt.id}>
            <div>
              <code>/{prompt.name}</code>
              <small>{prompt.text}</small>
            </div>
            <IconButton
              small
              icon={Pencil}
              label={`${t("chat.promptEdit")}: ${prompt.name}`}
              onClick={() => setEditing(prompt)}
            />
            <IconButton
              small
              icon={Trash2}
              label={`${t("do.delete")}: ${prompt.name}`}
              onClick={() => remove.mutate(prompt.id)}
            />
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function EditPrompt({ prompt, onClose }: { prompt: SavedPrompt | null; onClose: () => void }) {
  const { t } = useI18n();
  const save = useSavePrompt();
  const [name, setName] = useState(prompt?.name ?? "");
  const [text, setText] = useState(prompt?.text ?? "");
  const ready = name.trim() !== "" && text.trim() !== "";
  return (
    <Dialog
      open
      onClose={onClose}
      title={t(prompt ? "chat.promptEdit" : "chat.promptNew")}
      onSubmit={() => ready && save.mutate({ id: prompt?.id, name: name.trim(), text }, { onSuccess: onClose })}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={save.isPending} disabled={!ready}>
            {t("do.save")}
          </Button>
        </>
      }
    >
      <Field label={t("chat.promptName")} hint={t("chat.promptNameHint")}>
        {(control) => (
          <input {...control} autoFocus maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Field label={t("chat.promptText")} hint={t("chat.promptTextHint")}>
        {(control) => (
          <textarea
            {...control}
            rows={6}
            maxLength={50_000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      {save.error && <ErrorPanel error={save.error} />}
    </Dialog>
  );
}
