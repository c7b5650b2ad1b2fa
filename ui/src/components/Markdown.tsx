import { useQuery } from "@tanstack/react-query";
import { createContext, lazy, memo, Suspense, useContext, type ComponentProps } from "react";
import ReactMarkdown, { type Components, type ExtraProps } from "react-markdown";
import remarkGfm from "remark-gfm";
import remend from "remend";
import { CiteChip } from "@/components/Cite";
import { CopyButton } from "@/components/Button";
import { citeMarks } from "@/lib/citeMarks";
import { hasMath, normalMath } from "@/lib/math";
import type { Citation } from "@/lib/types";
import css from "./Markdown.module.css";

const Highlighted = lazy(() => import("@/components/Highlighted"));

/** The plugins for formulas, once there is one. */
function useMath(wanted: boolean) {
  return useQuery({
    queryKey: ["math-plugins"],
    queryFn: () => import("@/components/mathPlugins"),
    enabled: wanted,
    staleTime: Infinity,
  }).data;
}

interface MarkdownProps {
  text: string;
  /** While text arrives, unfinished marks are closed so that half a table or bold word does not flash raw. */
  streaming?: boolean;
  citations?: readonly Citation[];
}

/**
 * Markdown as React elements. HTML in the text is shown as text, never parsed; links leave with no opener or referrer;
 * images are not fetched (a model's answer must not be able to call home).
 */
export const Markdown = memo(function Markdown({ text, streaming, citations }: MarkdownProps) {
  const source = normalMath(streaming ? remend(text) : text);
  const math = useMath(hasMath(source));
  const known = new Map((citations ?? []).map((citation) => [citation.n, citation]));
  return (
    <div className={css.markdown} data-streaming={streaming || undefined}>
      <Cited value={known}>
        <ReactMarkdown
          remarkPlugins={[remarkGfm, [citeMarks, new Set(known.keys())], ...(math?.remarkPlugins ?? [])]}
          rehypePlugins={math?.rehypePlugins}
          components={COMPONENTS}
        >
          {source}
        </ReactMarkdown>
      </Cited>
    </div>
  );
});

/** The passages that the text around an element cites, by number. */
const Cited = createContext<ReadonlyMap<number, Citation>>(new Map());

function Cite({ node }: ExtraProps) {
  const citation = useContext(Cited).get(Number(node?.properties.n));
  return citation ? <CiteChip citation={citation} /> : null;
}

// Made once: a component made anew with each text is another one to React, and an open passage under the pointer closes.
const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  ),
  img: ({ alt }) => <em>{alt}</em>,
  pre: ({ children }) => <>{children}</>,
  code: Code,
  table: ({ children }) => (
    <div className={css.table}>
      <table>{children}</table>
    </div>
  ),
  cite: Cite,
};

function Code({ className, children }: ComponentProps<"code"> & ExtraProps) {
  const language = /language-([\w+#-]+)/.exec(className ?? "")?.[1];
  const text = String(children ?? "");
  // A block has a language or a line end; anything else is code within a line.
  if (!language && !text.includes("\n")) return <code className={css.inline}>{children}</code>;
  const code = text.replace(/\n$/, "");
  return (
    <div className={css.block}>
      <div className={css.blockHead}>
        <span>{language ?? ""}</span>
        <CopyButton text={code} />
      </div>
      <pre>
        <code>
          {language ? (
            <Suspense fallback={code}>
              <Highlighted code={code} language={language} />
            </Suspense>
          ) : (
            code
          )}
        </code>
      </pre>
    </div>
  );
}
