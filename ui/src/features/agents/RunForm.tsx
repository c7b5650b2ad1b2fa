import { Play, Plus, X } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { Button, IconButton } from "@/components/Button";
import { Field } from "@/components/Field";
import { Menu, MenuItem } from "@/components/Menu";
import { ModelMenu } from "@/components/ModelMenu";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import css from "./Agents.module.css";
import { useSources, useStart, type Source } from "./api";

interface Chosen {
  source: Source;
  argument: string;
}

const needs = (source: Source) => source.usage.includes(":");
const named = ({ source, argument }: Chosen) => (needs(source) ? `${source.kind}:${argument.trim()}` : source.kind);

/** What to do and with which tools. `after`: the run whose conversation it goes on with. */
export function RunForm({ after }: { after?: { id: string; tools: string[] } }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [task, setTask] = useState("");
  const [tools, setTools] = useState<Chosen[]>([]);
  const [model, setModel] = useState<string | null>(null);
  const [help, setHelp] = useState(true);
  const start = useStart();
  const ready = task.trim() !== "" && tools.every((tool) => !needs(tool.source) || tool.argument.trim() !== "");

  const submit = () =>
    start.mutate(
      { task: task.trim(), tools: after?.tools ?? tools.map(named), model, help, after: after?.id ?? null },
      { onSuccess: (run) => go(`/agents/${run.id}`) },
    );
  return (
    <form
      className={css.card}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) submit();
      }}
    >
      <Field label={after ? t("agents.follow") : t("agents.task")} hint={after ? undefined : t("agents.taskHint")}>
        {(control) => (
          <textarea {...control} rows={after ? 2 : 3} value={task} onChange={(event) => setTask(event.target.value)} />
        )}
      </Field>
      {!after && <ToolsField tools={tools} onChange={setTools} />}
      <div className={css.bar}>
        {!after && (
          <label className={css.check} title={t("agents.helpHint")}>
            <input type="checkbox" checked={help} onChange={(event) => setHelp(event.target.checked)} />
            {t("agents.help")}
          </label>
        )}
        <ModelMenu chosen={model} onChoose={setModel} />
        <Button tone="primary" icon={Play} type="submit" busy={start.isPending} disabled={!ready}>
          {t("agents.start")}
        </Button>
      </div>
      {start.error && <ErrorPanel error={start.error} />}
    </form>
  );
}

function ToolsField({ tools, onChange }: { tools: Chosen[]; onChange: (tools: Chosen[]) => void }) {
  const { t, say } = useI18n();
  const sources = useSources().data ?? [];
  const put = (place: number, argument: string) =>
    onChange(tools.map((tool, index) => (index === place ? { ...tool, argument } : tool)));
  return (
    <fieldset className={css.tools}>
      <legend>{t("agents.tools")}</legend>
      {!tools.length && <p className={css.hint}>{t("agents.noTools")}</p>}
      {tools.map((tool, place) => (
        <div className={css.tool} key={place}>
          <span>{say(tool.source.title)}</span>
          {needs(tool.source) ? (
            <input
              aria-label={t("agents.where", { usage: tool.source.usage })}
              placeholder={tool.source.example.slice(tool.source.kind.length + 1)}
              value={tool.argument}
              onChange={(event) => put(place, event.target.value)}
            />
          ) : (
            <i />
          )}
          <IconButton
            small
            icon={X}
            label={t("agents.removeTool", { name: say(tool.source.title) })}
            onClick={() => onChange(tools.filter((_, index) => index !== place))}
          />
        </div>
      ))}
      <Menu
        align="start"
        trigger={
          <Button small icon={Plus}>
            {t("agents.addTool")}
          </Button>
        }
      >
        {sources.map((source) => (
          <MenuItem
            key={source.kind}
            hint={source.usage}
            onSelect={() => onChange([...tools, { source, argument: "" }])}
          >
            {say(source.title)}
          </MenuItem>
        ))}
      </Menu>
    </fieldset>
  );
}
