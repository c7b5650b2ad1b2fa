/*
 * The customer's window on any site: <script src="https://GATEWAY/support/widget.js" data-desk="DESK"></script>
 * data-lang="zh" or "en" fixes the language of the labels (else the browser's), data-open opens it at once.
 * The site's origin must be on the desk's list. What is said is put on the page as text, never as HTML.
 */
(() => {
  "use strict";
  const script = document.currentScript;
  const desk = script && script.dataset.desk;
  if (!desk) return console.error("zhilu widget: data-desk is missing");
  const base = `${new URL(script.src).origin}/zhilu/v1/support/widget/${encodeURIComponent(desk)}`;
  const lang = script.dataset.lang || ((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en");
  const WORDS = {
    en: { open: "Help", title: "Customer service", write: "Write a message", send: "Send", close: "Close the window", end: "End the conversation", again: "New conversation", offline: "Customer service cannot be reached right now.", typing: "Writing…", thanks: "Thank you!", sources: "From: ", star: "of 5" },
    zh: { open: "客服", title: "在线客服", write: "输入消息", send: "发送", close: "收起窗口", end: "结束对话", again: "新的对话", offline: "暂时无法连接客服。", typing: "正在输入…", thanks: "感谢您的评价！", sources: "来源：", star: "分（满分 5 分）" },
  };
  const words = WORDS[lang === "zh" ? "zh" : "en"];
  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; font: 15px/1.5 system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", sans-serif; }
    .launch { position: fixed; right: 20px; bottom: 20px; z-index: 2147483000; padding: 12px 20px; border: 0; border-radius: 999px;
      background: #1f5c4d; color: #fff; box-shadow: 0 4px 16px rgb(0 0 0 / 25%); cursor: pointer; }
    .panel { position: fixed; right: 20px; bottom: 20px; z-index: 2147483001; display: flex; flex-direction: column; width: min(380px, calc(100vw - 24px));
      height: min(560px, calc(100vh - 40px)); overflow: hidden; border-radius: 14px; background: #fff; color: #1c2421; box-shadow: 0 8px 32px rgb(0 0 0 / 30%); }
    [hidden] { display: none !important; }
    header { display: flex; align-items: center; gap: 8px; padding: 10px 12px 10px 16px; background: #1f5c4d; color: #fff; }
    header strong { flex: 1; font-weight: 600; }
    header button { border: 0; padding: 4px 8px; border-radius: 6px; background: transparent; color: #fff; font-size: 13px; cursor: pointer; }
    header button:hover { background: rgb(255 255 255 / 18%); }
    .lines { flex: 1; overflow-y: auto; padding: 14px; display: flex; flex-direction: column; gap: 8px; background: #f4f6f5; }
    .line { max-width: 85%; padding: 8px 12px; border-radius: 12px; background: #fff; white-space: pre-wrap; overflow-wrap: anywhere; align-self: flex-start; }
    .line.customer { align-self: flex-end; background: #1f5c4d; color: #fff; }
    .line.agent { background: #e2f0ea; }
    .line.event { align-self: center; max-width: 95%; background: transparent; color: #56625d; font-size: 13px; text-align: center; }
    .line small { display: block; margin-top: 4px; color: #56625d; font-size: 12px; }
    .stars { display: flex; justify-content: center; gap: 4px; }
    .stars button { border: 0; background: transparent; font-size: 26px; line-height: 1; color: #b5821b; cursor: pointer; }
    form { display: flex; gap: 8px; padding: 10px; border-top: 1px solid #dde3e0; }
    input { flex: 1; min-width: 0; padding: 8px 10px; border: 1px solid #b9c3bf; border-radius: 8px; background: #fff; color: inherit; }
    form button, .again { padding: 8px 14px; border: 0; border-radius: 8px; background: #1f5c4d; color: #fff; cursor: pointer; }
    .again { align-self: center; }
    button:focus-visible, input:focus-visible { outline: 2px solid #d79b2c; outline-offset: 2px; }
    button:disabled { opacity: .5; cursor: default; }
    @media (prefers-color-scheme: dark) {
      .panel { background: #1b211f; color: #e7ecea; } .lines { background: #141917; } .line { background: #26302c; }
      .line.agent { background: #24443a; } .line.event, .line small { color: #a3b0aa; } form { border-color: #33403b; } input { background: #141917; border-color: #46544e; }
    }`;

  const make = (tag, props = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...inside);
    return element;
  };
  const host = make("div");
  host.dataset.zhiluSupport = desk;
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const launch = make("button", { className: "launch", type: "button", textContent: words.open });
  const title = make("strong", { textContent: words.title });
  const end = make("button", { type: "button", textContent: words.end, hidden: true });
  const hide = make("button", { type: "button", textContent: "✕" });
  hide.setAttribute("aria-label", words.close);
  const list = make("div", { className: "lines" });
  list.setAttribute("role", "log");
  list.setAttribute("aria-live", "polite");
  const input = make("input", { type: "text", maxLength: 2000, placeholder: words.write, autocomplete: "off" });
  input.setAttribute("aria-label", words.write);
  const send = make("button", { type: "submit", textContent: words.send });
  const form = make("form", {}, input, send);
  const panel = make("section", { className: "panel", hidden: true }, make("header", {}, title, end, hide), list, form);
  panel.setAttribute("role", "dialog");
  panel.setAttribute("aria-label", words.title);
  root.append(launch, panel);

  const KEY = `zhilu-support-${desk}`;
  let contact = null; // {id, secret}
  let shown = new Set();
  let last = 0;
  let stream = null;
  let waiting = null;

  const keep = () => {
    try {
      if (contact) sessionStorage.setItem(KEY, JSON.stringify(contact));
      else sessionStorage.removeItem(KEY);
    } catch {
      // A page may forbid storage: the conversation then ends with the page.
    }
  };
  const kept = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY) || "null");
    } catch {
      return null;
    }
  };

  async function call(path, body, signal) {
    const headers = { "Accept-Language": lang };
    if (contact) headers["X-Zhilu-Contact"] = contact.secret;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(base + path, {
      method: body === undefined ? "GET" : "POST", headers, signal, credentials: "omit", referrerPolicy: "no-referrer",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) {
      const said = await response.json().then((b) => b.error.message, () => words.offline);
      throw Object.assign(new Error(said), { status: response.status });
    }
    return response;
  }

  function put(role, text, sources = []) {
    const line = make("div", { className: `line ${role}`, textContent: text });
    if (sources.length) line.append(make("small", { textContent: words.sources + sources.join(", ") }));
    list.append(line);
    list.scrollTop = list.scrollHeight;
    return line;
  }

  function show(line) {
    last = Math.max(last, line.id);
    if (shown.has(line.id)) return;
    shown.add(line.id);
    if (line.role !== "customer" && waiting) waiting.remove();
    if (line.text) put(line.role, line.text, line.sources);
    if (line.what === "closed") closed();
    if (line.what === "rated") rated();
    if (waiting && waiting.isConnected) list.append(waiting);
  }

  function closed() {
    form.hidden = end.hidden = true;
    const stars = make("div", { className: "stars" });
    for (let n = 1; n <= 5; n += 1) {
      const star = make("button", { type: "button", textContent: "★" });
      star.setAttribute("aria-label", `${n} ${words.star}`);
      star.addEventListener("click", () => {
        stars.querySelectorAll("button").forEach((each) => (each.disabled = true));
        call(`/contacts/${contact.id}/rating`, { rating: n }).then((r) => r.json()).then((b) => b.lines.forEach(show), failed);
      });
      stars.append(star);
    }
    list.append(stars);
    list.append(againButton());
    list.scrollTop = list.scrollHeight;
  }

  const againButton = () => {
    const again = make("button", { type: "button", className: "again", textContent: words.again });
    again.addEventListener("click", begin);
    return again;
  };

  function rated() {
    list.querySelectorAll(".stars").forEach((each) => each.remove());
    put("event", words.thanks);
  }

  const failed = (error) => put("event", error && error.status ? error.message : words.offline);

  async function follow() {
    if (stream) stream.abort();
    stream = new AbortController();
    const mine = stream;
    while (contact && !mine.signal.aborted) {
      try {
        const response = await call(`/contacts/${contact.id}/events?after=${last}`, undefined, mine.signal);
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          const events = (rest + value).split("\n\n");
          rest = events.pop();
          for (const event of events) {
            const data = event.split("\n").find((each) => each.startsWith("data:"));
            if (data) show(JSON.parse(data.slice(5)));
          }
        }
        if (form.hidden) return;
      } catch (error) {
        if (mine.signal.aborted || [401, 403, 404].includes(error.status)) return;
      }
      await new Promise((done) => setTimeout(done, 3000));
    }
  }

  async function begin() {
    contact = null;
    keep();
    list.replaceChildren();
    shown = new Set();
    last = 0;
    form.hidden = false;
    end.hidden = true;
    try {
      const found = await (await call("/desk")).json();
      title.textContent = found.name;
      put("bot", found.greeting);
    } catch (error) {
      failed(error);
    }
  }

  async function resume() {
    contact = kept();
    if (!contact) return begin();
    try {
      const [about, past] = [await (await call("/desk")).json(), await (await call(`/contacts/${contact.id}`)).json()];
      title.textContent = about.name;
      put("bot", about.greeting);
      end.hidden = false;
      past.lines.forEach(show);
      if (past.rating === null) void follow();
    } catch {
      await begin();
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text || send.disabled) return;
    send.disabled = true;
    input.value = "";
    waiting = make("div", { className: "line event", textContent: words.typing });
    try {
      if (!contact) {
        contact = await (await call("/contacts", {})).json();
        keep();
        end.hidden = false;
        void follow();
      }
      list.append(waiting);
      const said = await (await call(`/contacts/${contact.id}/messages`, { text })).json();
      said.lines.forEach(show);
    } catch (error) {
      input.value = text;
      failed(error);
    } finally {
      waiting.remove();
      send.disabled = false;
      input.focus();
    }
  });
  end.addEventListener("click", () => {
    if (contact) call(`/contacts/${contact.id}/close`, {}).then((r) => r.json()).then((b) => b.lines.forEach(show), failed);
  });
  let begun = false;
  const open = () => {
    launch.hidden = true;
    panel.hidden = false;
    if (!begun) void resume();
    begun = true;
    input.focus();
  };
  launch.addEventListener("click", open);
  hide.addEventListener("click", () => {
    panel.hidden = true;
    launch.hidden = false;
    launch.focus();
  });
  panel.addEventListener("keydown", (event) => event.key === "Escape" && hide.click());

  const attach = () => {
    document.body.append(host);
    if (script.dataset.open !== undefined) open();
  };
  if (document.body) attach();
  else addEventListener("DOMContentLoaded", attach);
})();
