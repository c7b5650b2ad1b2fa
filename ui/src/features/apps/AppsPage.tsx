import { ArrowRight, ClipboardCheck } from "lucide-react";
import { Link } from "wouter";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { ErrorPanel, FixLine, Skeleton } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { useCheck, useProducts, type Acceptance, type Product } from "./api";
import css from "./Apps.module.css";

const percent = (share: number) => `${Math.round(share * 100)}%`;

export default function AppsPage() {
  const { t } = useI18n();
  const products = useProducts();
  return (
    <Page title={t("apps.title")} lead={t("apps.lead")}>
      {products.error && <ErrorPanel error={products.error} retry={() => void products.refetch()} />}
      {products.isPending && <Skeleton lines={4} height={60} />}
      <div className={css.cards}>
        {products.data?.map((product) => (
          <ProductCard key={product.name} product={product} />
        ))}
      </div>
    </Page>
  );
}

function ProductCard({ product }: { product: Product }) {
  const { t, say } = useI18n();
  const check = useCheck();
  const jobs = useJobs().data ?? [];
  const job = jobs.find(
    ({ kind, params }) => kind === "app-check" && Array.isArray(params.apps) && params.apps.includes(product.name),
  );
  const going = job && isActive(job);
  return (
    <article className={css.card} data-testid={`product-${product.name}`}>
      <h2>{say(product.title)}</h2>
      <p>{say(product.says)}</p>
      {product.last ? (
        <Figure last={product.last} floor={product.floor} />
      ) : (
        <p className={css.hint}>{t("apps.never")}</p>
      )}
      {check.error && <ErrorPanel error={check.error} />}
      {job && (going || job.status === "failed") && <JobLine job={job} />}
      <div className={css.row}>
        <Link href={product.page} className={css.open}>
          {t("apps.open")} <ArrowRight size={15} aria-hidden />
        </Link>
        <Button small icon={ClipboardCheck} busy={check.isPending || going} onClick={() => check.mutate(product.name)}>
          {t(product.last ? "apps.again" : "apps.check")}
        </Button>
      </div>
      <details>
        <summary>{t("apps.take")}</summary>
        <FixLine bare fix={`zhilu app new my-${product.name} --from ${product.name}`} />
      </details>
    </article>
  );
}

function Figure({ last, floor }: { last: Acceptance; floor: number }) {
  const { t, say, lang } = useI18n();
  return (
    <>
      <div className={css.row}>
        <strong className={css.figure}>{percent(last.share)}</strong>
        <Badge tone={last.passed ? "ok" : "bad"}>{t(last.passed ? "apps.passed" : "apps.failed")}</Badge>
        <span className={css.hint}>
          {t("apps.right", { n: last.num_right, of: last.cases.length })} · {t("apps.floor", { floor: percent(floor) })}{" "}
          · {t("apps.ran", { model: last.model, when: ago(last.at, lang) })}
        </span>
      </div>
      <details>
        <summary>{t("apps.cases")}</summary>
        <ol className={css.cases}>
          {last.cases.map((one, index) => (
            <li key={index}>
              <Badge tone={one.right ? "ok" : "bad"}>{t(one.right ? "apps.caseRight" : "apps.caseWrong")}</Badge>
              <div>
                <strong>{one.case}</strong>
                <p>{one.said}</p>
                {one.why && <p className={css.hint}>{say(one.why)}</p>}
              </div>
            </li>
          ))}
        </ol>
      </details>
    </>
  );
}
