import { BotMessageSquare, RotateCcw, Wrench } from "lucide-react";
import type { ReactNode } from "react";
import { AsIs } from "@/components/AsIs";
import { Badge } from "@/components/Badge";
import { IconButton } from "@/components/Button";
import { Values } from "@/components/Values";
import { number, seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import css from "./Agents.module.css";
import type { Entry, Said } from "./api";

interface Steps {
  entries: Entry[];
  decided: Record<string, boolean>;
  /** Steps of sub-agents, by the call that they work on. */
  within?: Record<string, Entry[]>;
  /** Begins the ids of a sub-agent's own calls. */
  outer?: string;
  /** Runs again from an entry on; not while the run works. */
  onReplay: ((seq: number) => void) | undefined;
}

/** Every model turn and every tool call, in the order it happened. */
export function TraceSteps({ entries, decided, within = {}, outer = "", onReplay }: Steps) {
  const ended = new Set(entries.filter(({ kind }) => kind === "tool").map(({ asked }) => outer + String(asked.id)));
  // A sub-agent that still works stands behind the turn that called it.
  const working = Object.keys(within).filter((call) => isDirectly(call, outer) && !ended.has(call));
  return (
    <ol className={css.steps}>
      {entries.map((entry) => (
        <li key={entry.seq} data-kind={entry.kind}>
          {entry.kind === "model" ? (
            <ModelTurn entry={entry} onReplay={onReplay} />
          ) : (
            <ToolCall entry={entry} allowed={decided[outer + String(entry.asked.id)]}>
              <Inside call={outer + String(entry.asked.id)} within={within} decided={decided} />
            </ToolCall>
          )}
        </li>
      ))}
      {working.map((call) => (
        <li key={call} data-kind="tool">
          <Inside call={call} within={within} decided={decided} open />
        </li>
      ))}
    </ol>
  );
}

const isDirectly = (call: string, outer: string) => call.startsWith(outer) && !call.slice(outer.length).includes("~");

interface InsideProps {
  call: string;
  within: Record<string, Entry[]>;
  decided: Record<string, boolean>;
  open?: boolean;
}

/** What a sub-agent did, folded. */
function Inside({ call, within, decided, open = false }: InsideProps) {
  const { t } = useI18n();
  const steps = within[call];
  if (!steps?.length) return null;
  return (
    <details open={open}>
      <summary>{t("agents.inside", { n: steps.length })}</summary>
      <TraceSteps entries={steps} decided={decided} within={within} outer={`${call}~`} onReplay={undefined} />
    </details>
  );
}

function ModelTurn({ entry, onReplay }: { entry: Entry; onReplay: Steps["onReplay"] }) {
  const { t, lang } = useI18n();
  const said = entry.came as unknown as Said;
  return (
    <>
      <header>
        <BotMessageSquare size={16} aria-hidden />
        <b>{t("agents.turn", { n: Number(entry.asked.step) })}</b>
        <small>
          {t("agents.tokens", { n: number(said.tokens, lang) })} · {seconds(said.seconds)}
        </small>
        {onReplay && (
          <IconButton small icon={RotateCcw} label={t("agents.replay")} onClick={() => onReplay(entry.seq)} />
        )}
      </header>
      {said.thought && (
        <p className={css.thought}>
          <span>{t("agents.thought")}</span> {said.thought}
        </p>
      )}
      {said.calls.map(([name], index) => (
        <p key={index} className={css.called}>
          → <code>{name}</code>
        </p>
      ))}
      {said.plan && said.plan.length > 0 && (
        <>
          <h4>{t("agents.plan")}</h4>
          <ol className={css.plan}>
            {said.plan.map(({ tool, aim }, index) => (
              <li key={index}>
                <code>{tool}</code> {aim}
              </li>
            ))}
          </ol>
        </>
      )}
      {!said.calls.length && !said.plan?.length && <AsIs>{said.text}</AsIs>}
      <details>
        <summary>{t("agents.prompt", { n: said.prompt.length })}</summary>
        {said.prompt.map(({ role, content }, index) => (
          <div key={index} className={css.message}>
            <small>{role}</small>
            <AsIs>{content}</AsIs>
          </div>
        ))}
      </details>
      <details>
        <summary>{t("agents.raw")}</summary>
        <AsIs>{said.raw}</AsIs>
      </details>
    </>
  );
}

interface ToolCallProps {
  entry: Entry;
  allowed: boolean | undefined;
  children: ReactNode;
}

function ToolCall({ entry, allowed, children }: ToolCallProps) {
  const { t } = useI18n();
  const result = entry.came.result as { text: string; is_error: boolean };
  return (
    <>
      <header>
        <Wrench size={16} aria-hidden />
        <code>{String(entry.asked.name)}</code>
        {allowed !== undefined && (
          <Badge tone={allowed ? "info" : "warn"}>{t(allowed ? "agents.allowed" : "agents.refused")}</Badge>
        )}
        {result.is_error && <Badge tone="bad">{t("agents.failed")}</Badge>}
        <small>{seconds(Number(entry.came.seconds))}</small>
      </header>
      <h4>{t("agents.input")}</h4>
      <Values values={entry.asked.arguments} />
      <h4>{t("agents.output")}</h4>
      <AsIs>{result.text}</AsIs>
      {children}
    </>
  );
}
