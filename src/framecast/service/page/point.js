// The time series at a point: observed, forecast with its band of quantiles, and probabilities.

import { domainPath, get } from "./api.js";
import { Chart, roundTicks, timeTicks } from "./chart.js";
import { announce, element, find } from "./dom.js";
import { UNITS, clock, clockZone, number, percent, position, timeOf } from "./format.js";
import { uncover } from "./map.js";
import { listen, set, state } from "./state.js";

let series = null, asking = null;

export function startPoint() {
  find("point-close").addEventListener("click", close);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && state.point) close(); });
  listen(["point", "forecast"], load);
  listen(["clock", "frame"], draw);
}

function close() {
  set({ point: null });
  find("map").focus();
}

async function load() {
  asking?.abort();
  find("point").hidden = !state.point;
  series = null;
  if (!state.point || !state.forecast) return;
  const [longitude, latitude] = state.point;
  find("point-title").textContent = position(longitude, latitude);
  asking = new AbortController();
  try {
    series = await get(domainPath(state.domain, `/point?lon=${longitude}&lat=${latitude}&init=${state.forecast.init}`), asking.signal);
  } catch (error) {
    if (error.name !== "AbortError") find("point-body").replaceChildren(element("p", {}, `No series: ${error.message}.`));
    return;
  }
  draw();
  uncover();
  announce(sentence());
}

function draw() {
  if (!series || !state.point) return;
  find("point-body").replaceChildren(
    element("p", { class: "answer" }, sentence()), rateChart(), keyOfRate(), ...(series.probabilities.length ? probabilityCharts() : []), table(),
  );
}

const init = () => timeOf(series.init);
const timesAhead = () => series.lead_minutes.map((lead) => init() + lead * 60e3);

function sentence() {
  const unit = UNITS[series.quantity];
  const wet = series.quantity === "reflectivity" ? 15 : 0.1;
  const values = series.values.map((value) => value ?? 0);
  const newest = series.observed.at(-1)?.value;
  const at = values.indexOf(Math.max(...values));
  if (series.values.every((value) => value === null) && (newest === null || newest === undefined)) return "No data at this point.";
  const present = newest === null || newest === undefined ? "Not observed here" : newest >= wet ? `${number(newest)} ${unit} at ${clock(init())}` : `Dry at ${clock(init())}`;
  if (values[at] < wet) return `${present}; none expected in the next ${series.lead_minutes.at(-1)} min.`;
  return `${present}; most at ${clock(timesAhead()[at])}: ${number(values[at])} ${unit}.`;
}

function frameOfTime() {
  const first = series.observed.length ? Date.parse(series.observed[0].time) : init();
  return [first, timesAhead().at(-1)];
}

function rateChart() {
  const observed = series.observed.map((each) => [Date.parse(each.time), each.value]);
  const ahead = timesAhead();
  const forecast = ahead.map((time, number_) => [time, series.values[number_]]);
  const [low, high] = [series.quantiles[0], series.quantiles.at(-1)];
  const largest = Math.max(1, ...observed.map((each) => each[1] ?? 0), ...series.values, ...(high?.values ?? []));
  const least = series.quantity === "reflectivity" ? -10 : 0;
  const chart = new Chart({ x: frameOfTime(), y: [least, roundTop(largest)], label: sentence() });
  chart.yAxis(roundTicks(least, roundTop(largest)), UNITS[series.quantity]).xAxis(timeTicks(chart.xRange), clock);
  if (low && high && low !== high) chart.band(ahead.map((time, at) => [time, low.values[at], high.values[at]]), "quantiles");
  chart.upright(init(), "start").line(observed, "observed").dots(observed, "observed");
  const joined = observed.length && observed.at(-1)[1] !== null ? [observed.at(-1), ...forecast] : forecast;
  chart.line(joined, "forecast").dots(forecast, "forecast");
  const shown = state.frames[state.frame]?.time;
  if (shown >= chart.xRange[0] && shown <= chart.xRange[1]) chart.upright(shown, "shown");
  return chart.svg;
}

const roundTop = (value) => [1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300].find((each) => each >= value) ?? value;

function keyOfRate() {
  const [low, high] = [series.quantiles[0], series.quantiles.at(-1)];
  return element(
    "p", { class: "key" }, element("span", { class: "observed" }, "observed"), element("span", { class: "forecast" }, "forecast"),
    low && high && low !== high ? element("span", { class: "quantiles" }, `${percent(low.level)} to ${percent(high.level)}`) : null,
  );
}

function probabilityCharts() {
  const chosen = series.probabilities.length > 3 ? [0.1, 1, 2, 5].flatMap((t) => series.probabilities.filter((p) => p.threshold === t)).slice(-3) : series.probabilities;
  const shown = chosen.length ? chosen : series.probabilities.slice(-3);
  const [first, last] = [init(), timesAhead().at(-1)];
  const chart = new Chart({ height: 130, x: [first, last], y: [0, 1], label: `Probabilities of exceeding ${shown.map((each) => each.threshold).join(", ")} mm/h` });
  chart.yAxis([0, 0.5, 1], "", percent).xAxis(timeTicks([first, last]), clock);
  shown.forEach((each, at) => {
    const points = timesAhead().map((time, number_) => [time, each.values[number_]]);
    chart.line(points, `p${at}`).dots(points, `p${at}`);
  });
  const key = element("p", { class: "key" }, "Probability of at least ", shown.map((each, at) => element("span", { class: `p${at}` }, `${each.threshold} mm/h`)));
  return [key, chart.svg];
}

function table() {
  const head = ["Time", UNITS[series.quantity], ...series.quantiles.map((each) => percent(each.level)), ...series.probabilities.map((each) => `≥ ${each.threshold}`)];
  const rows = timesAhead().map((time, at) => element(
    "tr", {}, element("th", { scope: "row" }, clock(time)), element("td", {}, number(series.values[at])),
    series.quantiles.map((each) => element("td", {}, number(each.values[at]))), series.probabilities.map((each) => element("td", {}, percent(each.values[at]))),
  ));
  return element(
    "details", {}, element("summary", {}, "As a table"),
    element("div", { class: "scroll" }, element("table", {}, element("caption", {}, `Forecast of ${clockZone(init())}: value, quantiles, probabilities`),
      element("thead", {}, element("tr", {}, head.map((each) => element("th", { scope: "col" }, each)))), element("tbody", {}, rows))),
  );
}
