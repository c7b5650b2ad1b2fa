import { lazy, Suspense, useState } from "react";
import { Badge } from "@/components/Badge";
import { CopyButton } from "@/components/Button";
import { Segments } from "@/components/Segments";
import { useI18n } from "@/lib/i18n";
import { codeFor, LANGUAGES, type Language } from "./code";
import css from "./Playground.module.css";
import type { Body } from "./request";
import type { Run } from "./runs";

const Highlighted = lazy(() => import("@/components/Highlighted"));
const MOST_SHOWN = 60_000;
const MOST_COLOURED = 20_000;

/** Text of the wire, to read and to copy; a very long one is copied whole and shown in part. */
function Source({ label, text, grammar }: { label: string; text: string; grammar: string }) {
  const { t } = useI18n();
  const shown = text.slice(0, MOST_SHOWN);
  return (
    <div className={css.source}>
      <span className={css.sourceCopy}>
        <CopyButton text={text} label={`${t("do.copy")}: ${label}`} />
      </span>
      <pre tabIndex={0} aria-label={label}>
        {shown.length > MOST_COLOURED || !grammar ? (
          shown
        ) : (
          <Suspense fallback={shown}>
            <Highlighted code={shown} language={grammar} />
          </Suspense>
        )}
        {text.length > MOST_SHOWN && `\n${t("play.cutOff", { n: MOST_SHOWN })}`}
      </pre>
    </div>
  );
}

export function RequestView({ body }: { body: Body }) {
  const { t } = useI18n();
  return (
    <>
      <p className={css.hint}>
        <code>POST /v1/chat/completions</code>
      </p>
      <Source label={t("play.request")} text={JSON.stringify(body, null, 2)} grammar="json" />
    </>
  );
}

export function ResponseView({ run, current }: { run: Run | null; current: string }) {
  const { t } = useI18n();
  if (!run) return <p className={css.hint}>{t("play.noResponse")}</p>;
  const isEvents = run.received.startsWith("data:");
  return (
    <>
      <p className={css.row}>
        {run.status !== null && (
          <Badge tone={run.status < 400 ? "ok" : "bad"}>{t("play.status", { status: run.status })}</Badge>
        )}
        {run.requestId && <code className={css.requestId}>{run.requestId}</code>}
        {run.sent !== current && <small>{t("play.changed")}</small>}
      </p>
      <Source
        label={t("play.response")}
        text={isEvents ? run.received : prettyJson(run.received)}
        grammar={isEvents ? "" : "json"}
      />
    </>
  );
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function CodeView({ body }: { body: Body }) {
  const { t } = useI18n();
  const [language, setLanguage] = useState<Language>("python");
  const grammar = LANGUAGES.find(({ value }) => value === language)?.grammar ?? "";
  return (
    <>
      <Segments label={t("play.language")} value={language} onChange={setLanguage} options={LANGUAGES} />
      <p className={css.hint}>{t("play.codeHint")}</p>
      <Source label={t("play.code")} text={codeFor(language, `${location.origin}/v1`, body)} grammar={grammar} />
    </>
  );
}
