import { ArrowRight, Download, LibraryBig, Route } from "lucide-react";
import { Link } from "wouter";
import { Contours, Logo } from "@/components/Logo";
import { SetupParts } from "@/components/SetupParts";
import { count } from "@/lib/format";
import { useI18n, type Key } from "@/lib/i18n";
import { useModels } from "@/lib/queries";
import css from "./Welcome.module.css";

const EXAMPLES: readonly Key[] = ["chat.example1", "chat.example2", "chat.example3", "chat.example4"];

/** A new conversation: says what one is talking with, and offers what it does well. */
export function Welcome({ model, onAsk }: { model: string | null; onAsk: (content: string) => void }) {
  const { t } = useI18n();
  const info = useModels().data?.find(({ name }) => name === model);
  return (
    <div className={css.scroll}>
      <Contours className={css.contours} />
      <div className={css.welcome}>
        <span className={css.mark}>
          <Logo size={54} />
        </span>
        <h1>{t("chat.welcome")}</h1>
        {info?.embedded && (
          <p className={css.lead}>
            {t("chat.welcomeNano", { model: info.name, size: count(info.parameters) })}{" "}
            <Link href="/models?do=pull">
              <Download size={14} aria-hidden /> {t("model.stronger")}
            </Link>
          </p>
        )}
        {info && !info.embedded && <p className={css.lead}>{t("chat.welcomeOther", { model: info.name })}</p>}
        <SetupParts />
        <div className={css.ways}>
          <Way href="/knowledge" icon={LibraryBig} title={t("chat.toDocuments")} hint={t("chat.toDocumentsHint")} />
          <Way href="/roadmap" icon={Route} title={t("chat.toRoadmap")} hint={t("chat.toRoadmapHint")} />
        </div>
        <p className={css.try}>{t("chat.try")}</p>
        <div className={css.examples}>
          {EXAMPLES.map((key) => (
            <button type="button" key={key} data-example onClick={() => onAsk(t(key))}>
              {t(key)}
            </button>
          ))}
        </div>
      </div>
    </div>
  );
}

function Way({ href, icon: Icon, title, hint }: { href: string; icon: typeof Route; title: string; hint: string }) {
  return (
    <Link href={href} className={css.way}>
      <Icon size={20} aria-hidden />
      <span>
        <strong>{title}</strong>
        <small>{hint}</small>
      </span>
      <ArrowRight size={16} aria-hidden />
    </Link>
  );
}
