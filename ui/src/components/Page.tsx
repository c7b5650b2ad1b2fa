import type { ReactNode } from "react";
import css from "./Page.module.css";

interface PageProps {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** A narrow page is one of text and forms. */
  narrow?: boolean;
  /** A wide page is a workplace with several panes. */
  wide?: boolean;
}

/** A page that scrolls: title, lead, actions, content. */
export function Page({ title, lead, actions, children, narrow, wide }: PageProps) {
  return (
    <div className={css.scroll}>
      <div className={`${css.page} ${narrow ? css.narrow : wide ? css.wide : ""}`}>
        <title>{`${title} · Zhilu 指路`}</title>
        <header className={css.head}>
          <div className={css.words}>
            <h1>{title}</h1>
            {lead && <p className={css.lead}>{lead}</p>}
          </div>
          {actions && <div className={css.actions}>{actions}</div>}
        </header>
        {children}
      </div>
    </div>
  );
}
