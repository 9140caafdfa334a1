// Times, numbers and words as the page shows them.

let zone = "UTC";

export const setClock = (clock) => { zone = clock === "local" ? undefined : "UTC"; };

const parts = (time, options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }).format(time);

export const clock = (time) => parts(time, { hour: "2-digit", minute: "2-digit" });

export const zoneName = (time) => zone ?? (new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" })
  .formatToParts(time).find((part) => part.type === "timeZoneName")?.value ?? "local");

export const clockZone = (time) => `${clock(time)} ${zoneName(time)}`;

export const dayClock = (time) => parts(time, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

// 20261129T120000Z -> milliseconds since 1970
export const timeOf = (name) => Date.parse(name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));

export function duration(seconds) {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

export const number = (value, digits = 2) =>
  value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toString();

export const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);

export function position(longitude, latitude) {
  const side = (value, letters) => `${Math.abs(value).toFixed(2)}° ${value < 0 ? letters[1] : letters[0]}`;
  return `${side(latitude, "NS")}, ${side(longitude, "EW")}`;
}

const RUNGS = {
  extrapolation_probability: "extrapolation with probabilities",
  extrapolation: "extrapolation",
  persistence: "persistence",
  nothing: "no forecast",
};

export const rungName = (rung) => RUNGS[rung] ?? (rung ? `${rung} model` : "forecast");

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const UNITS = { rain_rate: "mm/h", reflectivity: "dBZ", intensity: "" };

// Reasons as people read them: without the code that stands before each.
export const reasonText = (reasons) => (reasons ?? []).map((reason) => reason.replace(/^[a-z_]+: /, "")).join("; ");

const NAMES = { csi: "Critical success index", mae: "Mean absolute error", mse: "Mean squared error", rmse: "Root mean squared error", pod: "Probability of detection", far: "False alarm ratio", bias: "Frequency bias", fss: "Fractions skill score", brier: "Brier score", crps: "CRPS", ets: "Equitable threat score" };
const LOWER = /mae|mse|rmse|far|brier|crps|error/;

export const scoreName = (score) => NAMES[score] ?? capital(score.replaceAll("_", " "));

export const lowerIsBetter = (score) => LOWER.test(score);
