// The scores of past forecasts as their truth arrives: the forecasts that were issued beside the fallbacks.

import { domainPath, get } from "./api.js";
import { Chart, roundTicks, timeTicks } from "./chart.js";
import { element, find, options } from "./dom.js";
import { clock, dayClock, lowerIsBetter, number, rungName, scoreName } from "./format.js";
import { promiseSection } from "./promise.js";
import { listen, state } from "./state.js";
import { summaryOf } from "./status.js";

const HOURS = [[6, "6 hours"], [24, "24 hours"], [72, "3 days"], [168, "7 days"]];
const chosen = { hours: 24, score: null, threshold: null, lead: null };
let content = null;

export function startVerification() {
  listen(["tab", "domain", "forecast"], () => { if (state.tab === "scores") load(); });
  listen(["clock"], () => { if (state.tab === "scores") draw(); });
}

async function load() {
  const lead = chosen.lead === null ? "" : `&lead=${chosen.lead}`;
  try {
    content = await get(domainPath(state.domain, `/scores?hours=${chosen.hours}${lead}`));
  } catch (error) {
    find("view-scores").replaceChildren(element("p", {}, `No scores: ${error.message}.`));
    return;
  }
  draw();
}

const name = (forecaster) => (forecaster === "issued" ? "as issued" : rungName(forecaster));

function choice(label, id, entries, value, change) {
  const select = element("select", { id, onchange: (event) => change(event.target.value) });
  options(select, entries, value);
  return element("label", {}, `${label} `, select);
}

function draw() {
  const page = find("view-scores");
  const focused = document.activeElement?.id;
  const scores = [...new Set(content.series.map((each) => each.score))];
  if (!scores.length) {
    page.replaceChildren(element("h2", {}, "Verification"), element("p", {}, "No forecast of this time has been scored yet: scores appear when the observations of its lead times have come."), hoursChoice());
    return;
  }
  if (!scores.includes(chosen.score)) chosen.score = scores.includes("csi") ? "csi" : scores[0];
  const thresholds = [...new Set(content.series.filter((each) => each.score === chosen.score).map((each) => each.threshold))];
  if (!thresholds.includes(chosen.threshold)) chosen.threshold = thresholds.find((each) => Number(each) >= 1) ?? thresholds[0];
  const series = content.series.filter((each) => each.score === chosen.score && each.threshold === chosen.threshold)
    .sort((a, b) => (b.forecaster === "issued") - (a.forecaster === "issued") || a.forecaster.localeCompare(b.forecaster));
  page.replaceChildren(
    element("h2", {}, "Verification"),
    element("div", { class: "choices" },
      choice("Score", "score", scores.map((each) => [each, scoreName(each)]), chosen.score, (value) => { chosen.score = value; draw(); }),
      thresholds.length > 1 || thresholds[0] ? choice("at", "score-threshold", thresholds.map((each) => [each, each ? `${Number(each)} mm/h` : "all"]), chosen.threshold, (value) => { chosen.threshold = value; draw(); }) : null,
      choice("lead time", "score-lead", content.leads.map((each) => [each, `${each} min`]), content.lead, (value) => { chosen.lead = Number(value); load(); }),
      hoursChoice()),
    element("p", { class: "answer" }, answer(series)),
    promiseSection(summaryOf(state.domain)?.drift, chosen.score, chosen.threshold),
    keyOf(series),
    element("div", { class: "charts" }, byLead(series), overTime(series)),
    table(series),
  );
  if (focused) find(focused)?.focus();
}

const hoursChoice = () => choice("of the last", "score-hours", HOURS, chosen.hours, (value) => { chosen.hours = Number(value); load(); });

function answer(series) {
  const at = (each) => each.by_lead.find(([lead]) => lead === content.lead);
  const values = series.map((each) => [each.forecaster, at(each)]).filter(([, found]) => found);
  if (!values.length) return "";
  const better = lowerIsBetter(chosen.score) ? "lower is better" : "higher is better";
  const texts = values.map(([forecaster, found]) => `${name(forecaster)} ${number(found[1], 3)}`);
  return `At ${content.lead} min, mean of ${values[0][1][2]} forecasts: ${texts.join(", ")} (${better}).`;
}

const keyOf = (series) => element("p", { class: "key" }, series.map((each, at) => element("span", { class: `s${Math.min(at, 4)}` }, name(each.forecaster))));

function range(series, part) {
  const values = series.flatMap((each) => each[part].map((entry) => entry[1]));
  const top = Math.max(...values, 0.01);
  return [Math.min(0, ...values), top <= 1 && top > 0.25 ? 1 : top * 1.1];
}

function chartOf(title, label, x, y, draw_) {
  const chart = new Chart({ width: 520, height: 250, x, y, label });
  chart.yAxis(roundTicks(...y), "", (tick) => `${tick}`);
  draw_(chart);
  return element("figure", {}, element("figcaption", {}, title), chart.svg);
}

function byLead(series) {
  const leads = content.leads;
  return chartOf("By lead time, minutes", `${chosen.score} by lead time`, [0, leads.at(-1)], range(series, "by_lead"), (chart) => {
    chart.xAxis(leads.filter((_, at) => leads.length < 8 || at % 2), (lead) => `${lead}`);
    series.toReversed().forEach((each, reversed) => {
      const kind = `s${Math.min(series.length - 1 - reversed, 4)}`;
      chart.line(each.by_lead.map(([lead, value]) => [lead, value]), kind).dots(each.by_lead, kind);
    });
  });
}

function overTime(series) {
  const times = series.flatMap((each) => each.over_time.map(([time]) => time * 1000));
  const title = `Over time, at ${content.lead} min`;
  if (!times.length) return element("figure", {}, element("figcaption", {}, title), element("p", {}, "Nothing yet."));
  const x = [Math.min(...times), Math.max(...times)];
  return chartOf(title, `${chosen.score} over time`, x, range(series, "over_time"), (chart) => {
    const long = x[1] - x[0] > 20 * 3600e3;
    chart.xAxis(timeTicks(x, long ? 5 : 8), long ? dayClock : clock);
    series.toReversed().forEach((each, reversed) => {
      const kind = `s${Math.min(series.length - 1 - reversed, 4)}`;
      const points = each.over_time.map(([time, value]) => [time * 1000, value]);
      chart.line(points, kind);
      if (points.length < 60) chart.dots(points, kind);
    });
  });
}

function table(series) {
  const head = element("tr", {}, element("th", { scope: "col" }, "Lead time"), series.map((each) => element("th", { scope: "col" }, name(each.forecaster))), element("th", { scope: "col" }, "forecasts"));
  const rows = content.leads.map((lead) => {
    const entries = series.map((each) => each.by_lead.find(([at]) => at === lead));
    return element("tr", {}, element("th", { scope: "row" }, `${lead} min`), entries.map((entry) => element("td", {}, number(entry?.[1], 3))), element("td", {}, `${entries[0]?.[2] ?? 0}`));
  });
  return element("details", {}, element("summary", {}, "As a table"), element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, rows))));
}
