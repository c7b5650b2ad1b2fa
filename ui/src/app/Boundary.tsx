import { Component, type ReactNode } from "react";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";

/** Keeps the menu alive when a page breaks down. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return <Broken error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}

function Broken({ error, retry }: { error: unknown; retry: () => void }) {
  const { t } = useI18n();
  return (
    <div style={{ flex: 1, padding: "var(--s6)" }}>
      <ErrorPanel error={error} retry={retry} title={t("app.crash")} />
    </div>
  );
}
