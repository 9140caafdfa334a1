// Starts the page, and asks the server for what is new.

import { startAlerts } from "./alerts.js";
import { domainPath, get } from "./api.js";
import { startCycles } from "./cycles.js";
import { announce, find, options } from "./dom.js";
import { setClock, timeOf } from "./format.js";
import { checkLayer, startLayers } from "./layers.js";
import { resized, startMap } from "./map.js";
import { startPoint } from "./point.js";
import { listen, restore, set, state, store } from "./state.js";
import { startStatus, summaryOf } from "./status.js";
import { framesOf, nowFrame, startTimeline } from "./timeline.js";
import { startVerification } from "./verification.js";

const AGAIN = 15e3; // milliseconds between questions
const PALETTES = { services: "As weather services", uniform: "Colour-blind safe" };
const TABS = ["map", "scores", "cycles"];

async function refresh() {
  const status = await get("api/status");
  set({ status, offset: Date.parse(status.now) - Date.now() });
  const names = status.domains.map((each) => each.domain);
  if (!names.length) throw new Error("no domain has a forecast yet");
  if (find("domain").options.length !== names.length) options(find("domain"), names.map((name) => [name, name.replaceAll("_", " ")]), state.domain);
  const wanted = state.domain ?? state.asked;
  const domain = names.includes(wanted) ? wanted : names[0];
  find("domain").value = domain;
  const known = state.domain === domain && state.forecast?.domain === domain;
  if (!known || summaryOf(domain).init !== state.forecast.init) await open(domain, known);
}

// Show a domain; where it is shown already, with its new forecast at the same distance from now.
async function open(domain, known) {
  const [detail, forecast] = await Promise.all([get(domainPath(domain)), get(domainPath(domain, "/forecasts/latest"))]);
  const distance = known ? state.frame - nowFrame(state.frames) : 0;
  const frames = framesOf(detail, forecast, timeOf);
  const frame = Math.min(Math.max(nowFrame(frames) + distance, 0), frames.length - 1);
  if (!known && state.detail) set({ point: null });
  set({ domain, detail, forecast, ...checkLayer(forecast), frames, frame });
  if (known) announce(`New forecast of ${detail.domain}`);
}

async function keepFresh() {
  try {
    await refresh();
    document.body.classList.remove("offline");
  } catch (error) {
    document.body.classList.add("offline");
    find("state").dataset.state = "nothing";
    find("state-rung").textContent = "No answer of the server";
    find("state-age").textContent = error.message;
  }
  setTimeout(keepFresh, AGAIN);
}

function startSettings() {
  find("palette").addEventListener("change", (event) => set({ palette: event.target.value }));
  find("clock").addEventListener("change", (event) => set({ clock: event.target.value }));
  find("theme").addEventListener("change", (event) => set({ theme: event.target.value }));
  find("domain").addEventListener("change", (event) => open(event.target.value, false));
  document.addEventListener("click", (event) => { if (!event.target.closest("#settings")) find("settings").open = false; });
  options(find("palette"), Object.entries(PALETTES), state.palette);
  find("clock").value = state.clock;
  find("theme").value = state.theme;
  setClock(state.clock);
  listen(["theme"], drawTheme);
  listen(["palette", "clock", "theme", "domain", "tab", "layer", "threshold", "point"], store);
  drawTheme();
}

function drawTheme() {
  if (state.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = state.theme;
}

function startTabs() {
  const tabs = TABS.map((name) => find(`tab-${name}`));
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => set({ tab: TABS[at] }));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = tabs[(at + by + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });
  listen(["tab"], drawTabs);
  drawTabs();
}

function drawTabs() {
  for (const name of TABS) {
    const selected = state.tab === name;
    find(`tab-${name}`).setAttribute("aria-selected", selected);
    find(`tab-${name}`).tabIndex = selected ? 0 : -1;
    find(`view-${name}`).hidden = !selected;
  }
  if (state.tab === "map") resized();
}

// Outlines of what has the focus are for those who use the keyboard.
document.addEventListener("keydown", () => document.body.classList.add("keyboard"), true);
document.addEventListener("pointerdown", () => document.body.classList.remove("keyboard"), true);

restore();
if (!TABS.includes(state.tab)) state.tab = "map";
listen(["clock"], () => setClock(state.clock)); // first, before anything draws a time
startMap();
startSettings();
startStatus();
startTimeline();
startLayers();
startPoint();
startAlerts();
startVerification();
startCycles();
startTabs();
keepFresh();
