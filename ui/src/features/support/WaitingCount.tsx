import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/components/Badge";
import { api } from "@/lib/api";
import { useI18n } from "@/lib/i18n";

/** How many customers wait for a person, at the end of the menu's entry. */
export function WaitingCount() {
  const { t } = useI18n();
  const { data } = useQuery({
    queryKey: ["support", "waiting"],
    queryFn: ({ signal }) => api.get<unknown[]>("/support/contacts?status=waiting", signal),
    refetchInterval: 15_000,
  });
  if (!data?.length) return null;
  return (
    <Badge tone="warn">
      <span aria-label={t("support.waiting", { n: data.length })}>{data.length}</span>
    </Badge>
  );
}
