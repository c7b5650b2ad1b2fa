import { MessageCircle } from "lucide-react";
import { Link } from "wouter";
import { Badge } from "@/components/Badge";
import { useErrorText } from "@/components/states";
import { bytes, count, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Model } from "@/lib/types";
import css from "./ModelsPage.module.css";
import { useLoadedAdapters } from "./api";
import { gistOf } from "./failure";
import { LiveLine } from "./LiveLine";
import { OptionsButton } from "./StartDialog";
import { originOf, StateBadge, SwitchButton } from "./state";

export function ModelCard({ model, isDefault }: { model: Model; isDefault: boolean }) {
  const { t, say, lang } = useI18n();
  const errorText = useErrorText();
  const { name, parameters, size_bytes, context_length, state, supported } = model;
  const adapters = useLoadedAdapters(name).data ?? [];
  return (
    <article className={css.card} data-model={name}>
      <div className={css.words}>
        <span className={css.name}>
          <Link href={`/models/${encodeURIComponent(name)}`}>{name}</Link>
          {isDefault && <Badge tone="pine">{t("models.default")}</Badge>}
        </span>
        <p className={css.source}>
          {[
            t(originOf(model)),
            model.architecture,
            adapters.length > 0 && t("models.adaptersOn", { names: adapters.map((one) => one.name).join(", ") }),
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
        {!supported && <p className={css.why}>{say(model.why_not) || t("models.cannot")}</p>}
        {state === "failed" && model.detail && (
          <p className={css.why} data-bad>
            {gistOf(errorText(model.detail).text)}
          </p>
        )}
      </div>
      <dl className={css.numbers}>
        <Figure name={t("models.parameters")} value={count(parameters || null)} />
        <Figure name={t("models.size")} value={bytes(size_bytes)} />
        <Figure name={t("models.context")} value={context_length ? number(context_length, lang) : "–"} />
      </dl>
      <div className={css.state}>
        {supported && <StateBadge state={state} />}
        {state === "ready" && (
          <Link href="/chat" aria-label={`${t("models.chat")}: ${name}`}>
            <MessageCircle size={14} aria-hidden /> {t("models.chat")}
          </Link>
        )}
        {supported && <SwitchButton model={model} />}
        {supported && <OptionsButton model={model} />}
      </div>
      {state === "ready" && <LiveLine name={name} />}
    </article>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
