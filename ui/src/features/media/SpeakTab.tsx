import { useMutation } from "@tanstack/react-query";
import { Download, Square, Volume2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel, FixLine } from "@/components/states";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useKeptText } from "@/lib/kept";
import { speak, type Ability, type Speech } from "@/lib/voice";
import { Missing } from "./Missing";
import { allJapanese, labelOf } from "./voices";
import css from "./Media.module.css";

const MOST = 4096; // of the route, and of OpenAI's
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export function SpeakTab({ ability }: { ability: Ability }) {
  const { t, lang } = useI18n();
  const [text, setText] = useKeptText("media.speak");
  const [voice, setVoice] = useState("");
  const [speed, setSpeed] = useState(1);
  const [said, setSaid] = useState<{ url: string; text: string } | null>(null);
  const running = useRef<AbortController | null>(null);
  const speaking = useMutation({
    mutationFn: (speech: Speech) => {
      running.current = new AbortController();
      return speak(speech, running.current.signal);
    },
    onSuccess: (url, { input }) => setSaid({ url, text: input }),
  });
  const url = said?.url;
  useEffect(() => () => void (url && URL.revokeObjectURL(url)), [url]);
  useEffect(() => () => running.current?.abort(), []);
  if (!ability.ready) return <Missing ability={ability} title={t("media.missing.speak")} />;
  const length = [...text].length;
  const ready = text.trim() !== "" && length <= MOST;
  const send = () => {
    if (ready && !speaking.isPending) speaking.mutate({ input: text, speed, ...(voice ? { voice } : {}) });
  };
  const stopped = speaking.error instanceof DOMException && speaking.error.name === "AbortError";
  return (
    <>
      <form
        className={css.card}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <Field
          label={t("media.text")}
          hint={t("media.textHint", { n: number(length, lang, 0), most: number(MOST, lang, 0) })}
          error={length > MOST ? t("media.textHint", { n: length, most: MOST }) : null}
        >
          {(props) => (
            <textarea
              {...props}
              rows={5}
              value={text}
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
              }}
            />
          )}
        </Field>
        <div className={css.two}>
          {ability.voices.length > 0 && (
            <Field label={t("media.voice")} hint={allJapanese(ability.voices) ? t("media.accent") : undefined}>
              {(props) => (
                <select {...props} value={voice} onChange={(event) => setVoice(event.target.value)}>
                  <option value="">{t("media.voiceAuto")}</option>
                  {ability.voices.map((name) => (
                    <option key={name} value={name}>
                      {labelOf(name, lang, t)}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          )}
          <Field label={t("media.speed")}>
            {(props) => (
              <select {...props} value={speed} onChange={(event) => setSpeed(Number(event.target.value))}>
                {SPEEDS.map((value) => (
                  <option key={value} value={value}>
                    {number(value, lang)} ×
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        {ability.voices.length === 0 && ability.fix && (
          <div className={css.hint}>
            {t("media.espeak")} <FixLine bare fix={ability.fix} />
          </div>
        )}
        <div className={css.row}>
          <Button type="submit" tone="primary" icon={Volume2} busy={speaking.isPending} disabled={!ready}>
            {t("media.speak")}
          </Button>
          {speaking.isPending && (
            <>
              <Button icon={Square} onClick={() => running.current?.abort()}>
                {t("answer.stop")}
              </Button>
              <span className={css.hint}>{t("media.speakingFor")}</span>
            </>
          )}
        </div>
        {speaking.error && !stopped && <ErrorPanel error={speaking.error} />}
      </form>
      {said && (
        <section className={css.card} data-testid="media-spoken">
          <h2 className={css.name}>{t("media.spoken")}</h2>
          <audio
            controls
            autoPlay
            key={said.url}
            src={said.url}
            className={css.player}
            aria-label={t("media.spoken")}
          />
          <p className={css.quote}>{said.text}</p>
          <div className={css.row}>
            <a className={css.download} href={said.url} download="speech.mp3">
              <Download size={15} aria-hidden /> {t("media.download")}
            </a>
          </div>
        </section>
      )}
    </>
  );
}
