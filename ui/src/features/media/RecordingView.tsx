import { useMutation } from "@tanstack/react-query";
import { Download, Play } from "lucide-react";
import { memo, useEffect, useRef, useState } from "react";
import { Button, CopyButton } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { blobUrl, download } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { soundOf, subtitlesOf, type RecordingText, type Segment } from "./api";
import { clock } from "./clock";
import { wordsOf } from "./words";
import css from "./Media.module.css";

/** What was said, with its times; each time plays the recording from there. */
export function RecordingView({ recording, working }: { recording: RecordingText; working: boolean }) {
  const { t, lang } = useI18n();
  const { player, url, now, setNow, broken, setBroken, begin, playFrom, loading, error } = useSound(recording.id);
  const save = useMutation({
    mutationFn: (format: "srt" | "text") =>
      download(
        subtitlesOf(recording.id, format),
        `${recording.name.replace(/\.\w{1,5}$/, "")}.${format === "srt" ? "srt" : "txt"}`,
      ),
  });
  const spoken = recording.language && new Intl.DisplayNames(lang, { type: "language" }).of(recording.language);
  const said = recording.segments.length > 0;
  return (
    <section className={css.card} data-testid="media-recording">
      <header className={css.row}>
        <h2 className={css.name}>{recording.name}</h2>
        <small className={css.hint}>
          {[spoken, recording.duration ? clock(recording.duration) : "", recording.model].filter(Boolean).join(" · ")}
        </small>
        {said && (
          <span className={css.tools}>
            <CopyButton text={recording.text} label={t("media.copyText")} />
            <Button small icon={Download} onClick={() => save.mutate("srt")}>
              SRT
            </Button>
            <Button small icon={Download} onClick={() => save.mutate("text")}>
              TXT
            </Button>
          </span>
        )}
      </header>
      {save.error && <ErrorPanel error={save.error} />}
      {url ? (
        <audio
          controls
          src={url}
          ref={player}
          className={css.player}
          aria-label={recording.name}
          onLoadedMetadata={begin}
          onTimeUpdate={(event) => setNow(event.currentTarget.currentTime)}
          onError={() => setBroken(true)}
        />
      ) : (
        <div className={css.row}>
          <Button small icon={Play} busy={loading} onClick={() => playFrom(0)}>
            {t("media.play")}
          </Button>
        </div>
      )}
      {broken && <p className={css.hint}>{t("media.cantPlay")}</p>}
      {error && <ErrorPanel error={error} />}
      {!recording.whole && !working && said && <p className={css.trouble}>{t("media.unfinished")}</p>}
      {recording.whole && !said && <p className={css.hint}>{t("media.nothingSaid")}</p>}
      <ol className={css.segments}>
        {recording.segments.map((segment) => (
          <Line
            key={segment.id}
            segment={segment}
            now={now >= segment.start && now < segment.end ? now : null}
            onPlay={playFrom}
          />
        ))}
      </ol>
    </section>
  );
}

interface LineProps {
  segment: Segment;
  /** Seconds, where the player is within this segment. */
  now: number | null;
  onPlay: (seconds: number) => void;
}

const Line = memo(function Line({ segment, now, onPlay }: LineProps) {
  const { t } = useI18n();
  const time = clock(segment.start);
  const written = wordsOf(segment);
  return (
    <li data-now={now !== null || undefined}>
      <button type="button" aria-label={t("media.playFrom", { time })} onClick={() => onPlay(segment.start)}>
        {time}
      </button>
      <p>
        {segment.words.length === 0
          ? segment.text.trim()
          : segment.words.map((word, place) => (
              <span
                key={place}
                title={`${word.start.toFixed(2)}–${word.end.toFixed(2)} s`}
                data-now={(now !== null && now >= word.start && now < word.end) || undefined}
                onClick={() => onPlay(word.start)}
              >
                {written[place]}
              </span>
            ))}
      </p>
    </li>
  );
});

/** The recording's sound, brought when it is wanted: it may be hundreds of megabytes. */
function useSound(id: string) {
  const player = useRef<HTMLAudioElement>(null);
  const wanted = useRef(0);
  const [url, setUrl] = useState("");
  const [now, setNow] = useState(-1);
  const [broken, setBroken] = useState(false);
  const load = useMutation({ mutationFn: () => blobUrl(soundOf(id)), onSuccess: setUrl });
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  const begin = () => {
    const audio = player.current;
    if (!audio) return;
    audio.currentTime = wanted.current;
    // Refused where the browser wants a click first: the player is there to be clicked.
    audio.play().catch(() => {});
  };
  const latest = useRef<(seconds: number) => void>(() => {});
  useEffect(() => {
    latest.current = (seconds) => {
      wanted.current = seconds;
      if (url) begin();
      else if (!load.isPending) load.mutate();
    };
  });
  // The same function for good, so that a long text is not drawn anew four times a second.
  const [playFrom] = useState(() => (seconds: number) => latest.current(seconds));
  return { player, url, now, setNow, broken, setBroken, begin, playFrom, loading: load.isPending, error: load.error };
}
