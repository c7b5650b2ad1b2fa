// Everything that comes from outside is put in as text, never as HTML.
const WORDS = {
  title: ["Customer service", "在线客服"],
  write: ["Write a message", "输入消息"],
  send: ["Send", "发送"],
  end: ["End the conversation", "结束对话"],
  again: ["New conversation", "新的对话"],
  thinking: ["Writing…", "正在输入…"],
  thanks: ["Thank you!", "感谢您的评价！"],
  sources: ["From: ", "来源："],
};
const zh = navigator.language.startsWith("zh");
const t = (key) => WORDS[key][zh ? 1 : 0];
const at = (id) => document.getElementById(id);
document.documentElement.lang = zh ? "zh-CN" : "en";
document.title = t("title");
for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
at("text").placeholder = t("write");
at("text").setAttribute("aria-label", t("write"));

let contact = JSON.parse(sessionStorage.getItem("contact") ?? "null");
const shown = new Set();

const tell = (error) => (at("state").textContent = error ? String(error.message ?? error) : "");

async function call(path, body) {
  const headers = { "Accept-Language": zh ? "zh-CN" : "en" };
  if (contact) headers["X-Secret"] = contact.secret;
  if (body) headers["Content-Type"] = "application/json";
  const reply = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? `HTTP ${reply.status}`);
  return reply;
}

function put(role, text) {
  const line = document.createElement("div");
  line.className = role;
  line.textContent = text;
  at("lines").append(line);
  line.scrollIntoView({ block: "nearest" });
}

function show(line) {
  if (shown.has(line.id)) return;
  shown.add(line.id);
  if (line.text) put(line.role, line.sources.length ? `${line.text}\n${t("sources")}${line.sources.join(", ")}` : line.text);
  if (line.what === "closed") {
    at("say").hidden = at("end").hidden = true;
    at("stars").hidden = at("again").hidden = false;
  }
  if (line.what === "rated") {
    at("stars").hidden = true;
    put("event", t("thanks"));
  }
}

/** Lines as they come, also those of a person; begun again where the stream breaks off. */
async function follow() {
  for (;;) {
    try {
      const after = Math.max(0, ...shown);
      const reply = await call(`/api/contacts/${encodeURIComponent(contact.id)}/events?after=${after}`);
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const data = block.split("\n").find((line) => line.startsWith("data:"));
          if (data) show(JSON.parse(data.slice(5)));
        }
      }
      if (!at("again").hidden && at("stars").hidden) return;
    } catch (error) {
      tell(error);
    }
    await new Promise((done) => setTimeout(done, 3000));
  }
}

const post = async (what, body) => {
  const reply = await call(`/api/contacts/${encodeURIComponent(contact.id)}/${what}`, body);
  for (const line of (await reply.json()).lines) show(line);
};

at("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = at("say").querySelector("button");
  const text = at("text").value.trim();
  if (!text || button.disabled) return;
  button.disabled = true;
  at("text").value = "";
  tell(t("thinking"));
  try {
    if (!contact) {
      contact = await (await call("/api/contacts", {})).json();
      sessionStorage.setItem("contact", JSON.stringify(contact));
      at("end").hidden = false;
      follow();
    }
    await post("messages", { text });
    tell("");
  } catch (error) {
    at("text").value = text;
    tell(error);
  } finally {
    button.disabled = false;
    at("text").focus();
  }
});
at("end").addEventListener("click", () => post("close", {}).catch(tell));
at("again").addEventListener("click", () => {
  sessionStorage.removeItem("contact");
  location.reload();
});
for (let n = 1; n <= 5; n += 1) {
  const star = document.createElement("button");
  star.type = "button";
  star.textContent = "★".repeat(n);
  star.setAttribute("aria-label", `${n} / 5`);
  star.addEventListener("click", () => post("rating", { rating: n }).catch(tell));
  at("stars").append(star);
}

try {
  const desk = await (await call("/api/desk")).json();
  at("name").textContent = desk.name;
  put("bot", desk.greeting);
  if (contact) {
    at("end").hidden = false;
    follow();
  }
} catch (error) {
  tell(error);
}
