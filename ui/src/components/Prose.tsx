import { Fragment } from "react";
import css from "./Prose.module.css";

/** A text of the server's: paragraphs at empty lines, `code` between backticks; nothing else is markup. */
export function Prose({ text }: { text: string }) {
  return text.split(/\n{2,}/).map((paragraph, index) => (
    <p key={index} className={css.paragraph}>
      {paragraph
        .split(/`([^`]+)`/)
        .map((piece, at) => (at % 2 ? <code key={at}>{piece}</code> : <Fragment key={at}>{piece}</Fragment>))}
    </p>
  ));
}
