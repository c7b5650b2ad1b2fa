import { Tabs as Radix } from "radix-ui";
import { useEffect, useRef, type ReactNode } from "react";
import css from "./Tabs.module.css";

interface TabsProps {
  value: string;
  onChange: (value: string) => void;
  label: string;
  tabs: readonly { value: string; label: ReactNode }[];
  children: ReactNode;
  className?: string;
}

export function Tabs({ value, onChange, label, tabs, children, className }: TabsProps) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // On a phone the row of tabs is wider than the page: the one that is open is brought into view.
    const row = list.current;
    const open = row?.querySelector<HTMLElement>('[data-state="active"]');
    if (row && open) row.scrollLeft = open.offsetLeft - row.offsetLeft - (row.clientWidth - open.offsetWidth) / 2;
  }, [value]);
  return (
    <Radix.Root value={value} onValueChange={onChange} className={className}>
      <Radix.List ref={list} aria-label={label} className={css.list}>
        {tabs.map((tab) => (
          <Radix.Trigger key={tab.value} value={tab.value} className={css.tab}>
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {children}
    </Radix.Root>
  );
}

export const TabPanel = Radix.Content;
