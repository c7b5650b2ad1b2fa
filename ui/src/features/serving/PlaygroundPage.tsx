import { FlaskConical, Play, RotateCcw, Square } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { Segments } from "@/components/Segments";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { useStatus } from "@/lib/queries";
import type { Choice } from "./answer";
import { AnswerView, RunFigures } from "./AnswerView";
import { useDraft } from "./draft";
import { Messages } from "./Messages";
import { ModelChoice } from "./ModelChoice";
import { useOffered, type Offered } from "./offered";
import { Check, Parameters } from "./Parameters";
import css from "./Playground.module.css";
import { FRESH, requestOf, type Body, type Draft, type Turn } from "./request";
import { clearRun, startRun, stopRun, useRun } from "./runs";
import { columnId, MOST_COLUMNS, SideBySide } from "./SideBySide";
import { Tokens } from "./Tokens";
import { CodeView, RequestView, ResponseView } from "./Wire";

const ONE = "one";

/** Asks one model, or several at once, and shows every part of it. */
export default function PlaygroundPage() {
  const { t } = useI18n();
  const [params, setParams] = useSearchParams();
  const { offered, error, refetch } = useOffered();
  const view = params.get("view") === "compare" ? "compare" : "one";
  return (
    <Page
      wide
      title={t("play.title")}
      lead={t("play.lead")}
      actions={
        <Segments
          label={t("play.view")}
          value={view}
          onChange={(next) => setParams(next === "one" ? {} : { view: next })}
          options={[
            { value: "one", label: t("play.one") },
            { value: "compare", label: t("play.compare") },
          ]}
        />
      }
    >
      {error != null && <ErrorPanel error={error} retry={refetch} />}
      {!offered && error == null && <Skeleton lines={6} />}
      {offered?.length === 0 && (
        <Empty icon={FlaskConical} title={t("play.noModels")} hint={t("play.noModelsHint")}>
          <Link href="/models">{t("play.toModels")}</Link>
        </Empty>
      )}
      {offered && offered.length > 0 && <Workplace offered={offered} compares={view === "compare"} />}
    </Page>
  );
}

/** The models asked: those chosen that are still there, filled up with the default and then others. */
function modelsOf(
  draft: Draft,
  offered: readonly Offered[],
  standard: string | undefined,
  compares: boolean,
): string[] {
  const names = offered.map(({ name }) => name);
  const first = standard !== undefined && names.includes(standard) ? standard : (names[0] ?? "");
  const there = draft.models.filter((name) => names.includes(name)).slice(0, compares ? MOST_COLUMNS : 1);
  if (!there.length) there.push(first);
  if (compares && there.length < 2) there.push(names.find((name) => !there.includes(name)) ?? first);
  return there;
}

function Workplace({ offered, compares }: { offered: readonly Offered[]; compares: boolean }) {
  const { t } = useI18n();
  const standard = useStatus().data?.model.name;
  const [params, setParams] = useSearchParams();
  const [kept, change] = useDraft();
  // An address may name the model, as the models page does: it goes before what was chosen last.
  const named = params.get("model");
  const draft = named ? { ...kept, models: [named, ...kept.models.filter((name) => name !== named)] } : kept;
  const choose = (models: string[]) => {
    change({ models });
    if (named) setParams(compares ? { view: "compare" } : {});
  };
  const models = modelsOf(draft, offered, standard, compares);
  const ids = compares ? models.map((_, index) => columnId(index)) : [ONE];
  const { body, problems } = requestOf(draft, models[0] ?? "");
  const running = useRunning(ids);

  const send = () => {
    if (problems.length || running) return;
    ids.forEach((id, index) => void startRun(id, requestOf(draft, models[index] ?? "").body));
  };
  const stop = () => ids.forEach(stopRun);
  useEscape(running, stop);
  const goOn = ({ text, calls }: Choice) => {
    const said: Turn = { role: "assistant", content: text, ...(calls.length ? { tool_calls: calls } : {}) };
    const next: Turn[] = calls.map(({ id }) => ({ role: "tool", content: "", tool_call_id: id }));
    change({ turns: [...draft.turns, said, ...(next.length ? next : [{ role: "user", content: "" } as const])] });
  };
  const reset = () => {
    [ONE, ...Array.from({ length: MOST_COLUMNS }, (_, index) => columnId(index))].forEach(clearRun);
    change({ ...FRESH, models: draft.models });
  };
  return (
    <div className={css.workplace}>
      <div className={css.main}>
        {!compares && (
          <ModelChoice
            label={t("play.model")}
            offered={offered}
            value={models[0] ?? ""}
            onChange={(name) => choose([name, ...draft.models.slice(1)])}
          />
        )}
        <Messages draft={draft} onChange={change} onSend={send} />
        <div className={css.sendBar}>
          {running ? (
            <Button tone="primary" icon={Square} onClick={stop}>
              {t("play.stop")}
            </Button>
          ) : (
            <Button tone="primary" icon={Play} disabled={problems.length > 0} onClick={send}>
              {t(compares ? "play.sendAll" : "play.send")}
            </Button>
          )}
          <kbd>Ctrl Enter</kbd>
          <Check checked={draft.stream} onChange={(stream) => change({ stream })}>
            {t("play.stream")}
          </Check>
          <Button small tone="ghost" icon={RotateCcw} onClick={reset}>
            {t("play.reset")}
          </Button>
        </div>
        {problems.length > 0 && (
          <ul className={css.problems} data-quiet={problems.every(({ field }) => field === "messages") || undefined}>
            {problems.map(({ key, values, field }, index) => (
              <li key={index}>
                {field !== "messages" && field && `${t(`play.${field}`)}: `}
                {t(key, values)}
              </li>
            ))}
          </ul>
        )}
        {compares ? (
          <SideBySide offered={offered} models={models} greedy={draft.numbers.temperature === 0} onChange={choose} />
        ) : (
          <Result body={body} onContinue={goOn} />
        )}
      </div>
      <Parameters draft={draft} onChange={change} />
    </div>
  );
}

function useRunning(ids: readonly string[]): boolean {
  const runs = [useRun(ids[0] ?? ""), useRun(ids[1] ?? ""), useRun(ids[2] ?? "")];
  return runs.some((run) => run?.phase === "running");
}

function useEscape(active: boolean, act: () => void): void {
  useEffect(() => {
    if (!active) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !document.querySelector("[role=dialog]")) act();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });
}

const TABS = ["answer", "tokens", "request", "response", "code"] as const;

function Result({ body, onContinue }: { body: Body; onContinue: (choice: Choice) => void }) {
  const { t } = useI18n();
  const run = useRun(ONE);
  const [tab, setTab] = useState<string>("answer");
  return (
    <section className={css.result} aria-label={t("play.answer")}>
      <Tabs
        label={t("play.answer")}
        value={tab}
        onChange={setTab}
        tabs={TABS.map((value) => ({ value, label: t(`play.${value}`) }))}
      >
        {run && <RunFigures run={run} />}
        <TabPanel value="answer" className={css.panel}>
          <AnswerView run={run} onContinue={onContinue} />
        </TabPanel>
        <TabPanel value="tokens" className={css.panel}>
          <Tokens tokens={run?.answer.choices[0]?.tokens ?? []} />
        </TabPanel>
        <TabPanel value="request" className={css.panel}>
          <RequestView body={body} />
        </TabPanel>
        <TabPanel value="response" className={css.panel}>
          <ResponseView run={run} current={JSON.stringify(body, null, 2)} />
        </TabPanel>
        <TabPanel value="code" className={css.panel}>
          <CodeView body={body} />
        </TabPanel>
      </Tabs>
    </section>
  );
}
