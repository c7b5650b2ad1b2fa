import { Square, Volume2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { IconButton } from "@/components/Button";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { speak, useMedia } from "@/lib/voice";

/** Speech takes this many characters at most; what is longer is read up to there. */
const MOST = 4_000;

/** Reads an answer aloud, by the voice of this machine. Not there where none is. */
export function ReadAloud({ text }: { text: string }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const { data } = useMedia();
  const [busy, setBusy] = useState(false);
  const stop = useRef<(() => void) | null>(null);
  useEffect(() => () => stop.current?.(), []);

  const read = async () => {
    const controller = new AbortController();
    const sound = new Audio();
    const end = () => {
      controller.abort();
      sound.pause();
      URL.revokeObjectURL(sound.src);
      stop.current = null;
      setBusy(false);
    };
    stop.current = end;
    setBusy(true);
    try {
      sound.src = await speak({ input: plain(text).slice(0, MOST), speed: 1 }, controller.signal);
      sound.onended = end;
      await sound.play();
    } catch (refusal) {
      if (!controller.signal.aborted) toast(errorText(refusal).text, "bad");
      end();
    }
  };

  if (!data?.speak.ready) return null;
  return (
    <IconButton
      small
      icon={busy ? Square : Volume2}
      label={t(busy ? "chat.readStop" : "chat.readAloud")}
      onClick={() => (busy ? stop.current?.() : void read())}
    />
  );
}

/** Marks of Markdown are not read out. */
const plain = (text: string) => text.replace(/[`*_#>|]+/g, " ").replace(/\s+/g, " ");
