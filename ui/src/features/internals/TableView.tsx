import { useI18n } from "@/lib/i18n";
import type { Table } from "./api";
import css from "./Internals.module.css";

export function TableView({ table }: { table: Table }) {
  const { say } = useI18n();
  return (
    <figure className={css.wide}>
      <figcaption>{say(table.title)}</figcaption>
      <div className={css.scrolls}>
        <table className={css.table}>
          <thead>
            <tr>
              {table.columns.map((column, index) => (
                <th key={index} scope="col">
                  {say(column)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, place) => (
                  <td key={place}>{say(cell)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
