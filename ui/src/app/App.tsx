import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Suspense } from "react";
import { Redirect, Route, Switch } from "wouter";
import { Boundary } from "@/app/Boundary";
import { KeyDialog } from "@/app/KeyDialog";
import { NotFound } from "@/app/NotFound";
import { HOME, PAGES } from "@/app/pages";
import { Shell } from "@/app/Shell";
import { Skeleton } from "@/components/states";
import { TipProvider } from "@/components/Tip";
import { Toasts } from "@/components/Toasts";
import { ApiError } from "@/lib/api";
import { I18nProvider } from "@/lib/i18n";
import { ThemeProvider } from "@/lib/theme";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal is final; only an unreachable or overtaxed server is worth another try.
      retry: (tries, error) => tries < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
  },
});

export function App() {
  return (
    <I18nProvider>
      <ThemeProvider>
        <QueryClientProvider client={client}>
          <TipProvider delayDuration={350}>
            <Shell>
              <Boundary>
                <Suspense fallback={<Loading />}>
                  <Pages />
                </Suspense>
              </Boundary>
            </Shell>
            <KeyDialog />
            <Toasts />
          </TipProvider>
        </QueryClientProvider>
      </ThemeProvider>
    </I18nProvider>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/">
        <Redirect to={HOME} replace />
      </Route>
      {PAGES.flatMap(({ routes }) => routes).map(({ path, component: Page, keyed }) => (
        <Route key={path} path={path}>
          {(params: Record<string, string | undefined>) => <Page key={keyed && params[keyed]} {...params} />}
        </Route>
      ))}
      <Route component={NotFound} />
    </Switch>
  );
}

function Loading() {
  return (
    <div style={{ flex: 1, padding: "var(--s6)" }}>
      <Skeleton lines={5} />
    </div>
  );
}
