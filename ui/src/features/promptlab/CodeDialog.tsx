import { lazy, Suspense, useState } from "react";
import { CopyButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { ErrorPanel } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { useCode, type Version } from "./api";
import css from "./Promptlab.module.css";

const Highlighted = lazy(() => import("@/components/Highlighted"));
const LANGUAGES = { python: "Python", javascript: "JavaScript", curl: "curl" } as const;
type Language = keyof typeof LANGUAGES;

export function CodeDialog({ version, onClose }: { version: Version; onClose: () => void }) {
  const { t } = useI18n();
  const [language, setLanguage] = useState<Language>("python");
  const { data, error } = useCode(version.name, version.number, language);
  return (
    <Dialog
      open
      shape="wide"
      onClose={onClose}
      title={`${version.name} · ${t("prompts.versionN", { n: version.number })}`}
      hint={t("prompts.codeHint")}
    >
      <Tabs
        label={t("prompts.code")}
        value={language}
        onChange={(next) => setLanguage(next as Language)}
        tabs={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
      >
        <TabPanel value={language}>
          {error && <ErrorPanel error={error} />}
          {data && (
            <>
              <pre className={css.code}>
                <Suspense fallback={data}>
                  <Highlighted code={data} language={language === "curl" ? "bash" : language} />
                </Suspense>
              </pre>
              <CopyButton text={data} />
            </>
          )}
        </TabPanel>
      </Tabs>
    </Dialog>
  );
}
