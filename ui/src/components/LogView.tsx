import { useEffect, useRef } from "react";
import { CopyButton } from "@/components/Button";
import css from "./LogView.module.css";

interface LogViewProps {
  title: string;
  text: string | undefined;
  empty: string;
  /** Keep the end in sight while lines are added. */
  follow?: boolean;
}

export function LogView({ title, text, empty, follow }: LogViewProps) {
  const end = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [text, follow]);
  return (
    <figure className={css.log}>
      <figcaption>
        {title}
        {text && <CopyButton text={text} />}
      </figcaption>
      <pre ref={end} tabIndex={0} aria-label={title}>
        {text || <span>{empty}</span>}
      </pre>
    </figure>
  );
}
