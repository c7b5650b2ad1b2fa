import { AsIs } from "./AsIs";
import css from "./Values.module.css";

/** Arguments by name, texts as they are: a person must be able to read what would be done. */
export function Values({ values }: { values: unknown }) {
  if (typeof values !== "object" || values === null || Array.isArray(values))
    return <AsIs>{JSON.stringify(values)}</AsIs>;
  return (
    <dl className={css.values}>
      {Object.entries(values).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <AsIs>{typeof value === "string" ? value : JSON.stringify(value, null, 1)}</AsIs>
          </dd>
        </div>
      ))}
    </dl>
  );
}
