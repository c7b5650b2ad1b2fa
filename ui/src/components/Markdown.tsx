import { useQuery } from "@tanstack/react-query";
import { Code2, Download, Eye } from "lucide-react";
import { createContext, lazy, memo, Suspense, useContext, useState, type ComponentProps } from "react";
import ReactMarkdown, { type Components, type ExtraProps } from "react-markdown";
import remarkGfm from "remark-gfm";
import remend from "remend";
import { CiteChip } from "@/components/Cite";
import { CopyButton, IconButton } from "@/components/Button";
import { DataTable } from "@/components/DataTable";
import { artefactOf, fileOf } from "@/lib/artefacts";
import { citeMarks } from "@/lib/citeMarks";
import { useI18n } from "@/lib/i18n";
import { hasMath, normalMath } from "@/lib/math";
import { saveAs } from "@/lib/picture";
import type { Citation } from "@/lib/types";
import css from "./Markdown.module.css";

const Highlighted = lazy(() => import("@/components/Highlighted"));
const Drawing = lazy(() => import("@/components/Artefact").then(({ Drawing }) => ({ default: Drawing })));
const PagePreview = lazy(() => import("@/components/Artefact").then(({ PagePreview }) => ({ default: PagePreview })));

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
      <Arriving value={streaming ?? false}>
        <Cited value={known}>
          <ReactMarkdown
            remarkPlugins={[remarkGfm, [citeMarks, new Set(known.keys())], ...(math?.remarkPlugins ?? [])]}
            rehypePlugins={math?.rehypePlugins}
            components={COMPONENTS}
          >
            {source}
          </ReactMarkdown>
        </Cited>
      </Arriving>
    </div>
  );
});

/** Whether the text is still on its way. */
const Arriving = createContext(false);

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
  table: ({ children }) => <DataTable>{children}</DataTable>,
  cite: Cite,
};

function Code({ className, children }: ComponentProps<"code"> & ExtraProps) {
  const language = /language-([\w+#-]+)/.exec(className ?? "")?.[1];
  const text = String(children ?? "");
  // A block has a language or a line end; anything else is code within a line.
  if (!language && !text.includes("\n")) return <code className={css.inline}>{children}</code>;
  return <Block language={language} code={text.replace(/\n$/, "")} />;
}

/** A block of code; one that can be drawn is drawn once it is whole, a page is shown when one asks for it. */
function Block({ language, code }: { language: string | undefined; code: string }) {
  const { t } = useI18n();
  const arriving = useContext(Arriving);
  const kind = artefactOf(language, code);
  const [wanted, setWanted] = useState<boolean | null>(null);
  const isShown = kind !== null && !arriving && (wanted ?? kind !== "page");
  return (
    <div className={css.block}>
      <div className={css.blockHead}>
        <span>{language ?? ""}</span>
        {kind !== null && !arriving && (
          <IconButton
            small
            icon={isShown ? Code2 : Eye}
            label={t(isShown ? "artefact.code" : "artefact.show")}
            onClick={() => setWanted(!isShown)}
          />
        )}
        <IconButton
          small
          icon={Download}
          label={t("artefact.save")}
          onClick={() => saveAs(new Blob([code], { type: "text/plain;charset=utf-8" }), fileOf(language))}
        />
        <CopyButton text={code} />
      </div>
      {isShown && kind !== null && (
        <Suspense fallback={null}>
          {kind === "page" ? <PagePreview code={code} /> : <Drawing kind={kind} code={code} />}
        </Suspense>
      )}
      <pre hidden={isShown}>
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
