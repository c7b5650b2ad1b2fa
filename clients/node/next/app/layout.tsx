import type { ReactNode } from "react";
import "./style.css";

export const metadata = { title: "Chat", icons: "data:," };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <div id="root">{children}</div>
      </body>
    </html>
  );
}
