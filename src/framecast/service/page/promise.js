// What the model promises beside what it had in the last days: its advantage over a fallback, and whether that has drifted.

import { element } from "./dom.js";
import { capital, lowerIsBetter, number, rungName, scoreName } from "./format.js";

const WORDS = { ok: "not worse", fallback: "too few days to tell", stale: "worse than promised" };
const stateOf = (each) => (each.worse ? "stale" : each.p === null ? "fallback" : "ok");
const promiser = (each) => each.since.replace(/^(promised by|in) /, "");
const mark = () => element("span", { class: "mark", "aria-hidden": "true" });

// Of a score that is better low the share by which it is lower, of one that is better high the difference.
function amount(each, value) {
  if (value === null) return "–";
  const sign = value < 0 ? "\u2212" : "+";
  return lowerIsBetter(each.score) ? `${sign}${number(100 * Math.abs(value))} %` : `${sign}${number(Math.abs(value))}`;
}

const place = (each) => scoreName(each.score) + (each.threshold === null ? "" : ` at ${each.threshold} mm/h`);

// The section about the chosen score and threshold, and all in a table; `drift` is that of the status.
export function promiseSection(drift, score, threshold) {
  const all = drift?.advantages ?? [];
  if (!all.length) {
    return section("unknown", "Not judged yet", element("p", {}, "Once a day it is judged whether the model is as good as promised, from the scores of complete days beside those of its fallbacks."));
  }
  const states = all.map(stateOf);
  const worst = ["stale", "ok"].find((each) => states.includes(each)) ?? "fallback";
  const chosen = all.filter((each) => each.score === score && (each.threshold === null ? !threshold : each.threshold === Number(threshold)));
  return section(worst, headline(worst, all, drift.promise),
    element("ul", {}, chosen.map((each) => element("li", { "data-state": stateOf(each) }, mark(), sentence(each)))),
    element("details", {}, element("summary", {}, "All scores against the promise"), table(all)));
}

const section = (state, title, ...content) => element("section", { class: "promise", "data-drift": state, "aria-labelledby": "promise-title" },
  element("h3", { id: "promise-title", "data-state": state }, mark(), title), content);

function headline(worst, all, source) {
  const days = Math.max(...all.map((each) => each.days));
  const past = `the last ${days} day${days === 1 ? "" : "s"} with rain`;
  if (worst === "fallback") return `Too few days to tell: the promise is that of ${source}`;
  return worst === "stale" ? `Drift: in ${past} worse than promised by ${source}` : `No drift: in ${past} not worse than promised by ${source}`;
}

const certainty = (each) => `${WORDS[stateOf(each)]}${each.p === null ? "" : ` (p = ${number(each.p)})`}`;

const sentence = (each) => `${capital(rungName(each.forecaster))}, ${place(each)}: ${amount(each, each.advantage)} over ${rungName(each.reference)} `
  + `in the last days, promised ${amount(each, each.promised)} by ${promiser(each)}: ${certainty(each)}.`;

function table(rows) {
  const heads = ["Score", "State", "Last days", "Promised", "Advantage over", "Promised by", "Forecast"];
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, heads.map((head, at) => element("th", { scope: "col", class: at === 2 || at === 3 ? null : "text" }, head)))),
    element("tbody", {}, rows.map((each) => element("tr", { "data-state": stateOf(each) },
      element("th", { scope: "row", class: "text" }, place(each)), element("td", {}, mark(), certainty(each)),
      element("td", {}, amount(each, each.advantage)), element("td", {}, amount(each, each.promised)),
      ...[rungName(each.reference), promiser(each), rungName(each.forecaster)].map((text) => element("td", { class: "text" }, text)))))));
}
