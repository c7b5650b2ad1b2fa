import { Link2 } from "lucide-react";
import { Button } from "@/components/Button";
import { useErrorText } from "@/components/states";
import { bytes } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { useElsewhere, useImportModel } from "./api";
import css from "./Catalogue.module.css";

const APPS = { ollama: "Ollama", lmstudio: "LM Studio" } as const;

/** What Ollama and LM Studio have here, to be linked; nothing where they have nothing. */
export function ElsewhereList({ onDone }: { onDone: () => void }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const found = useElsewhere(true).data ?? [];
  const take = useImportModel();
  if (found.length === 0) return null;
  return (
    <>
      <h3 className={css.group}>{t("models.elsewhere")}</h3>
      <p className={css.hint}>{t("models.elsewhereHint")}</p>
      <ul>
        {found.map(({ app, name, size_bytes }) => (
          <li key={app + name} className={css.row}>
            <span>
              {name}
              <small>{[APPS[app], bytes(size_bytes)].join(" · ")}</small>
            </span>
            <Button
              small
              icon={Link2}
              busy={take.isPending && take.variables.path === `${app}/${name}`}
              aria-label={t("models.link", { name })}
              onClick={() =>
                take.mutate(
                  { path: `${app}/${name}` },
                  {
                    onSuccess: (model) => {
                      toast(t("models.imported", { name: model.name }));
                      onDone();
                    },
                    onError: (error) => toast(errorText(error).text, "bad"),
                  },
                )
              }
            >
              {t("models.doImport")}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}
