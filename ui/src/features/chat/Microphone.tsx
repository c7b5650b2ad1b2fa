import { Mic, Square } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { IconButton, Spinner } from "@/components/Button";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useRecorder } from "@/lib/recorder";
import { toast } from "@/lib/toast";
import { transcribe, useMedia } from "@/lib/voice";

/** What is said becomes text in the field; nothing is sent by itself. Not there where nothing can listen. */
export function Microphone({ onText }: { onText: (said: string) => void }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const { data } = useMedia();
  const [hearing, setHearing] = useState(false);
  const going = useRef<AbortController | null>(null);
  useEffect(() => () => going.current?.abort(), []);

  const write = async (file: File) => {
    const controller = new AbortController();
    going.current = controller;
    setHearing(true);
    try {
      const said = (await transcribe(file, controller.signal)).trim();
      if (said) onText(said);
      else toast(t("chat.nothingHeard"), "note");
    } catch (refusal) {
      if (!controller.signal.aborted) toast(errorText(refusal).text, "bad");
    } finally {
      if (!controller.signal.aborted) setHearing(false);
    }
  };
  const mic = useRecorder(
    (file) => void write(file),
    () => "question",
  );
  const { trouble } = mic;
  useEffect(() => {
    if (trouble) toast(t(`mic.${trouble.kind}`, { said: trouble.said }), "bad");
  }, [trouble, t]);

  if (!data?.hear.ready) return null;
  if (hearing)
    return (
      <span title={t("chat.hearing")}>
        <Spinner size={16} />
      </span>
    );
  return mic.since === null ? (
    <IconButton icon={Mic} label={t("chat.speak")} onClick={() => void mic.start()} />
  ) : (
    <IconButton icon={Square} label={t("chat.speakStop")} onClick={() => mic.stop(true)} />
  );
}
