import { Page } from "@/components/Page";
export default function RoadmapPage(_: { id?: string; name?: string; task?: string; kb?: string; doc?: string }) {
  return <Page title="RoadmapPage">{null}</Page>;
}
