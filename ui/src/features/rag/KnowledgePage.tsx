import { Page } from "@/components/Page";
export default function KnowledgePage() {
  return <Page title="KnowledgePage">{null}</Page>;
}
