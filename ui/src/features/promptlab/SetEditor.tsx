import { Download, Plus, Save, Trash2, Upload } from "lucide-react";
import { useRef, useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel, Skeleton } from "@/components/states";
import { download } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { exportPath, GRADERS, useImportSet, useSaveSet, useSet, type Grader, type Item, type ScoredSet } from "./api";
import { readExpected, shownExpected } from "./pieces";
import css from "./Promptlab.module.css";

const AT_ONCE = 30; // rows; a set of thousands would make thousands of fields

export function SetEditor({ name, onChosen }: { name: string; onChosen: (name: string) => void }) {
  const { t } = useI18n();
  const { data, error } = useSet(name);
  const input = useRef<HTMLInputElement>(null);
  const bring = useImportSet();
  return (
    <section className={css.card}>
      <div className={css.row}>
        <Button icon={Upload} busy={bring.isPending} onClick={() => input.current?.click()}>
          {t("prompts.import")}
        </Button>
        {name && (
          <Button icon={Download} onClick={() => void download(exportPath(name), `${name}.jsonl`)}>
            {t("prompts.export")}
          </Button>
        )}
        <input
          ref={input}
          type="file"
          hidden
          accept=".jsonl,.ndjson,.csv"
          data-testid="set-file"
          onChange={(event) => {
            const file = event.target.files?.[0];
            if (file) bring.mutate(file, { onSuccess: (set) => onChosen(set.name) });
            event.target.value = "";
          }}
        />
      </div>
      {bring.error && <ErrorPanel error={bring.error} />}
      {error && <ErrorPanel error={error} />}
      {!data && !error && name && <Skeleton lines={6} height={28} />}
      {data && <Questions key={data.sha256} set={data} onSaved={onChosen} />}
    </section>
  );
}

function Questions({ set, onSaved }: { set: ScoredSet; onSaved: (name: string) => void }) {
  const { t } = useI18n();
  const [items, setItems] = useState<Item[]>(set.questions);
  const [name, setName] = useState(set.name);
  const [shown, setShown] = useState(AT_ONCE);
  const save = useSaveSet();
  const change = (place: number, part: Partial<Item>) =>
    setItems((old) => old.map((item, index) => (index === place ? { ...item, ...part } : item)));
  const add = () => {
    const id = String(1 + Math.max(0, ...items.map((item) => Number(item.id) || 0)));
    const grader = items.at(-1)?.grader ?? "exact";
    setItems([...items, { id, vars: Object.fromEntries(set.variables.map((key) => [key, ""])), expected: "", grader }]);
    setShown(items.length + 1);
  };
  return (
    <>
      <div className={css.scroll}>
        <table className={css.table}>
          <thead>
            <tr>
              {set.variables.map((key) => (
                <th key={key} scope="col">
                  {key}
                </th>
              ))}
              <th scope="col">{t("prompts.expected")}</th>
              <th scope="col">{t("prompts.grader")}</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {items.slice(0, shown).map((item, place) => (
              <tr key={item.id}>
                {set.variables.map((key) => (
                  <td key={key}>
                    <textarea
                      rows={2}
                      aria-label={key}
                      value={item.vars[key] ?? ""}
                      onChange={(event) => change(place, { vars: { ...item.vars, [key]: event.target.value } })}
                    />
                  </td>
                ))}
                <td>
                  <input
                    aria-label={t("prompts.expected")}
                    value={shownExpected(item.expected)}
                    onChange={(event) => change(place, { expected: readExpected(event.target.value, item.grader) })}
                  />
                </td>
                <td>
                  <select
                    aria-label={t("prompts.grader")}
                    value={item.grader}
                    onChange={(event) => {
                      const grader = event.target.value as Grader;
                      change(place, { grader, expected: readExpected(shownExpected(item.expected), grader) });
                    }}
                  >
                    {GRADERS.map((grader) => (
                      <option key={grader} value={grader}>
                        {t(`prompts.grader.${grader}`)}
                      </option>
                    ))}
                  </select>
                </td>
                <td>
                  <IconButton
                    small
                    icon={Trash2}
                    label={t("prompts.removeQuestion", { id: item.id })}
                    onClick={() => setItems(items.filter((_, index) => index !== place))}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className={css.row}>
        {items.length > shown && (
          <Button small onClick={() => setShown(shown + AT_ONCE)}>
            {t("prompts.more", { n: Math.min(AT_ONCE, items.length - shown) })}
          </Button>
        )}
        <Button small icon={Plus} onClick={add}>
          {t("prompts.addQuestion")}
        </Button>
      </div>
      <Field label={t("prompts.setName")}>
        {(props) => <input {...props} value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      {save.error && <ErrorPanel error={save.error} />}
      <div className={css.row}>
        <Button
          tone="primary"
          icon={Save}
          busy={save.isPending}
          disabled={!items.length || !name.trim()}
          onClick={() =>
            save.mutate(
              { name: name.trim(), items },
              {
                onSuccess: (kept) => {
                  toast(t("prompts.setSaved", { n: kept.items, name: kept.name }), "ok");
                  onSaved(kept.name);
                },
              },
            )
          }
        >
          {t("prompts.saveSet", { n: items.length })}
        </Button>
      </div>
    </>
  );
}
