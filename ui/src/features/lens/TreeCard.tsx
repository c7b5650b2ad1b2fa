import { useState } from "react";
import { LessonCard } from "@/components/Lesson";
import { SaveFigure } from "@/components/SaveFigure";
import { ErrorPanel, Skeleton } from "@/components/states";
import { bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useShared } from "@/lib/shared";
import { useRested, useView, type TreeOut } from "./api";
import { inked } from "./Lesson";
import css from "./Lens.module.css";
import pictures from "./Pictures.module.css";

type Node = TreeOut["nodes"][number];
const [COLUMN, LINE, LEFT, LETTER] = [150, 24, 16, 7.3];
const LETTERS = 12;

/** How one answer is chosen of all there are: greedy, drawn, and several beams side by side, as one tree. */
export function TreeCard({ text, chat, model }: { text: string; chat: boolean; model: string }) {
  const { t, lang } = useI18n();
  const [width, setWidth] = useShared("beams", 3);
  const [seed, setSeed] = useShared("seed", 1);
  const asked = { text, chat, model, width: useRested(width), seed: useRested(seed), depth: 6 };
  const view = useView<TreeOut>("tree", asked, text !== "");
  const seen = view.data;
  return (
    <>
      <LessonCard title={t("lens.tree.title")} hint={t("lens.tree.hint")}>
        <div className={css.knobs}>
          <label className={css.slider}>
            <span>{t("lens.tree.width", { n: width })}</span>
            <input
              type="range"
              min={1}
              max={5}
              value={width}
              onChange={(event) => setWidth(Number(event.target.value))}
            />
          </label>
          <label className={css.slider}>
            <span>{t("lens.tree.seed", { n: seed })}</span>
            <input
              type="range"
              min={1}
              max={20}
              value={seed}
              onChange={(event) => setSeed(Number(event.target.value))}
            />
          </label>
        </div>
        {view.error && <ErrorPanel error={view.error} />}
        {view.isPending && !view.error && <Skeleton lines={6} height={24} />}
        {seen && (
          <>
            <Drawn nodes={seen.nodes} />
            <ul className={css.legend}>
              {(["beam", "greedy", "drawn"] as const).map((kind) => (
                <li key={kind} data-branch={kind}>
                  {t(`lens.tree.${kind}`)}
                </li>
              ))}
            </ul>
            <div className={css.scrolls}>
              <table className={css.table}>
                <thead>
                  <tr>
                    <th scope="col">{t("lens.tree.how")}</th>
                    <th scope="col">{t("lens.tree.text")}</th>
                    <th scope="col">{t("lens.tree.likelihood")}</th>
                  </tr>
                </thead>
                <tbody>
                  {seen.answers.map((one, index) => (
                    <tr key={index}>
                      <td>{t(`lens.tree.${one.kind as "beam"}`)}</td>
                      <td>
                        <code>{inked(one.text)}</code>
                      </td>
                      <td>
                        {one.likelihood >= 0.001
                          ? `${number(100 * one.likelihood, lang, 1)} %`
                          : t("lens.tree.oneIn", { n: number(1 / one.likelihood, lang, 0) })}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </>
        )}
      </LessonCard>
      {seen && <Cache key={`${text}-${model}`} seen={seen} />}
    </>
  );
}

const branchOf = (node: Node) =>
  node.greedy ? "greedy" : node.drawn ? "drawn" : node.rank === null || node.rank === undefined ? "dropped" : "beam";

function Drawn({ nodes }: { nodes: readonly Node[] }) {
  const { t } = useI18n();
  const deepest = Math.max(0, ...nodes.map(({ depth }) => depth));
  const place = new Map<number | null, number>([[null, 0]]);
  let most = 1;
  for (let depth = 1; depth <= deepest; depth++) {
    const row = nodes.filter((node) => node.depth === depth);
    const above = (node: Node) => place.get(node.parent ?? null) ?? 0;
    row.sort((a, b) => above(a) - above(b) || b.chance - a.chance);
    row.forEach((node, index) => place.set(node.id, index));
    most = Math.max(most, row.length);
  }
  const x = (depth: number) => LEFT + (depth - 1) * COLUMN;
  const y = (node: Node) => 16 + (place.get(node.id) ?? 0) * LINE;
  const size = [LEFT + deepest * COLUMN, most * LINE + 10] as const;
  return (
    <figure className={pictures.figureWide}>
      <div className={css.scrolls} tabIndex={0} role="group" aria-label={t("lens.tree.title")}>
        <svg
          viewBox={`0 0 ${size[0]} ${size[1]}`}
          width={size[0]}
          className={pictures.tree}
          role="img"
          aria-label={t("lens.tree.title")}
        >
          {nodes.map((node) => {
            const parent = nodes.find(({ id }) => id === node.parent);
            const from = parent ? [x(parent.depth) + 4 + LETTER * said(parent).length, y(parent)] : [0, 16];
            const to = [x(node.depth) - 3, y(node)];
            const middle = ((from[0] ?? 0) + (to[0] ?? 0)) / 2;
            return (
              <path
                key={node.id}
                data-branch={branchOf(node)}
                d={`M${from[0]} ${from[1]}C${middle} ${from[1]} ${middle} ${to[1]} ${to[0]} ${to[1]}`}
              />
            );
          })}
          {nodes.map((node) => (
            <g key={node.id} data-branch={branchOf(node)}>
              <title>{`${node.text} ${(100 * node.chance).toFixed(1)} %`}</title>
              <text x={x(node.depth)} y={y(node)}>
                {said(node)}
              </text>
            </g>
          ))}
        </svg>
      </div>
      <SaveFigure name={t("lens.tree.title")} />
    </figure>
  );
}

const said = (node: Node) => `${shortened(inked(node.text))} ${(100 * node.chance).toFixed(0)}%`;
const shortened = (text: string) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

/** The cache while an answer is written: one more row of keys and values a token, and what each step has to compute. */
function Cache({ seen }: { seen: TreeOut }) {
  const { t } = useI18n();
  const path = seen.nodes.filter(({ greedy }) => greedy).sort((a, b) => a.depth - b.depth);
  const [written, setWritten] = useState(0);
  const prompt = seen.tokens.length;
  const length = prompt + written;
  return (
    <LessonCard title={t("lens.cache.title")} hint={t("lens.cache.hint")} saved>
      <label className={css.slider}>
        <span>{t("lens.cache.written", { n: written })}</span>
        <input
          type="range"
          min={0}
          max={path.length}
          value={written}
          onChange={(event) => setWritten(Number(event.target.value))}
        />
      </label>
      <ol className={pictures.cache}>
        {[...seen.tokens, ...path.slice(0, written).map(({ text }) => text)].map((token, index) => (
          <li key={index} data-new={index >= prompt || undefined} data-now={index === length - 1 || undefined}>
            {inked(token)}
          </li>
        ))}
      </ol>
      <p className={css.hint} aria-live="polite">
        {t("lens.cache.holds", { n: length, size: bytes(seen.kv_bytes * length), each: bytes(seen.kv_bytes) })}{" "}
        {written > 0 && t("lens.cache.work", { n: length })}
      </p>
    </LessonCard>
  );
}
