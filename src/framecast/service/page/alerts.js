// Alerts by area, of alerts.json: how probable it is that a rate or a sum is reached anywhere in the area.

import { element, find } from "./dom.js";
import { percent } from "./format.js";
import { listen, state } from "./state.js";

const LIKELY = 0.5;

export function startAlerts() {
  listen(["forecast"], draw);
}

// The areas whose highest threshold is likely reached, as texts.
export function raisedAreas(forecast) {
  return areasOf(forecast).filter((area) => area.raised).map((area) => `${area.name}, ${area.entries.at(-1).text}`);
}

function areasOf(forecast) {
  return (forecast?.alerts?.areas ?? []).map((area) => {
    const window = area.windows?.at(-1);
    const entries = (window?.alerts ?? []).filter((alert) => alert.where === "anywhere").map((alert) => ({
      threshold: `${alert.threshold} ${alert.quantity === "sum" ? "mm" : "mm/h"}`,
      least: alert.lower ?? (alert.exceeded ? 1 : 0),
      text: `${alert.threshold} ${alert.quantity === "sum" ? "mm" : "mm/h"} ${chance(alert)} until +${window.end} min`,
      chance: chance(alert),
      quantity: alert.quantity,
    }));
    const rates = entries.filter((entry) => entry.quantity === "rate");
    return { name: area.name, entries: rates, raised: (rates.at(-1)?.least ?? 0) >= LIKELY };
  });
}

function chance(alert) {
  if (alert.method === "value") return alert.exceeded ? "yes" : "no";
  if (alert.probability !== null) return percent(alert.probability);
  return `${Math.round(100 * alert.lower)} to ${percent(alert.upper)}`;
}

function draw() {
  const areas = areasOf(state.forecast);
  const thresholds = areas.find((area) => area.entries.length)?.entries.map((entry) => entry.threshold) ?? [];
  find("alerts").hidden = !areas.length;
  if (!areas.length) return;
  const raised = areas.filter((area) => area.raised).length;
  find("alerts-title").textContent = raised ? `Areas: ${raised} of ${areas.length} likely reach ${thresholds.at(-1)}` : `Areas (${areas.length})`;
  find("alerts-body").replaceChildren(element("table", {},
    element("caption", {}, "Probability of at least"),
    element("thead", {}, element("tr", {}, ["Area", ...thresholds].map((each) => element("th", { scope: "col" }, each)))),
    element("tbody", {}, areas.map((area) => element("tr", { class: area.raised ? "raised" : null },
      element("th", { scope: "row" }, area.name), area.entries.length ? area.entries.map((entry) => element("td", {}, entry.chance))
        : element("td", { colspan: thresholds.length || 1 }, "outside, or without data"))))));
}
