import { Plus, Trash2 } from "lucide-react";
import type { KeyboardEvent } from "react";
import { Button, IconButton } from "@/components/Button";
import { controlClass, Field } from "@/components/Field";
import { useI18n } from "@/lib/i18n";
import css from "./Playground.module.css";
import { ROLES, type Draft, type Role, type Turn } from "./request";

interface MessagesProps {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
  onSend: () => void;
}

const MOST_ROWS = 12;
const rowsOf = (text: string, least: number) => Math.min(MOST_ROWS, Math.max(least, text.split("\n").length));

/** The system message and the others, in the order they are sent; Ctrl Enter in any of them sends. */
export function Messages({ draft, onChange, onSend }: MessagesProps) {
  const { t } = useI18n();
  const { turns } = draft;
  const set = (at: number, change: Partial<Turn>) =>
    onChange({ turns: turns.map((turn, index) => (index === at ? { ...turn, ...change } : turn)) });
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.nativeEvent.isComposing) return;
    event.preventDefault();
    onSend();
  };
  const next: Role = turns.at(-1)?.role === "user" ? "assistant" : "user";
  return (
    <section className={css.messages} aria-label={t("play.messages")} onKeyDown={onKey}>
      <Field label={t("play.system")} hint={draft.system ? undefined : t("play.systemHint")}>
        {(props) => (
          <textarea
            {...props}
            rows={rowsOf(draft.system, 1)}
            value={draft.system}
            onChange={(event) => onChange({ system: event.target.value })}
          />
        )}
      </Field>
      {turns.map((turn, index) => (
        <TurnEditor
          key={index}
          turn={turn}
          n={index + 1}
          onChange={(change) => set(index, change)}
          onRemove={turns.length > 1 ? () => onChange({ turns: turns.filter((_, at) => at !== index) }) : undefined}
        />
      ))}
      <Button
        small
        tone="ghost"
        icon={Plus}
        className={css.add}
        onClick={() => onChange({ turns: [...turns, { role: next, content: "" }] })}
      >
        {t("play.addMessage")}
      </Button>
    </section>
  );
}

interface TurnEditorProps {
  turn: Turn;
  n: number;
  onChange: (change: Partial<Turn>) => void;
  onRemove?: () => void;
}

function TurnEditor({ turn, n, onChange, onRemove }: TurnEditorProps) {
  const { t } = useI18n();
  const { role, content, tool_calls: calls, tool_call_id: callId } = turn;
  return (
    <div className={css.turn} data-role={role}>
      <div className={css.turnHead}>
        <select
          aria-label={t("play.role", { n })}
          value={role}
          onChange={(event) => onChange({ role: event.target.value as Role })}
        >
          {ROLES.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        {onRemove && <IconButton small icon={Trash2} label={t("play.removeMessage", { n })} onClick={onRemove} />}
      </div>
      {role === "tool" && (
        <Field label={t("play.callId")}>
          {(props) => (
            <input
              {...props}
              spellCheck={false}
              value={callId ?? ""}
              onChange={(event) => onChange({ tool_call_id: event.target.value || undefined })}
            />
          )}
        </Field>
      )}
      <textarea
        className={controlClass}
        data-slash={n === 1 || undefined}
        rows={rowsOf(content, 2)}
        placeholder={role === "user" ? t("play.placeholder") : undefined}
        aria-label={t("play.content", { n, role })}
        value={content}
        onChange={(event) => onChange({ content: event.target.value })}
      />
      {role === "assistant" &&
        calls?.map((call) => (
          <pre key={call.id} className={css.call}>
            {`${call.function.name}(${call.function.arguments})`}
          </pre>
        ))}
    </div>
  );
}
