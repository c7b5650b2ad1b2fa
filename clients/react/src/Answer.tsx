import { memo } from "react";
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import type { Source } from "./knowledge";

// What a model writes is untrusted. react-markdown shows HTML as text and drops javascript: addresses. Images are shown as
// their words: the address of a picture is fetched unasked, and can carry the conversation out.
const components: Components = {
  img: ({ alt }) => <>{alt}</>,
  a: ({ href, children }) =>
    href?.startsWith("#source-") ? (
      <a className="cite" href={href}>
        {children}
      </a>
    ) : (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ),
};

interface AnswerProps {
  text: string;
  /** Of the turn: its sources have addresses of their own on the page. */
  id: number;
  sources: Source[];
  heading: string;
}

export const Answer = memo(function Answer({ text, id, sources, heading }: AnswerProps) {
  const known = new Set(sources.map(({ n }) => n));
  const linked = text.replace(/\[(\d{1,3})\](?!\()/g, (whole, n: string) =>
    known.has(Number(n)) ? `[\\[${n}\\]](#source-${id}-${n})` : whole,
  );
  return (
    <>
      <Markdown remarkPlugins={[remarkGfm]} components={components}>
        {linked}
      </Markdown>
      {sources.length > 0 && (
        <section className="sources" aria-label={heading}>
          {sources.map((source) => (
            <details key={source.n}>
              <summary>
                [{source.n}] {source.doc_name}
                {source.page !== null && `, ${source.page}`}
              </summary>
              {/* The address is of what is inside: browsers open the details that a link leads into. */}
              <blockquote id={`source-${id}-${source.n}`}>{source.text}</blockquote>
            </details>
          ))}
        </section>
      )}
    </>
  );
});
