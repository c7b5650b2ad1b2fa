import { ArrowRight, FlaskRound, Play } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { Empty, ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs, useModels, useStatus } from "@/lib/queries";
import { useComparison, useStartRun, type Comparison, type PromptRun, type ScoredSet, type Version } from "./api";
import { PairTable } from "./PairTable";
import css from "./Promptlab.module.css";

interface ComparePanelProps {
  versions: readonly Version[];
  set: ScoredSet | undefined;
  runs: readonly PromptRun[];
  a: string;
  b: string;
  onStarted: () => void;
}

export function ComparePanel({ versions, set, runs, a, b, onStarted }: ComparePanelProps) {
  const { t } = useI18n();
  const name = versions[0]?.name;
  const jobs = (useJobs().data ?? []).filter(({ kind, params }) => kind === "prompt-run" && params.template === name);
  const current = jobs[0] && (isActive(jobs[0]) || jobs[0].status === "failed") ? jobs[0] : undefined;
  const newest = newestPair(runs);
  const [one, two] = a && b ? [a, b] : newest;
  const found = useComparison(one, two);
  return (
    <>
      {set && <Start versions={versions} set={set} onStarted={onStarted} />}
      {current && <JobLine job={current} />}
      {!one && !current && <Empty icon={FlaskRound} title={t("prompts.noRuns")} hint={t("prompts.noRunsHint")} />}
      {found.error && <ErrorPanel error={found.error} />}
      {found.data && <Result found={found.data} />}
    </>
  );
}

/** The newest two whole runs of two versions that can be compared; the older version first. */
function newestPair(runs: readonly PromptRun[]): [string, string] {
  const whole = runs.filter(({ score }) => score.done === score.all);
  for (const [place, late] of whole.entries())
    for (const early of whole.slice(place + 1))
      if (
        early.sha256 !== late.sha256 &&
        early.set_sha256 === late.set_sha256 &&
        early.model === late.model &&
        early.judge === late.judge
      )
        return early.version < late.version ? [early.id, late.id] : [late.id, early.id];
  return ["", ""];
}

interface StartProps {
  versions: readonly Version[];
  set: ScoredSet;
  onStarted: () => void;
}

function Start({ versions, set, onStarted }: StartProps) {
  const { t } = useI18n();
  const models = (useModels().data ?? []).filter(({ supported }) => supported).map(({ name }) => name);
  const running = useStatus().data?.model.name ?? "";
  const [first, setFirst] = useState(versions.at(-2)?.number ?? 0);
  const [second, setSecond] = useState(versions.at(-1)?.number ?? 1);
  const [model, setModel] = useState("");
  const [judge, setJudge] = useState("");
  const start = useStartRun();
  const options = versions.map(({ number }) => (
    <option key={number} value={number}>
      {t("prompts.versionN", { n: number })}
    </option>
  ));
  const choice = (label: string, value: string, choose: (name: string) => void) => (
    <label>
      {label}
      <select value={value || running} onChange={(event) => choose(event.target.value)}>
        {[...new Set([running, ...models])].filter(Boolean).map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
  const both = first !== 0 && first !== second;
  return (
    <>
      <form
        className={css.start}
        onSubmit={(event) => {
          event.preventDefault();
          start.mutate(
            {
              template: versions[0]?.name ?? "",
              versions: both ? [first, second] : [second],
              set: set.name,
              model: model || null,
              judge: judge || null,
            },
            { onSuccess: onStarted },
          );
        }}
      >
        <select
          aria-label={t("prompts.against")}
          value={first}
          onChange={(event) => setFirst(Number(event.target.value))}
        >
          <option value={0}>–</option>
          {options}
        </select>
        <span className={css.hint}>{t("prompts.against")}</span>
        <select
          aria-label={t("prompts.version")}
          value={second}
          onChange={(event) => setSecond(Number(event.target.value))}
        >
          {options}
        </select>
        {choice(t("prompts.model"), model, setModel)}
        {set.graders.includes("judge") && choice(t("prompts.judge"), judge, setJudge)}
        <Button type="submit" tone="primary" icon={Play} busy={start.isPending}>
          {t(both ? "prompts.start" : "prompts.startOne")}
        </Button>
      </form>
      {start.error && <ErrorPanel error={start.error} />}
    </>
  );
}

function Result({ found }: { found: Comparison }) {
  const { t } = useI18n();
  const names = { a: found.a.version, b: found.b.version };
  const points = (share: number) => `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)}`;
  return (
    <>
      <section className={css.verdict} data-clear={found.verdict.endsWith("better") || undefined} role="status">
        <strong>{t(`prompts.verdict.${found.verdict}`, names)}</strong>
        <div className={css.bars}>
          {[found.a, found.b].map((run) => (
            <Bar key={run.id} run={run} />
          ))}
        </div>
        <p className={css.hint}>
          {t("prompts.tests", {
            ...names,
            only_a: found.only_a,
            only_b: found.only_b,
            p: found.p < 0.0001 ? found.p.toExponential(1) : found.p.toFixed(4),
            lead: points(found.lead),
            low: points(found.low),
            high: points(found.high),
          })}
        </p>
        <p className={css.hint}>
          {found.a.model} · {found.a.set_name} ·{" "}
          <Link href="/roadmap/5.1">
            {t("prompts.toGate")} <ArrowRight size={13} aria-hidden />
          </Link>
        </p>
      </section>
      <PairTable found={found} />
    </>
  );
}

function Bar({ run }: { run: PromptRun }) {
  const { t } = useI18n();
  const { right, all, cut, prompt_tokens, completion_tokens, agreement } = run.score;
  const said = [
    t("prompts.rightOf", { right, all }),
    t("prompts.tokens", { prompt: prompt_tokens, completion: completion_tokens }),
    ...(cut ? [t("prompts.cut", { n: cut })] : []),
    ...(agreement ? [t("prompts.agrees", { agreed: agreement.agreed, marked: agreement.marked })] : []),
  ];
  return (
    <div>
      <b>{t("prompts.versionN", { n: run.version })}</b>
      <span className={css.bar}>
        <i style={{ width: `${(100 * right) / Math.max(all, 1)}%` }} />
      </span>
      <span>{said.join(" · ")}</span>
    </div>
  );
}
