import { useMutation } from "@tanstack/react-query";
import { Check, Play, X } from "lucide-react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Lesson, LessonCard } from "@/components/Lesson";
import { ErrorPanel, Skeleton } from "@/components/states";
import type { components } from "@/lib/api.gen";
import { api } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { useShared } from "@/lib/shared";
import { useRested, useView } from "./api";
import { inked, Judged, OtherModel, type TabProps } from "./Lesson";
import css from "./Lens.module.css";

type Chat = components["schemas"]["ChatOut"];
type Score = components["schemas"]["ScoreOut"];

export function PromptsTab({ model, models }: TabProps) {
  const { t } = useI18n();
  return (
    <>
      <Lesson title={t("lens.prompts.title")} text={t("lens.prompts.lesson")} />
      <Template model={model} models={models} />
      <Measured model={model} />
    </>
  );
}

function Template({ model, models }: TabProps) {
  const { t } = useI18n();
  const [system, setSystem] = useShared("system", "");
  const [question, setQuestion] = useShared<string>("text", t("lens.next.example"));
  const [other, setOther] = useShared("beside", "");
  const asked = useRested(
    JSON.stringify([...(system ? [{ role: "system", content: system }] : []), { role: "user", content: question }]),
  );
  const turns = JSON.parse(asked) as { role: string; content: string }[];
  const view = useView<Chat>("chat", { messages: turns, model, ...(other && { other }) });
  return (
    <LessonCard title={t("lens.prompts.template")} hint={t("lens.prompts.templateHint")} saved>
      <div className={css.knobs}>
        <Field label={t("lens.prompts.system")}>
          {(props) => <input {...props} value={system} onChange={(event) => setSystem(event.target.value)} />}
        </Field>
        <Field label={t("lens.prompts.user")}>
          {(props) => <input {...props} value={question} onChange={(event) => setQuestion(event.target.value)} />}
        </Field>
      </div>
      <OtherModel label={t("lens.prompts.beside")} model={model} models={models} value={other} onChange={setOther} />
      {view.error && <ErrorPanel error={view.error} />}
      {view.isPending && <Skeleton lines={4} height={24} />}
      {view.data && (
        <div className={css.split} data-three={Boolean(view.data.other) || undefined}>
          {(["rendered", "bare", "other"] as const).map((how) => {
            const shown = view.data[how];
            return (
              shown && (
                <div key={how}>
                  <h4>{t(`lens.prompts.${how}`, { model: other })}</h4>
                  <pre className={css.rendered}>
                    {shown.pieces.map((piece, index) =>
                      piece.special ? <mark key={index}>{piece.text}</mark> : piece.text,
                    )}
                  </pre>
                  <p className={css.hint}>{t("lens.prompts.begins")}</p>
                  <ol className={css.bars}>
                    {shown.next.map((one, index) => (
                      <li key={index}>
                        <code>{inked(one.text)}</code>
                        <span className={css.bar}>
                          <i style={{ width: `${100 * one.probability}%` }} />
                        </span>
                        <b>{(100 * one.probability).toFixed(1)} %</b>
                      </li>
                    ))}
                  </ol>
                </div>
              )
            );
          })}
        </div>
      )}
      {view.data && (
        <details data-unsaved>
          <summary>{t("lens.prompts.source")}</summary>
          <pre className={css.source}>{view.data.template}</pre>
        </details>
      )}
    </LessonCard>
  );
}

function Measured({ model }: { model: string }) {
  const { t } = useI18n();
  const [prompt, setPrompt] = useShared("prompt", "{question}");
  const measure = useMutation({ mutationFn: () => api.post<Score>("/lens/prompt", { prompt, model }) });
  const sign = (right: boolean) =>
    right ? (
      <Check size={15} aria-label={t("lens.prompts.right")} />
    ) : (
      <X size={15} aria-label={t("lens.prompts.wrong")} />
    );
  return (
    <LessonCard title={t("lens.prompts.own")} hint={t("lens.prompts.ownHint")} saved>
      <Field label={t("lens.prompts.yours")}>
        {(props) => <textarea {...props} rows={4} value={prompt} onChange={(event) => setPrompt(event.target.value)} />}
      </Field>
      <div className={css.row}>
        <Button tone="primary" icon={Play} busy={measure.isPending} onClick={() => measure.mutate()}>
          {t("lens.prompts.measure")}
        </Button>
      </div>
      {measure.error && <ErrorPanel error={measure.error} />}
      {measure.data && (
        <>
          <Judged passed={measure.data.passed} task="1.6">
            {t("lens.prompts.judged", { own: measure.data.own, plain: measure.data.baseline, all: measure.data.items })}
          </Judged>
          {!measure.data.passed && (
            <div>
              <p className={css.hint}>{t("lens.prompts.again")}</p>
              <pre className={css.rendered}>{t("lens.prompts.form")}</pre>
            </div>
          )}
          <div className={css.scrolls}>
            <table className={css.table}>
              <thead>
                <tr>
                  <th scope="col">{t("lens.prompts.question")}</th>
                  <th scope="col" className={css.short}>
                    {t("lens.prompts.plain")}
                  </th>
                  <th scope="col" className={css.short}>
                    {t("lens.prompts.mine")}
                  </th>
                  <th scope="col">{t("lens.prompts.answer")}</th>
                </tr>
              </thead>
              <tbody>
                {measure.data.answers.map((one) => (
                  <tr key={one.question}>
                    <td>{one.question}</td>
                    <td>{sign(one.baseline_right)}</td>
                    <td>{sign(one.own_right)}</td>
                    <td>{one.own}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </LessonCard>
  );
}
