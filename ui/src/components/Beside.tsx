import type { ReactNode } from "react";
import { Link } from "wouter";
import css from "./Beside.module.css";

interface BesideProps {
  /** What the list is of. */
  title: string;
  entries: readonly { id: string; name: string; href: string }[];
  /** The id of the entry that is shown. */
  shown: string;
  /** What is told of it below the list. */
  facts?: ReactNode;
  children: ReactNode;
}

/** A list to choose from, and beside it what was chosen; one above the other where there is little width. */
export function Beside({ title, entries, shown, facts, children }: BesideProps) {
  return (
    <div className={css.columns}>
      <aside>
        <h2>{title}</h2>
        <nav className={css.entries} aria-label={title}>
          {entries.map(({ id, name, href }) => (
            <Link key={id} href={href} data-active={id === shown || undefined}>
              {name}
            </Link>
          ))}
        </nav>
        {facts}
      </aside>
      {children}
    </div>
  );
}
