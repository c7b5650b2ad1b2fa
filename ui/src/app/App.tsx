import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Redirect, Route, Switch } from "wouter";
import { Boundary } from "@/app/Boundary";
import { KeyDialog } from "@/app/KeyDialog";
import { Shell } from "@/app/Shell";
import { Skeleton } from "@/components/states";
import { TipProvider } from "@/components/Tip";
import { Toasts } from "@/components/Toasts";
import { NotFound } from "@/app/NotFound";
import { ApiError } from "@/lib/api";
import { I18nProvider } from "@/lib/i18n";
import { ThemeProvider } from "@/lib/theme";

const ChatPage = lazy(() => import("@/features/chat/ChatPage"));
const KnowledgePage = lazy(() => import("@/features/rag/KnowledgePage"));
const KbPage = lazy(() => import("@/features/rag/KbPage"));
const DocumentPage = lazy(() => import("@/features/rag/DocumentPage"));
const ModelsPage = lazy(() => import("@/features/models/ModelsPage"));
const PlaygroundPage = lazy(() => import("@/features/serving/PlaygroundPage"));
const JobsPage = lazy(() => import("@/features/jobs/JobsPage"));
const RoadmapPage = lazy(() => import("@/features/roadmap/RoadmapPage"));
const SettingsPage = lazy(() => import("@/features/settings/SettingsPage"));

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
        <Redirect to="/chat" replace />
      </Route>
      <Route path="/chat/:id?">{({ id }) => <ChatPage id={id} />}</Route>
      <Route path="/knowledge" component={KnowledgePage} />
      <Route path="/knowledge/:kb">{({ kb }) => <KbPage key={kb} id={kb} />}</Route>
      <Route path="/knowledge/:kb/documents/:doc">
        {({ kb, doc }) => <DocumentPage key={doc} kb={kb} doc={doc} />}
      </Route>
      <Route path="/models/:name?">{({ name }) => <ModelsPage name={name} />}</Route>
      <Route path="/playground" component={PlaygroundPage} />
      <Route path="/jobs/:id?">{({ id }) => <JobsPage id={id} />}</Route>
      <Route path="/roadmap/:task?">{({ task }) => <RoadmapPage task={task} />}</Route>
      <Route path="/settings" component={SettingsPage} />
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
