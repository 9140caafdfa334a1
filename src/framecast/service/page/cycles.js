// The outcomes of the newest cycles: which rung each was of, and how long it took.

import { domainPath, get } from "./api.js";
import { element, find } from "./dom.js";
import { clockZone, dayClock, reasonText, rungName } from "./format.js";
import { summaryOf } from "./status.js";
import { listen, state } from "./state.js";

export function startCycles() {
  listen(["tab", "domain", "forecast", "clock"], () => { if (state.tab === "cycles") load(); });
}

async function load() {
  const page = find("view-cycles");
  let cycles;
  try {
    cycles = (await get(domainPath(state.domain, "/cycles?limit=288"))).toReversed();
  } catch (error) {
    page.replaceChildren(element("p", {}, `No cycles: ${error.message}.`));
    return;
  }
  const rungs = summaryOf(state.domain)?.rungs ?? [];
  const level = (cycle) => (cycle.rung === "nothing" ? "nothing" : rungs.length && cycle.rung !== rungs[0] ? "fallback" : "ok");
  const counts = Object.entries(Object.groupBy(cycles, (cycle) => cycle.rung)).map(([rung, each]) => `${rungName(rung)} ${each.length}`);
  const { latency } = summaryOf(state.domain) ?? {};
  page.replaceChildren(
    element("h2", {}, "Cycles"),
    element("p", { class: "answer" }, cycles.length ? `The newest ${cycles.length} cycles: ${counts.join(", ")}.` : "No cycle yet.",
      latency ? ` Seconds a cycle: half in ${latency.p50}, 95 % in ${latency.p95}, 99 % in ${latency.p99}.` : ""),
    element("ol", { class: "strip", "aria-hidden": "true" }, cycles.toReversed().map((cycle) => element("li", { "data-state": level(cycle), title: `${dayClock(Date.parse(cycle.cycle))}: ${rungName(cycle.rung)}` }))),
    element("div", { class: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ["Time", "Forecast", "Seconds", "Why"].map((each, at) => element("th", { scope: "col", class: at % 2 ? "text" : null }, each)))),
      element("tbody", {}, cycles.slice(0, 60).map((cycle) => element("tr", { "data-state": level(cycle) },
        element("th", { scope: "row" }, clockZone(Date.parse(cycle.cycle))), element("td", {}, element("span", { class: "mark", "aria-hidden": "true" }), rungName(cycle.rung)),
        element("td", {}, seconds(cycle)), element("td", { class: "text" }, reasonText(cycle.reasons))))))),
  );
}

const seconds = (cycle) => {
  const parts = Object.entries(cycle.seconds ?? {});
  const total = cycle.seconds?.total ?? parts.reduce((sum, [, value]) => sum + value, 0);
  return parts.length ? total.toFixed(1) : "–";
};
