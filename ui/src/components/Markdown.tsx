import { useQuery } from "@tanstack/react-query";
import { lazy, memo, Suspense, type ComponentProps } from "react";
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
  const components: Components = {
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
    cite: ({ node }) => {
      const citation = known.get(Number(node?.properties.n));
      return citation ? <CiteChip citation={citation} /> : null;
    },
  };
  return (
    <div className={css.markdown} data-streaming={streaming || undefined}>
      <ReactMarkdown
        remarkPlugins={[remarkGfm, [citeMarks, new Set(known.keys())], ...(math?.remarkPlugins ?? [])]}
        rehypePlugins={math?.rehypePlugins}
        components={components}
      >
        {source}
      </ReactMarkdown>
    </div>
  );
});

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
