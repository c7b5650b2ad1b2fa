import { expect, it, vi } from "vitest";

vi.mock("mermaid", () => ({ default: { initialize: () => undefined } })); // it needs a page

const { withoutTags } = await import("./mermaid");

it("lets no tag through but a line break", () => {
  expect(withoutTags('A["<img src=x onerror=alert(1)>"]')).toBe('A["‹img src=x onerror=alert(1)>"]');
  expect(withoutTags("<<img src=x>>")).toBe("<‹img src=x>>");
  expect(withoutTags("a <br/> b <script>x</script>")).toBe("a <br/> b ‹script>x‹/script>");
});

it("keeps what Mermaid itself writes", () => {
  const code = "A <--> B\nX <|-- Y\nclass Z { <<interface>> }\nA -->|x < 3| B";
  expect(withoutTags(code)).toBe(code);
});
