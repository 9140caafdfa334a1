// One timeline: the last hours observed, now, the forecast. Play, drag, step, keys.

import { timeTicks } from "./chart.js";
import { announce, element, find } from "./dom.js";
import { clock, clockZone, duration } from "./format.js";
import { isLoaded } from "./map.js";
import { listen, set, state } from "./state.js";

const BEFORE = 2 * 3600e3; // observed frames before the initial time
const STEP = 260, PAUSE = 1100; // milliseconds a frame, and at the end
let playing = null;

export function framesOf(detail, forecast, timeOf) {
  const init = timeOf(forecast.init);
  const { domain } = detail;
  const recent = detail.frames.filter((name) => timeOf(name) <= init && timeOf(name) >= init - BEFORE)
    .map((name) => ({ domain, kind: "observed", name, lead: 0, time: timeOf(name) }));
  const observed = recent.flatMap((frame, at) => [...missing(recent[at - 1], frame, detail.cadence_seconds), frame]);
  const ahead = forecast.lead_minutes
    .map((lead) => ({ domain, kind: "forecast", name: forecast.init, lead: Math.round(lead), time: init + lead * 60e3 }));
  return [...observed, ...ahead];
}

// The frames that did not come between two that did.
function missing(before, after, cadence) {
  if (!before || !cadence) return [];
  const count = Math.round((after.time - before.time) / (cadence * 1000)) - 1;
  return Array.from({ length: Math.max(0, count) }, (_, at) => {
    const time = before.time + (at + 1) * cadence * 1000;
    return { domain: before.domain, kind: "missing", name: `missing ${time}`, lead: 0, time };
  });
}

// The number of the last observed frame: now.
export const nowFrame = (frames) => Math.max(0, frames.findLastIndex((frame) => frame.kind === "observed"));

export function startTimeline() {
  find("slider").addEventListener("input", (event) => { stop(); go(Number(event.target.value)); });
  find("play").addEventListener("click", () => (playing ? stop() : play()));
  find("back").addEventListener("click", () => step(-1));
  find("forth").addEventListener("click", () => step(1));
  document.addEventListener("keydown", onKey);
  listen(["frames", "frame", "clock"], draw);
  listen(["frames", "clock"], drawTicks);
  listen(["tab"], () => { if (state.tab !== "map") stop(); });
}

const go = (number) => set({ frame: Math.min(Math.max(number, 0), state.frames.length - 1) });

function step(by) {
  stop();
  go(state.frame + by);
  announce(describe(state.frames[state.frame]));
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || state.tab !== "map") return;
  const inside = event.target;
  if (inside.closest("select, textarea, [role=tablist], summary") || (inside.id === "map" && event.key.startsWith("Arrow"))) return;
  const ends = { Home: 0, End: state.frames.length - 1 };
  if (event.key === " " && !inside.closest("button")) find("play").click();
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key in ends) { stop(); go(ends[event.key]); }
  else if (event.key === "n" || event.key === "N") { stop(); go(nowFrame(state.frames)); }
  else return;
  event.preventDefault();
}

function play() {
  find("play").classList.add("playing");
  find("play").setAttribute("aria-label", "Pause");
  const advance = () => {
    const next = (state.frame + 1) % state.frames.length;
    const wait = isLoaded(state.frames[state.frame]) ? 0 : 400; // a slow line slows the film down, and skips nothing
    go(next);
    playing = setTimeout(advance, wait + (next === state.frames.length - 1 ? PAUSE : STEP));
  };
  playing = setTimeout(advance, 0);
}

function stop() {
  clearTimeout(playing);
  playing = null;
  find("play").classList.remove("playing");
  find("play").setAttribute("aria-label", "Play");
}

function describe(frame) {
  if (!frame) return "";
  if (frame.kind === "missing") return `${clockZone(frame.time)}, no frame`;
  return frame.kind === "observed" ? `${clockZone(frame.time)}, observed` : `${clockZone(frame.time)}, forecast, ${frame.lead} minutes ahead`;
}

function draw() {
  const frame = state.frames[state.frame];
  const slider = find("slider");
  slider.max = Math.max(0, state.frames.length - 1);
  slider.value = state.frame;
  slider.setAttribute("aria-valuetext", describe(frame));
  if (!frame) return;
  const last = nowFrame(state.frames);
  find("moment-time").textContent = clockZone(frame.time);
  const ago = duration((state.frames[last].time - frame.time) / 1000);
  find("moment-kind").textContent = frame.kind === "missing" ? "no frame came" : frame.kind === "forecast" ? `forecast +${frame.lead} min` : state.frame === last ? "newest observed" : `observed −${ago}`;
  find("moment").dataset.kind = frame.kind;
}

function drawTicks() {
  const { frames } = state;
  const bar = document.querySelector(".track");
  const place = (number) => `${(100 * number) / Math.max(1, frames.length - 1)}%`;
  bar.style.setProperty("--now", place(nowFrame(frames)));
  if (!frames.length) return;
  const [first, last] = [frames[0].time, frames.at(-1).time];
  const labels = timeTicks([first, last], window.innerWidth < 760 ? 7 : 10).map((time) => {
    const tick = element("li", {}, clock(time));
    tick.style.left = `${(100 * (time - first)) / (last - first || 1)}%`;
    return tick;
  });
  find("ticks").replaceChildren(...labels);
}
