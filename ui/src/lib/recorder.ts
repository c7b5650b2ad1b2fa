/** The microphone, as a file. */
import { useEffect, useRef, useState } from "react";

export type MicTrouble = "refused" | "none" | "busy" | "insecure" | "failed";

const BY_NAME: Record<string, MicTrouble> = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** What a refusal of `getUserMedia` means; see W3C, Media Capture and Streams, 10.3. */
export const troubleOf = (cause: unknown): MicTrouble => BY_NAME[(cause as Error | null)?.name ?? ""] ?? "failed";

// Opus in WebM wherever it is; Safari's own is MP4. The server tells by the content, the name is for people.
const KINDS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
] as const;

interface Taking {
  recorder: MediaRecorder;
  stream: MediaStream;
  keep: boolean;
}

const close = (stream: MediaStream) => stream.getTracks().forEach((track) => track.stop());

/** `onFile` gets what was recorded once `stop(true)` was called; `name` is without its ending. */
export function useRecorder(onFile: (file: File) => void, name: () => string) {
  const taking = useRef<Taking | null>(null);
  const gone = useRef(false);
  const [since, setSince] = useState<number | null>(null);
  const [trouble, setTrouble] = useState<{ kind: MicTrouble; said: string } | null>(null);

  // Whoever leaves the page has not asked for anything to be kept.
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
      taking.current?.recorder.stop();
    };
  }, []);

  const start = async () => {
    setTrouble(null);
    // Undefined where the page is not trusted: http of another machine.
    if (!("mediaDevices" in navigator)) return setTrouble({ kind: "insecure", said: "" });
    let stream: MediaStream | undefined;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (gone.current) return close(stream);
      const [type, ending] = KINDS.find(([kind]) => MediaRecorder.isTypeSupported(kind)) ?? KINDS[0];
      const recorder = new MediaRecorder(stream, { mimeType: type });
      const own: Taking = { recorder, stream, keep: false };
      const pieces: Blob[] = [];
      recorder.ondataavailable = ({ data }) => data.size && pieces.push(data);
      recorder.onstop = () => {
        close(own.stream);
        taking.current = null;
        setSince(null);
        if (own.keep) onFile(new File(pieces, `${name()}.${ending}`, { type }));
      };
      taking.current = own;
      recorder.start(1_000);
      setSince(Date.now());
    } catch (cause) {
      if (stream) close(stream);
      setTrouble({ kind: troubleOf(cause), said: cause instanceof Error ? cause.message : String(cause) });
    }
  };

  const stop = (keep: boolean) => {
    if (!taking.current) return;
    taking.current.keep = keep;
    taking.current.recorder.stop();
  };

  return { since, trouble, start, stop };
}
