import { FileText, Play } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Segments } from "@/components/Segments";
import { ErrorPanel } from "@/components/states";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useMethods, useStart, type Want } from "./api";
import css from "./Longtext.module.css";

const WANTS: readonly Want[] = ["ask", "summary", "needle"];

export function StartForm({ onStarted }: { onStarted: (id: string) => void }) {
  const { t, say, lang } = useI18n();
  const [want, setWant] = useState<Want>("ask");
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const [question, setQuestion] = useState("");
  const [known, setKnown] = useState("");
  const [chosen, setChosen] = useState<string[] | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const methods = useMethods();
  const start = useStart();
  const all = (methods.data ?? []).map((one) => one.name);
  const ways = chosen ?? (want === "needle" ? all.filter((one) => ["retrieval", "beginning"].includes(one)) : all);
  const ready = want === "needle" || (text.trim() !== "" && (want === "summary" || question.trim() !== ""));
  const send = () =>
    start.mutate(
      {
        text: want === "needle" ? "" : text,
        wish: {
          want,
          name: name || t("longtext.title"),
          question: want === "ask" ? question : "",
          answers: known.trim() ? [known.trim()] : [],
          lang,
          ...(ways.length ? { methods: ways } : {}),
        },
      },
      { onSuccess: ({ run }) => onStarted(run.id) },
    );
  return (
    <form
      className={css.card}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Segments
        label={t("longtext.title")}
        value={want}
        onChange={(next) => {
          setWant(next as Want);
          setChosen(null);
        }}
        options={WANTS.map((value) => ({ value, label: t(`longtext.want.${value}`) }))}
      />
      {want === "needle" ? (
        <p className={css.hint}>{t("longtext.needleHint")}</p>
      ) : (
        <>
          <div className={css.row}>
            <Button icon={FileText} onClick={() => input.current?.click()}>
              {t("longtext.file")}
            </Button>
            <span className={css.hint}>
              {name} {text && t("longtext.characters", { n: number(text.length, lang, 0) })}
            </span>
            <input
              ref={input}
              type="file"
              hidden
              accept=".txt,.md,.markdown,.rst,.log,text/*"
              data-testid="longtext-file"
              onChange={(event) => {
                const file = event.target.files?.[0];
                event.target.value = "";
                if (!file) return;
                setName(file.name);
                void file.text().then(setText);
              }}
            />
          </div>
          <Field label={t("longtext.text")}>
            {(props) => <textarea {...props} rows={4} value={text} onChange={(event) => setText(event.target.value)} />}
          </Field>
        </>
      )}
      {want === "ask" && (
        <div className={css.two}>
          <Field label={t("longtext.question")}>
            {(props) => <input {...props} value={question} onChange={(event) => setQuestion(event.target.value)} />}
          </Field>
          <Field label={t("longtext.known")}>
            {(props) => <input {...props} value={known} onChange={(event) => setKnown(event.target.value)} />}
          </Field>
        </div>
      )}
      {want !== "summary" && (
        <fieldset className={css.ways}>
          <legend>{t("longtext.methods")}</legend>
          {methods.data?.map((method) => (
            <label key={method.name}>
              <input
                type="checkbox"
                checked={ways.includes(method.name)}
                onChange={(event) =>
                  setChosen(all.filter((one) => (one === method.name ? event.target.checked : ways.includes(one))))
                }
              />
              <span>
                <b>{say(method.title)}</b>
                <small>{say(method.about)}</small>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      {start.error && <ErrorPanel error={start.error} />}
      <div className={css.row}>
        <Button type="submit" tone="primary" icon={Play} busy={start.isPending} disabled={!ready || !ways.length}>
          {t("longtext.start")}
        </Button>
      </div>
    </form>
  );
}
