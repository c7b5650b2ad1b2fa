import css from "./Values.module.css";

/** Arguments by name, texts as they are: a person must be able to read what would be done. */
export function Values({ values }: { values: unknown }) {
  if (typeof values !== "object" || values === null || Array.isArray(values))
    return <pre className={css.text}>{JSON.stringify(values)}</pre>;
  return (
    <dl className={css.values}>
      {Object.entries(values).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <pre className={css.text}>{typeof value === "string" ? value : JSON.stringify(value, null, 1)}</pre>
          </dd>
        </div>
      ))}
    </dl>
  );
}
