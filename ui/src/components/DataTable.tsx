import { ArrowDown, ArrowUp, FileDown } from "lucide-react";
import { Children, cloneElement, isValidElement, useState, type ReactElement, type ReactNode } from "react";
import { IconButton } from "@/components/Button";
import { byCell, csvOf } from "@/lib/artefacts";
import { useI18n } from "@/lib/i18n";
import { saveAs } from "@/lib/picture";
import css from "./Markdown.module.css";

type Node = ReactElement<{ children?: ReactNode }>;

const elements = (node: ReactNode): Node[] => Children.toArray(node).filter(isValidElement) as Node[];
const inside = (node: Node | undefined) => elements(node?.props.children);

/** The words of a cell, whatever stands around them. */
function textOf(node: ReactNode): string {
  if (typeof node === "string" || typeof node === "number") return String(node);
  if (Array.isArray(node)) return node.map(textOf).join("");
  return isValidElement(node) ? textOf((node as Node).props.children) : "";
}

const cellsOf = (row: Node) => inside(row).map((cell) => textOf(cell.props.children).trim());

/** A table of an answer: a click on a heading sorts it, and it can be taken along as CSV. */
export function DataTable({ children }: { children?: ReactNode }) {
  const { t } = useI18n();
  const [sort, setSort] = useState<{ column: number; down: boolean } | null>(null);
  const [head, body] = elements(children);
  const [headings] = inside(head);
  const rows = inside(body);
  const sorted = sort
    ? [...rows].sort(
        (a, b) => byCell(cellsOf(a)[sort.column] ?? "", cellsOf(b)[sort.column] ?? "") * (sort.down ? -1 : 1),
      )
    : rows;
  const turn = (column: number) =>
    setSort(sort?.column !== column ? { column, down: false } : sort.down ? null : { column, down: true });
  const save = () => {
    const all = [...(headings ? [headings] : []), ...sorted].map(cellsOf);
    // The mark tells spreadsheets that it is UTF-8.
    saveAs(new Blob(["\ufeff", csvOf(all)], { type: "text/csv;charset=utf-8" }), "table.csv");
  };
  return (
    <div className={css.tableBox}>
      <div className={css.table}>
        <table>
          {headings && (
            <thead>
              <tr>
                {inside(headings).map((cell, column) => {
                  const mine = sort?.column === column ? sort : null;
                  return (
                    <th key={column} aria-sort={mine ? (mine.down ? "descending" : "ascending") : undefined}>
                      <button type="button" className={css.sort} onClick={() => turn(column)}>
                        {cell.props.children}
                        {mine && (mine.down ? <ArrowDown size={13} aria-hidden /> : <ArrowUp size={13} aria-hidden />)}
                      </button>
                    </th>
                  );
                })}
              </tr>
            </thead>
          )}
          {body && cloneElement(body, {}, ...sorted)}
        </table>
      </div>
      <IconButton small icon={FileDown} label={t("artefact.csv")} className={css.csv} onClick={save} />
    </div>
  );
}
