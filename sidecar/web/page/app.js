// The page: who is logged in, which view is shown, and what is said above all views.

import { actionsView } from "./actions.js";
import { get, post, Problem } from "./api.js";
import { byId, h, mark, say, toast } from "./dom.js";
import { addCommonKey, setKeys, showKeys } from "./keys.js";
import { connect, disconnect, follow, live } from "./live.js";
import { logView } from "./log.js";
import { loginView } from "./login.js";
import { streamView } from "./stream.js";
import { streamsView } from "./streams.js";
import { thresholdsView } from "./thresholds.js";

const VIEWS = [
  ["streams", "Streams", "g s"],
  ["actions", "Actions", "g a"],
  ["thresholds", "Thresholds", "g t"],
  ["log", "Log", "g l"],
];
const LINKS = { live: "● Live", connecting: "… Connecting", reconnecting: "✕ Reconnecting" };
const THEMES = ["auto", "dark", "light"];

const session = { me: null };
let leave = () => {};

function route() {
  const [name = "streams", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { name: name || "streams", rest: rest.map(decodeURIComponent) };
}

function show() {
  leave();
  setKeys([]);
  const main = byId("main");
  const { name, rest } = route();
  for (const link of byId("nav").querySelectorAll("a")) {
    const here = link.hash === `#/${name}`;
    mark(link, "aria-current", here ? "page" : null);
  }
  main.replaceChildren();
  document.title = `${(VIEWS.find(([key]) => key === name) ?? VIEWS[0])[1]} · moderation sidecar`;
  if (name === "streams" && rest.length) leave = streamView(main, rest[0], session) ?? (() => {});
  else if (name === "actions") leave = actionsView(main, session) ?? (() => {});
  else if (name === "thresholds") leave = thresholdsView(main, session) ?? (() => {});
  else if (name === "log") leave = logView(main, session) ?? (() => {});
  else leave = streamsView(main, session) ?? (() => {});
}

function showLink() {
  const badge = byId("link");
  say(badge, LINKS[live.state]);
  mark(badge, "class", `badge ${live.state}`);
  const faults = live.head?.faults ?? [];
  const lines = faults.map((f) => `${f.component}: ${f.reason.replaceAll("_", " ")}${f.detail ? ` (${f.detail})` : ""}`);
  if (live.state === "reconnecting") lines.unshift("What is shown is from before the connection was lost. It comes back by itself.");
  else if (live.head && !live.head.broker) lines.unshift("The broker is not connected: actions wait on disk until it is.");
  const text = lines.join(" · ");
  const banner = byId("banner");
  if (banner.textContent !== (text && `▲ ${text}`)) banner.replaceChildren(...(text ? [`▲ ${text}`] : []));
  if (live.head) say(byId("brand"), `${live.head.sidecar} · ${live.head.site}`);
}

function showWho() {
  const who = byId("who");
  if (!session.me) return who.replaceChildren();
  const { name, role, proven } = session.me;
  who.replaceChildren(
    name === role ? `${name} ` : `${name} (${role}) `,
    proven ? h("button", { type: "button", onclick: logout }, "Log out") : "",
  );
}

async function logout() {
  await post("/api/logout").catch(() => {});
  begin();
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say(byId("theme"), `Theme: ${theme}`);
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // a browser that keeps nothing shows what the system likes
  }
}

function nextTheme() {
  const present = document.documentElement.dataset.theme ?? "auto";
  setTheme(THEMES[(THEMES.indexOf(present) + 1) % THEMES.length]);
}

function showLogin(message) {
  leave();
  leave = () => {};
  disconnect();
  session.me = null;
  showWho();
  setKeys([]);
  say(byId("link"), "Logged out");
  byId("banner").replaceChildren();
  loginView(byId("main"), message, async (token) => {
    session.me = await post("/api/login", { token });
    enter();
  });
}

function enter() {
  showWho();
  connect();
  show();
}

/** A link with `#login=TOKEN` logs in at once; the token leaves the address bar. */
async function loginByLink() {
  const found = location.hash.match(/^#login=(.+)$/);
  if (!found) return;
  history.replaceState(null, "", "#/streams");
  await post("/api/login", { token: decodeURIComponent(found[1]) }).catch((error) => toast(error.message, "error"));
}

async function begin() {
  try {
    session.me = await get("/api/me");
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return showLogin();
    byId("main").replaceChildren(h("p", { class: "empty" }, error.message));
    setTimeout(begin, 2000);
    return;
  }
  enter();
}

byId("nav").append(
  ...VIEWS.map(([name, text, keys]) => h("a", { href: `#/${name}`, title: `${text} (${keys})` }, text)),
);
byId("help").addEventListener("click", showKeys);
byId("theme").addEventListener("click", nextTheme);
addCommonKey("t", "Theme: as the system, dark, light", nextTheme);
let kept = "auto";
try {
  kept = localStorage.getItem("theme") ?? "auto";
} catch {
  // as above
}
setTheme(THEMES.includes(kept) ? kept : "auto");
follow(showLink);
addEventListener("hashchange", () => session.me && show());
addEventListener("logged-out", () => session.me && showLogin("Your session has ended. Log in again to go on."));
await loginByLink();
await begin();
