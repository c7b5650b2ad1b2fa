import { Plus } from "lucide-react";
import { useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { useRuns, useSaveVersion, useSet, useSets, useTemplates, useVersions } from "./api";
import { ComparePanel } from "./ComparePanel";
import { Editor } from "./Editor";
import { HistoryPanel } from "./HistoryPanel";
import { SetEditor } from "./SetEditor";
import css from "./Promptlab.module.css";

const TABS = ["write", "questions", "compare", "history"] as const;

export default function PromptLabPage({ name: wanted }: { name?: string }) {
  const { t, lang } = useI18n();
  const [, go] = useLocation();
  const [params, setParams] = useSearchParams();
  const [isNew, setNew] = useState(false);
  const templates = useTemplates();
  const starter = lang === "zh" ? "support-zh" : "support-en";
  const name = wanted ?? templates.data?.find((one) => !one.shipped)?.name ?? (templates.data ? starter : "");
  const versions = useVersions(name);
  const sets = useSets();
  const runs = useRuns(name).data ?? [];
  const put = (values: Record<string, string>) => setParams((old) => ({ ...Object.fromEntries(old), ...values }));
  const setName = params.get("set") ?? fitting(name, sets.data, runs[0]?.set_name, versions.data?.at(-1)?.variables);
  const set = useSet(setName);
  const newest = versions.data?.at(-1)?.number ?? 0;
  const number = Number(params.get("version")) || newest;
  const version = versions.data?.find((one) => one.number === number);
  const tab = TABS.find((one) => one === params.get("tab")) ?? "write";
  return (
    <Page
      wide
      title={t("prompts.title")}
      lead={t("prompts.lead")}
      actions={
        <Button icon={Plus} onClick={() => setNew(true)}>
          {t("prompts.new")}
        </Button>
      }
    >
      <div className={css.head}>
        <label>
          {t("prompts.prompt")}
          <select
            value={name}
            onChange={(event) => go(`/prompts/${encodeURIComponent(event.target.value)}?tab=${tab}`)}
          >
            {(templates.data ?? []).map((one) => (
              <option key={one.name} value={one.name}>
                {one.shipped ? `${one.name} (${t("prompts.shipped")})` : one.name}
              </option>
            ))}
          </select>
        </label>
        {tab === "write" && versions.data && (
          <label>
            {t("prompts.version")}
            <select value={number} onChange={(event) => put({ version: event.target.value })}>
              {versions.data.map((one) => (
                <option key={one.number} value={one.number}>
                  {one.number}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          {t("prompts.set")}
          <select value={setName} onChange={(event) => put({ set: event.target.value })}>
            <option value="">–</option>
            {(sets.data ?? []).map((one) => (
              <option key={one.name} value={one.name}>
                {one.name} ({one.items})
              </option>
            ))}
          </select>
        </label>
      </div>
      {(templates.error ?? versions.error) && <ErrorPanel error={templates.error ?? versions.error} />}
      {!versions.data && !versions.error && <Skeleton lines={6} height={28} />}
      {versions.data && version && (
        <Tabs
          label={t("prompts.title")}
          value={tab}
          onChange={(next) => put({ tab: next })}
          tabs={TABS.map((value) => ({ value, label: t(`prompts.tab.${value}`) }))}
        >
          <TabPanel value="write" className={css.panel}>
            <Editor
              key={`${name} ${version.number} ${version.sha256}`}
              version={version}
              newest={newest}
              setName={setName}
              onSaved={(saved) => put({ version: String(saved) })}
            />
          </TabPanel>
          <TabPanel value="questions" className={css.panel}>
            <SetEditor name={setName} onChosen={(chosen) => put({ set: chosen })} />
          </TabPanel>
          <TabPanel value="compare" className={css.panel}>
            <ComparePanel
              key={`${name} ${newest}`}
              versions={versions.data}
              set={set.data}
              runs={runs}
              a={params.get("a") ?? ""}
              b={params.get("b") ?? ""}
              onStarted={() => put({ a: "", b: "" })}
            />
          </TabPanel>
          <TabPanel value="history" className={css.panel}>
            <HistoryPanel runs={runs} onCompare={(a, b) => put({ tab: "compare", a, b })} />
          </TabPanel>
        </Tabs>
      )}
      {isNew && (
        <NewDialog
          onClose={() => setNew(false)}
          onMade={(made) => {
            setNew(false);
            go(`/prompts/${encodeURIComponent(made)}`);
          }}
        />
      )}
    </Page>
  );
}

/** The set to begin with: of the prompt's name, the one used last, or one that has all its variables. */
function fitting(
  name: string,
  sets: readonly { name: string; variables: string[] }[] = [],
  last: string | undefined,
  variables: readonly string[] = [],
): string {
  const names = sets.map((one) => one.name);
  return (
    [last, name].find((one) => one && names.includes(one)) ??
    sets.find((one) => variables.every((key) => one.variables.includes(key)))?.name ??
    ""
  );
}

function NewDialog({ onClose, onMade }: { onClose: () => void; onMade: (name: string) => void }) {
  const { t } = useI18n();
  const [name, setName] = useState("");
  const save = useSaveVersion();
  const template = { user: t("prompts.starter"), system: "", examples: [], temperature: 0, max_tokens: 128, note: "" };
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("prompts.new")}
      onSubmit={() => save.mutate({ name: name.trim(), template }, { onSuccess: (made) => onMade(made.name) })}
      actions={
        <Button type="submit" tone="primary" busy={save.isPending} disabled={!name.trim()}>
          {t("prompts.create")}
        </Button>
      }
    >
      <Field label={t("prompts.prompt")} hint={t("prompts.newHint")}>
        {(props) => <input {...props} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      {save.error && <ErrorPanel error={save.error} />}
    </Dialog>
  );
}
