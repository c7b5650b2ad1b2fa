import { Pencil } from "lucide-react";
import { useId, useState, type ReactNode } from "react";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Segments } from "@/components/Segments";
import { useI18n } from "@/lib/i18n";
import { JsonEditor } from "./JsonEditor";
import { Knobs } from "./Knobs";
import css from "./Playground.module.css";
import {
  LENGTH,
  MOST_ALTERNATIVES,
  MOST_STOPS,
  SAMPLING,
  SCHEMA_EXAMPLE,
  TOOLS_EXAMPLE,
  type Draft,
  type Format,
  type ToolChoice,
} from "./request";
import { parseJson, schemaProblems, toolProblems } from "./validate";

interface ParametersProps {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
}

const chosen = (draft: Draft, knobs: readonly { key: string }[]) =>
  knobs.filter(({ key }) => draft.numbers[key] !== undefined).length;

export function Parameters({ draft, onChange }: ParametersProps) {
  const { t } = useI18n();
  const numbers = (next: Record<string, number>) => onChange({ numbers: next });
  return (
    <aside className={css.side} aria-label={t("play.parameters")}>
      <h2>{t("play.parameters")}</h2>
      <p className={css.hint}>{t("play.parametersHint")}</p>
      <Section title={t("play.sampling")} count={chosen(draft, SAMPLING)} open>
        <Knobs knobs={SAMPLING} numbers={draft.numbers} onChange={numbers} />
      </Section>
      <Section title={t("play.length")} count={chosen(draft, LENGTH) + (draft.stops.some(Boolean) ? 1 : 0)} open>
        <Knobs knobs={LENGTH} numbers={draft.numbers} onChange={numbers} />
        <Stops stops={draft.stops} onChange={(stops) => onChange({ stops })} />
      </Section>
      <Section title={t("play.logprobs")} count={draft.logprobs ? 1 : 0}>
        <Logprobs draft={draft} onChange={onChange} />
      </Section>
      <Section title={t("play.tools")} count={draft.tools.trim() ? 1 : 0}>
        <Tools draft={draft} onChange={onChange} />
      </Section>
      <Section title={t("play.format")} count={draft.format === "text" ? 0 : 1}>
        <AnswerForm draft={draft} onChange={onChange} />
      </Section>
    </aside>
  );
}

/** Opens by itself where something in it was chosen: nothing that is sent hides. */
function Section({
  title,
  count,
  open,
  children,
}: {
  title: string;
  count: number;
  open?: boolean;
  children: ReactNode;
}) {
  const [first] = useState(open || count > 0);
  return (
    <details className={css.section} open={first}>
      <summary>
        {title}
        {count > 0 && <Badge tone="pine">{count}</Badge>}
      </summary>
      <div className={css.sectionBody}>{children}</div>
    </details>
  );
}

/** A line of the field stands for one text, so a line break within one is written `\n`. */
const shown = (stop: string) => stop.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const meant = (line: string) => line.replace(/\\(n|\\)/g, (_, what: string) => (what === "n" ? "\n" : "\\"));

function Stops({ stops, onChange }: { stops: string[]; onChange: (next: string[]) => void }) {
  const { t } = useI18n();
  return (
    <Field label={t("play.stops")} hint={t("play.stopsHint")}>
      {(props) => (
        <textarea
          {...props}
          rows={2}
          className={`${props.className} ${css.mono}`}
          value={stops.map(shown).join("\n")}
          onChange={(event) => {
            const lines = event.target.value ? event.target.value.split("\n") : [];
            onChange(lines.slice(0, MOST_STOPS).map(meant));
          }}
        />
      )}
    </Field>
  );
}

function Logprobs({ draft, onChange }: ParametersProps) {
  const { t } = useI18n();
  return (
    <>
      <Check checked={draft.logprobs} onChange={(logprobs) => onChange({ logprobs })}>
        {t("play.logprobsOn")}
      </Check>
      <Field label={t("play.alternatives")}>
        {(props) => (
          <input
            {...props}
            type="number"
            min={0}
            max={MOST_ALTERNATIVES}
            disabled={!draft.logprobs}
            value={draft.alternatives}
            onChange={(event) => {
              const value = Math.round(event.target.valueAsNumber);
              if (value >= 0) onChange({ alternatives: Math.min(MOST_ALTERNATIVES, value) });
            }}
          />
        )}
      </Field>
    </>
  );
}

export function Check({
  checked,
  onChange,
  children,
}: {
  checked: boolean;
  onChange: (next: boolean) => void;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <span className={css.check}>
      <input id={id} type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      <label htmlFor={id}>{children}</label>
    </span>
  );
}

const CHOICES: readonly ToolChoice[] = ["auto", "required", "none"];

function Tools({ draft, onChange }: ParametersProps) {
  const { t } = useI18n();
  const [editing, setEditing] = useState(false);
  const parsed = parseJson(draft.tools);
  const isEmpty = !draft.tools.trim();
  const wrong = !isEmpty && (!!parsed.problem || toolProblems(parsed.value).length > 0);
  const count = Array.isArray(parsed.value) ? parsed.value.length : 0;
  return (
    <>
      <Summary
        text={isEmpty ? t("play.toolsNone") : t("play.toolsCount", { n: count })}
        wrong={wrong}
        label={t("play.tools")}
        onEdit={() => setEditing(true)}
      />
      <Field label={t("play.toolChoice")}>
        {(props) => (
          <select
            {...props}
            disabled={isEmpty}
            value={draft.toolChoice}
            onChange={(event) => onChange({ toolChoice: event.target.value as ToolChoice })}
          >
            {CHOICES.map((choice) => (
              <option key={choice} value={choice}>
                {`${choice} · ${t(`play.toolChoice.${choice}`)}`}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Editor open={editing} title={t("play.tools")} hint={t("play.toolsHint")} onClose={() => setEditing(false)}>
        <JsonEditor
          label={t("play.tools")}
          value={draft.tools}
          example={TOOLS_EXAMPLE}
          check={toolProblems}
          onChange={(tools) => onChange({ tools })}
        />
      </Editor>
    </>
  );
}

const FORMATS: readonly Format[] = ["text", "json_object", "json_schema"];

function AnswerForm({ draft, onChange }: ParametersProps) {
  const { t } = useI18n();
  const [editing, setEditing] = useState(false);
  const parsed = parseJson(draft.schema);
  const wrong = !!parsed.problem || schemaProblems(parsed.value).length > 0;
  return (
    <>
      <Segments
        label={t("play.format")}
        value={draft.format}
        onChange={(format) => onChange({ format })}
        options={FORMATS.map((value) => ({ value, label: t(`play.format.${value}`) }))}
      />
      {draft.format === "json_schema" && (
        <Summary text={t("play.schema")} wrong={wrong} label={t("play.schema")} onEdit={() => setEditing(true)} />
      )}
      <Editor open={editing} title={t("play.schema")} hint={t("play.schemaHint")} onClose={() => setEditing(false)}>
        <JsonEditor
          label={t("play.schema")}
          value={draft.schema}
          example={SCHEMA_EXAMPLE}
          check={schemaProblems}
          onChange={(schema) => onChange({ schema })}
        />
      </Editor>
    </>
  );
}

function Summary({ text, wrong, label, onEdit }: { text: string; wrong: boolean; label: string; onEdit: () => void }) {
  const { t } = useI18n();
  return (
    <p className={css.summary}>
      <span>{text}</span>
      {wrong && <Badge tone="bad">{t("play.invalid")}</Badge>}
      <Button small icon={Pencil} aria-label={`${t("play.edit")}: ${label}`} onClick={onEdit}>
        {t("play.edit")}
      </Button>
    </p>
  );
}

function Editor(props: { open: boolean; title: string; hint: string; onClose: () => void; children: ReactNode }) {
  const { t } = useI18n();
  return (
    <Dialog
      {...props}
      shape="wide"
      actions={
        <Button tone="primary" onClick={props.onClose}>
          {t("play.done")}
        </Button>
      }
    />
  );
}
