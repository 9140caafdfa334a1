// The choice of layers, and the legend of what is shown.

import { get } from "./api.js";
import { announce, element, find, options } from "./dom.js";
import { UNITS } from "./format.js";
import { listen, set, state } from "./state.js";

const NAMES = { rate: "Rate", accumulation: "Sum", probability: "Probability", member: "Members" };
const LONG = { rate: "rain rate", accumulation: "sum since the start", probability: "probability", member: "one member" };
const legends = new Map();

export function startLayers() {
  find("threshold").addEventListener("change", (event) => set({ threshold: Number(event.target.value) }));
  find("member").addEventListener("change", (event) => set({ member: Number(event.target.value) }));
  listen(["forecast"], drawChoice);
  listen(["layer"], drawChosen);
  listen(["frame", "frames", "layer", "threshold", "member", "palette"], drawLegend);
}

// The layer of before, if this forecast has it.
export function checkLayer(forecast) {
  const has = kinds(forecast);
  const thresholds = forecast.thresholds;
  return {
    layer: has.includes(state.layer) ? state.layer : "rate",
    threshold: thresholds.includes(state.threshold) ? state.threshold : thresholds.find((each) => each >= 1) ?? thresholds[0] ?? null,
    member: state.member < forecast.members ? state.member : 0,
  };
}

const kinds = (forecast) => [
  "rate", ...(forecast.products.includes("accumulation") ? ["accumulation"] : []),
  ...(forecast.thresholds.length ? ["probability"] : []), ...(forecast.members ? ["member"] : []),
];

function drawChoice() {
  const { forecast } = state;
  if (!forecast) return;
  find("layer-kinds").replaceChildren(...kinds(forecast).map((kind) => element(
    "label", { class: "segment" },
    element("input", { type: "radio", name: "layer", value: kind, checked: kind === state.layer, onchange: () => { set({ layer: kind }); announce(LONG[kind]); } }),
    element("span", {}, NAMES[kind]),
  )));
  options(find("threshold"), forecast.thresholds.map((each) => [each, `${each} mm/h`]), state.threshold);
  options(find("member"), Array.from({ length: forecast.members }, (_, number) => [number, `${number + 1} of ${forecast.members}`]), state.member);
  drawChosen();
}

function drawChosen() {
  for (const input of document.querySelectorAll("input[name=layer]")) input.checked = input.value === state.layer;
  find("threshold-row").hidden = state.layer !== "probability";
  find("member-row").hidden = state.layer !== "member";
}

async function drawLegend() {
  const frame = state.frames[state.frame];
  if (!frame) return;
  const { palette } = state;
  const observed = frame.kind !== "forecast";
  const quantity = observed || ["rate", "member"].includes(state.layer) ? state.forecast.quantity : state.layer;
  if (!legends.has(palette)) legends.set(palette, get(`api/legends?palette=${palette}`));
  const content = await legends.get(palette);
  if (palette !== state.palette || frame !== state.frames[state.frame]) return;
  const legend = content.legends.find((each) => each.quantity === quantity);
  const title = observed ? "Observed" : state.layer === "probability" ? `Probability of ${state.threshold} mm/h or more`
    : state.layer === "accumulation" ? `Forecast sum of ${frame.lead} min` : state.layer === "member" ? `Member ${state.member + 1}` : "Forecast";
  find("legend-title").textContent = `${title}, ${legend.unit || UNITS[quantity] || "1"}`;
  if (find("legend-steps").dataset.of === `${quantity} ${palette}`) return;
  find("legend-steps").dataset.of = `${quantity} ${palette}`;
  find("legend-steps").replaceChildren(...legend.steps.map((step) => {
    const item = element("li", {}, `${step.from}`);
    item.style.setProperty("--colour", step.colour);
    return item;
  }), element("li", { class: "no-data" }, "no data"));
  find("legend").classList.toggle("even", legend.quantity === "probability" || palette === "uniform");
}
