/** Light, dark or the system's; public/theme.js sets the first paint by the same rule. */
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";

export type Theme = "system" | "light" | "dark";

const STORED = "zhilu.theme";
const Context = createContext<{ theme: Theme; setTheme: (theme: Theme) => void } | null>(null);

function firstTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function ThemeProvider({ children }: { children: ReactNode }) {
  const [theme, setTheme] = useState<Theme>(firstTheme);

  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      const dark = theme === "dark" || (theme === "system" && system.matches);
      document.documentElement.dataset.theme = dark ? "dark" : "light";
    };
    localStorage.setItem(STORED, theme);
    apply();
    system.addEventListener("change", apply);
    return () => system.removeEventListener("change", apply);
  }, [theme]);

  const value = useMemo(() => ({ theme, setTheme }), [theme]);
  return <Context value={value}>{children}</Context>;
}

export function useTheme() {
  const value = useContext(Context);
  if (!value) throw new Error("useTheme outside of ThemeProvider");
  return value;
}
