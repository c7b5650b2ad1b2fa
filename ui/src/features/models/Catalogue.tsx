import { Check, Download } from "lucide-react";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { bytes, count } from "@/lib/format";
import { useI18n, type Key } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { Offer } from "@/lib/types";
import { useCatalog, usePullModel } from "./api";
import css from "./Catalogue.module.css";

/** Kinds that most people look for; the rest is folded away. */
const FIRST: readonly string[] = ["starter", "small", "better"];

/** The models that can be had by name, grouped by what they are for. */
export function Catalogue() {
  const { t } = useI18n();
  const { data, error, refetch, isPending } = useCatalog();
  const groups = [...new Set((data ?? []).map(({ group }) => group))];
  const show = (wanted: string[]) =>
    wanted.map((group) => (
      <Group key={group} name={group} offers={(data ?? []).filter((offer) => offer.group === group)} />
    ));
  return (
    <section className={css.section}>
      <h2>{t("models.catalog")}</h2>
      <p className={css.hint}>{t("models.catalogHint")}</p>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={3} height={60} />}
      {show(groups.filter((group) => FIRST.includes(group)))}
      {data && (
        <details className={css.more}>
          <summary>{t("models.other")}</summary>
          {show(groups.filter((group) => !FIRST.includes(group)))}
        </details>
      )}
    </section>
  );
}

function Group({ name, offers }: { name: string; offers: Offer[] }) {
  const { t } = useI18n();
  return (
    <>
      <h3 className={css.group}>{t(`models.group.${name}` as Key)}</h3>
      <ul className={css.grid}>
        {offers.map((offer) => (
          <li key={offer.name} className={css.card} data-offer={offer.name}>
            <OfferCard offer={offer} />
          </li>
        ))}
      </ul>
    </>
  );
}

function OfferCard({ offer }: { offer: Offer }) {
  const { t, say } = useI18n();
  const errorText = useErrorText();
  const pull = usePullModel();
  const get = () =>
    pull.mutate({ source: "auto", repo: offer.name }, { onError: (error) => toast(errorText(error).text, "bad") });
  return (
    <>
      <span className={css.title}>
        <strong>{offer.title}</strong>
        <Badge tone={offer.fits ? "ok" : "warn"}>{t(offer.fits ? "models.fits" : "models.tooBig")}</Badge>
      </span>
      <p>{say(offer.what)}</p>
      <p className={css.facts}>
        {[`${count(offer.parameters)}`, bytes(offer.download_bytes), offer.license, offer.languages.join(" ")].join(
          " · ",
        )}
      </p>
      <span className={css.foot}>
        <small>{say(offer.fit_reason)}</small>
        {offer.installed ? (
          <span className={css.here}>
            <Check size={14} aria-hidden /> {t("models.here")}
          </span>
        ) : (
          <Button
            small
            icon={Download}
            busy={pull.isPending || offer.job !== null}
            aria-label={t("models.getNamed", { name: offer.title })}
            onClick={get}
          >
            {t("models.get")}
          </Button>
        )}
      </span>
    </>
  );
}
