import { FilePlus2, Table, Trash2 } from "lucide-react";
import { useRef } from "react";
import { Button } from "@/components/Button";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { putOrders, removeOrders, showColumns, useChange, useOrders } from "./api";
import css from "./Support.module.css";

/** The order table: where it is from, and which of its columns customers are told. */
export function DeskOrders({ desk }: { desk: string }) {
  const { t } = useI18n();
  const orders = useOrders(desk);
  const put = useChange(putOrders(desk));
  const show = useChange(showColumns(desk));
  const remove = useChange(() => removeOrders(desk));
  const input = useRef<HTMLInputElement>(null);
  const failed = orders.error ?? put.error ?? show.error ?? remove.error;
  const choose = (
    <Button icon={FilePlus2} busy={put.isPending} onClick={() => input.current?.click()}>
      {t("support.putOrders")}
    </Button>
  );
  const found = orders.data;
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        accept=".csv,.tsv,.db,.sqlite,.sqlite3"
        data-testid="support-orders"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) put.mutate(file);
          event.target.value = "";
        }}
      />
      {failed && <ErrorPanel error={failed} />}
      {orders.isPending && <Skeleton />}
      {found === null && (
        <Empty icon={Table} title={t("support.noOrders")} hint={t("support.noOrdersHint")}>
          {choose}
        </Empty>
      )}
      {found && (
        <>
          <div className={css.bar}>
            <strong>{t("support.orderRows", { n: found.num_rows, name: found.origin })}</strong>
            {choose}
            <Button tone="ghost" icon={Trash2} onClick={() => remove.mutate(undefined)}>
              {t("support.removeOrders")}
            </Button>
          </div>
          <h2>{t("support.told")}</h2>
          <p>{t("support.toldHint")}</p>
          <div className={css.columns}>
            {found.columns
              .filter((column) => column !== found.chosen.number)
              .map((column) => (
                <label key={column}>
                  <input
                    type="checkbox"
                    checked={found.chosen.shown.includes(column)}
                    disabled={show.isPending}
                    onChange={(event) =>
                      show.mutate(
                        found.columns.filter((one) =>
                          one === column ? event.target.checked : found.chosen.shown.includes(one),
                        ),
                      )
                    }
                  />
                  {column}
                </label>
              ))}
          </div>
        </>
      )}
    </>
  );
}
