import { Badge } from "@/components/Badge";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";

/** How many jobs are under way, beside the menu's entry. */
export function RunningJobs() {
  const running = useJobs().data?.filter(isActive).length ?? 0;
  return running > 0 ? <Badge tone="pine">{running}</Badge> : null;
}
