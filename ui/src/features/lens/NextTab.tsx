import { Dumbbell } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Lesson, LessonCard } from "@/components/Lesson";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton } from "@/components/states";
import type { components } from "@/lib/api.gen";
import { bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useModels } from "@/lib/queries";
import { useShared } from "@/lib/shared";
import { useLikely, usePredict, useRested, useView, type LogitsOut } from "./api";
import { inked, Judged, type TabProps } from "./Lesson";
import { TreeCard } from "./TreeCard";
import css from "./Lens.module.css";

type Truth = components["schemas"]["StepTruth"];
const KNOBS = {
  temperature: { min: 0, max: 2, step: 0.05, off: 1 },
  top_k: { min: 0, max: 50, step: 1, off: 0 },
  top_p: { min: 0.05, max: 1, step: 0.05, off: 1 },
  min_p: { min: 0, max: 0.5, step: 0.01, off: 0 },
  repetition_penalty: { min: 1, max: 2, step: 0.05, off: 1 },
  presence_penalty: { min: -2, max: 2, step: 0.1, off: 0 },
  frequency_penalty: { min: -2, max: 2, step: 0.1, off: 0 },
} as const;
type Knob = keyof typeof KNOBS;
const NAMES = Object.keys(KNOBS) as Knob[];
const SHOWN = 12;
const PATIENCE_MS = 600;

/** Settings as a link carries them: `temperature:0.5,top_k:3`; those that change nothing are left out. */
const wordsOf = (knobs: Record<Knob, number>) =>
  NAMES.filter((name) => knobs[name] !== KNOBS[name].off)
    .map((name) => `${name}:${knobs[name]}`)
    .join(",");

function knobsOf(words: string): Record<Knob, number> {
  const given = new Map(words.split(",").map((pair) => pair.split(":") as [string, string]));
  const entries = NAMES.map((name) => {
    const { min, max, off } = KNOBS[name];
    const value = Number(given.get(name) ?? off);
    return [name, Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : off];
  });
  return Object.fromEntries(entries) as Record<Knob, number>;
}

export function NextTab({ model }: TabProps) {
  const { t } = useI18n();
  return (
    <>
      <Lesson title={t("lens.next.title")} text={t("lens.next.lesson")} />
      <Following model={model} />
      <Training model={model} />
    </>
  );
}

function Following({ model }: { model: string }) {
  const { t, lang } = useI18n();
  const [text, setText] = useShared<string>("text", t("lens.next.example"));
  const [chat, setChat] = useShared("chat", true);
  const [turned, setTurned] = useShared("settings", "");
  const knobs = knobsOf(turned);
  const rested = useRested(text);
  const asked = { text: rested, chat, model, ...knobsOf(useRested(turned, 60)) };
  const view = useView<LogitsOut>("logits", asked, asked.text !== "");
  // A large model is read for half a minute: until then one sees what the engine says, where it runs, and no older text's table.
  const waits = view.isPending || view.isPlaceholderData;
  const isLong = useRested(waits, PATIENCE_MS) && waits;
  const isRunning = useModels().data?.some(({ name, state }) => name === model && state === "ready") ?? false;
  const likely = useLikely(model, rested, chat, isLong && isRunning && rested !== "");
  const early = isLong ? likely.data : undefined;
  const seen = early ? undefined : view.data;
  return (
    <>
      <LessonCard title={t("lens.next.words")} hint={t("lens.next.wordsHint")} saved>
        <Field label={t("lens.text")}>
          {(props) => <textarea {...props} rows={2} value={text} onChange={(event) => setText(event.target.value)} />}
        </Field>
        <label className={css.check}>
          <input type="checkbox" checked={chat} onChange={(event) => setChat(event.target.checked)} />{" "}
          {t("lens.asChat")}
        </label>
        <div className={css.knobs}>
          {NAMES.map((name) => (
            <label key={name} className={css.slider}>
              <span>
                {name} <b>{knobs[name]}</b>
                {knobs[name] === KNOBS[name].off && <small> {t("lens.next.off")}</small>}
              </span>
              <input
                type="range"
                min={KNOBS[name].min}
                max={KNOBS[name].max}
                step={KNOBS[name].step}
                value={knobs[name]}
                onChange={(event) => setTurned(wordsOf({ ...knobs, [name]: Number(event.target.value) }))}
              />
              <small>{t(`lens.knob.${name}`)}</small>
            </label>
          ))}
        </div>
        {view.error && <ErrorPanel error={view.error} />}
        {view.isPending && !early && <Skeleton lines={6} height={24} />}
        {early && (
          <div>
            <ol className={css.bars}>
              {early.slice(0, SHOWN).map((one) => (
                <li key={one.text}>
                  <code>{inked(one.text)}</code>
                  <span className={css.bar}>
                    <i style={{ width: `${100 * one.probability}%` }} />
                    <i />
                  </span>
                  <b>{(100 * one.probability).toFixed(one.probability < 0.1 ? 2 : 1)} %</b>
                </li>
              ))}
            </ol>
            <p className={css.hint}>{t("lens.next.likely")}</p>
          </div>
        )}
        {seen && (
          <div className={css.split}>
            <div>
              <ol className={css.bars}>
                {seen.next.slice(0, SHOWN).map((one) => (
                  <li key={one.id} data-out={one.after === 0 || undefined}>
                    <code>{inked(one.text)}</code>
                    <span className={css.bar}>
                      <i style={{ width: `${100 * one.probability}%` }} />
                      <i style={{ width: `${100 * one.after}%` }} />
                    </span>
                    <b>{(100 * one.after).toFixed(one.after < 0.1 ? 2 : 1)} %</b>
                  </li>
                ))}
              </ol>
              <p className={css.hint}>
                {t("lens.next.kept", {
                  kept: seen.kept,
                  all: number(seen.vocabulary, lang),
                  before: seen.entropy.toFixed(2),
                  after: seen.after_entropy.toFixed(2),
                })}
              </p>
            </div>
            <div>
              <h4>{t("lens.next.layers")}</h4>
              <ol className={css.layers}>
                {seen.layers.map((one) => (
                  <li key={one.layer}>
                    <span>{one.layer}</span>
                    <code>{inked(one.text)}</code>
                    <small>{(100 * one.probability).toFixed(0)} %</small>
                  </li>
                ))}
              </ol>
              <p className={css.hint}>{t("lens.next.kv", { n: seen.tokens.length, size: bytes(seen.kv_bytes) })}</p>
            </div>
          </div>
        )}
      </LessonCard>
      <TreeCard text={rested} chat={chat} model={model} />
    </>
  );
}

const WAYS = ["falls", "stays", "rises"] as const;
const CHANGES = ["training", "inference", "both", "neither"] as const;

function Training({ model }: { model: string }) {
  const { t } = useI18n();
  const [text, setText] = useShared<string>("learn", t("lens.step.example"));
  const [loss, setLoss] = useState<(typeof WAYS)[number]>("stays");
  const [changes, setChanges] = useState<(typeof CHANGES)[number]>("both");
  const predict = usePredict<Truth>("step");
  const seen = predict.data?.seen;
  return (
    <LessonCard title={t("lens.step.title")} hint={t("lens.step.hint")} saved>
      <Field label={t("lens.text")}>
        {(props) => <textarea {...props} rows={2} value={text} onChange={(event) => setText(event.target.value)} />}
      </Field>
      <div className={css.row}>
        <span>{t("lens.step.loss")}</span>
        <Segments
          label={t("lens.step.loss")}
          value={loss}
          onChange={setLoss}
          options={WAYS.map((value) => ({ value, label: t(`lens.loss.${value}`) }))}
        />
      </div>
      <div className={css.row}>
        <span>{t("lens.step.changes")}</span>
        <Segments
          label={t("lens.step.changes")}
          value={changes}
          onChange={setChanges}
          options={CHANGES.map((value) => ({ value, label: t(`lens.changes.${value}`) }))}
        />
      </div>
      <Button
        tone="primary"
        icon={Dumbbell}
        busy={predict.isPending}
        onClick={() => predict.mutate({ text, model, loss, changes })}
      >
        {t("lens.step.train")}
      </Button>
      {predict.error && <ErrorPanel error={predict.error} />}
      {predict.data && seen && (
        <>
          <Judged passed={predict.data.passed} task="1.5">
            {t("lens.step.judged", {
              before: (seen.losses[0] ?? 0).toFixed(3),
              after: (seen.losses.at(-1) ?? 0).toFixed(3),
              what: t(`lens.changes.${predict.data.changes}`),
            })}
          </Judged>
          <ul className={css.hashes}>
            {(
              [
                ["before", seen.hash_before],
                ["inferred", seen.hash_after_inference],
                ["trained", seen.hash_after_training],
              ] as const
            ).map(([when, hash]) => (
              <li key={when} data-other={hash !== seen.hash_before || undefined}>
                <span>{t(`lens.hash.${when}`)}</span> <code>{hash.slice(0, 24)}…</code>
              </li>
            ))}
          </ul>
          <p className={css.hint}>
            {t("lens.step.moved", {
              changed: seen.changed,
              tensors: seen.tensors,
              before: (100 * seen.chance_before).toFixed(2),
              after: (100 * seen.chance_after).toFixed(2),
            })}
          </p>
          <ol className={css.bars}>
            {seen.moved.slice(0, 6).map((one) => (
              <li key={one.name}>
                <code>{one.name.replace("model.", "")}</code>
                <span className={css.bar}>
                  <i style={{ width: `${(100 * one.moved) / (seen.moved[0]?.moved || 1)}%` }} />
                </span>
                <b>{(100 * one.moved).toFixed(3)} %</b>
              </li>
            ))}
          </ol>
        </>
      )}
    </LessonCard>
  );
}
