import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/components/Badge";
import { api } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import type { Engine } from "@/lib/types";
import css from "./Suggestions.module.css";

/** What can run a model here; which one does is chosen by the settings, or by what a model needs. */
export function Engines() {
  const { t, say } = useI18n();
  const { data } = useQuery({ queryKey: ["engines"], queryFn: ({ signal }) => api.get<Engine[]>("/engines", signal) });
  if (!data?.length) return null;
  return (
    <section className={css.section}>
      <h2>{t("models.engines")}</h2>
      <ul className={css.engines}>
        {data.map((engine) => (
          <li key={engine.name}>
            <b>{say(engine.title)}</b>
            <span>{say(engine.installed ? engine.description : engine.why)}</span>
            <Badge tone={engine.installed ? "ok" : "neutral"}>
              {t(engine.installed ? "models.installed" : "models.notInstalled")}
            </Badge>
          </li>
        ))}
      </ul>
    </section>
  );
}
