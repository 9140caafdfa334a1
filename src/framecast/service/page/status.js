// The rung and the age of the forecast, always in sight; a banner when they are not as they should be.

import { raisedAreas } from "./alerts.js";
import { announce, element, find } from "./dom.js";
import { capital, clockZone, duration, reasonText, rungName, timeOf } from "./format.js";
import { listen, now, state } from "./state.js";

const WORDS = { ok: "", fallback: "Fallback: ", stale: "Stale: ", nothing: "No forecast", unknown: "" };
let announced = "";

export function startStatus() {
  listen(["status", "domain", "forecast", "clock"], draw);
  setInterval(draw, 1000);
}

export const summaryOf = (name) => state.status?.domains.find((each) => each.domain === name);

function draw() {
  const summary = summaryOf(state.domain);
  if (!summary) return;
  const age = summary.init ? (now() - timeOf(summary.init)) / 1000 : null;
  const kind = summary.state !== "nothing" && age > summary.stale_after_seconds ? "stale" : summary.state;
  const rung = summary.rung || state.forecast?.rung;
  find("state").dataset.state = kind;
  find("state-rung").textContent = kind === "nothing" ? WORDS.nothing : capital(WORDS[kind] + rungName(rung));
  find("state-age").textContent = age === null ? "" : `${clockZone(timeOf(summary.init))}, ${duration(age)} old`;
  find("state").title = `${find("state-rung").textContent}, ${find("state-age").textContent}`;
  drawBanner(kind, summary, rung, age);
}

function drawBanner(kind, summary, rung, age) {
  const lines = [];
  const reasons = summary.reasons?.length ? ` ${capital(reasonText(summary.reasons))}.` : "";
  if (kind === "stale") lines.push(`This forecast is ${duration(age)} old. Do not take it for the weather now.`);
  if (kind === "nothing") lines.push(`There is no current forecast.${reasons}`);
  if (kind === "fallback") lines.push(`The model could not be used: this is ${rungName(rung)}.${reasons}`);
  const cut = state.forecast?.reasons?.find((each) => each.startsWith("cut down"));
  if (kind === "ok" && cut) lines.push(`This forecast is ${cut}.`);
  const raised = raisedAreas(state.forecast);
  if (raised.length) lines.push(`Likely: ${raised.slice(0, 5).join("; ")}${raised.length > 5 ? ` and ${raised.length - 5} more areas` : ""}.`);
  if (summary.drift?.warning) lines.push(`${summary.drift.warning}`);
  const text = lines.join("\n");
  const banner = find("banner");
  banner.dataset.state = kind;
  if (text !== announced) {
    announced = text;
    banner.hidden = !text;
    banner.replaceChildren(...lines.map((line) => element("p", {}, line)));
    if (text) announce(text);
    window.dispatchEvent(new Event("resize"));
  }
}
