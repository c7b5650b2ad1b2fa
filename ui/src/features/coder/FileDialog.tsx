import { lazy, Suspense, useEffect, useRef } from "react";
import { Dialog } from "@/components/Dialog";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useCodeText } from "./api";
import css from "./Coder.module.css";

const Highlighted = lazy(() => import("@/components/Highlighted"));

/** Lines of a file, counted from 1. */
export interface Place {
  path: string;
  start: number;
  end: number;
}

const LINE = 20; // px; the same as in the style

/** A file as it was read, with the lines of a place marked and in view. */
export function FileDialog({ repo, place, onClose }: { repo: string; place: Place; onClose: () => void }) {
  const text = useCodeText(repo, place.path);
  const mark = useRef<HTMLDivElement>(null);
  const ready = !!text.data;
  useEffect(() => {
    if (ready) mark.current?.scrollIntoView({ block: "center" });
  }, [ready, place]);
  return (
    <Dialog
      open
      onClose={onClose}
      title={place.path}
      hint={`${place.start}${place.end > place.start ? `-${place.end}` : ""}`}
      shape="panel"
    >
      {text.error && <ErrorPanel error={text.error} />}
      {text.isPending && <Skeleton lines={8} height={20} />}
      {text.data && (
        <div className={css.file} tabIndex={0}>
          <div
            ref={mark}
            className={css.mark}
            style={{ top: (place.start - 1) * LINE, height: (place.end - place.start + 1) * LINE }}
          />
          <pre aria-hidden className={css.numbers}>
            {text.data.text.split("\n").map((_, index) => `${index + 1}\n`)}
          </pre>
          <pre>
            <code>
              <Suspense fallback={text.data.text}>
                <Highlighted code={text.data.text} language={text.data.file.language} />
              </Suspense>
            </code>
          </pre>
        </div>
      )}
    </Dialog>
  );
}
