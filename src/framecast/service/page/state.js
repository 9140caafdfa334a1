// What the page shows, in one object; parts of the page listen to the keys that they draw.

const listeners = [];

export const state = {
  status: null, // api/status
  offset: 0, // milliseconds that the clock of the server is ahead of ours
  domain: null, // the name of the domain
  asked: null, // that which the address of the page names
  detail: null, // api/domains/DOMAIN
  forecast: null, // api/domains/DOMAIN/forecasts/latest
  frames: [], // the timeline: {domain, kind, name, lead, time}
  frame: 0, // the number of the one that is shown
  layer: "rate", // rate, accumulation, probability, member
  threshold: null,
  member: 0,
  palette: "services",
  clock: "utc",
  theme: "auto",
  tab: "map",
  point: null, // [longitude, latitude]
};

export function listen(keys, draw) {
  listeners.push([new Set(keys), draw]);
}

export function set(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!changed.length) return;
  Object.assign(state, changes);
  for (const [keys, draw] of listeners) if (changed.some((key) => keys.has(key))) draw(state);
}

export const now = () => Date.now() + state.offset;

export function product() {
  if (state.layer === "probability") return `exceedance_${state.threshold}`;
  return state.layer === "member" ? `member_${state.member}` : state.layer;
}

const STORED = ["palette", "clock", "theme"];
const ADDRESSED = ["domain", "tab", "layer"];

// Settings of this browser, and what the address of the page names.
export function restore() {
  const address = new URLSearchParams(location.hash.slice(1));
  const changes = {};
  for (const key of STORED) {
    try {
      const value = localStorage.getItem(`framecast-${key}`);
      if (value) changes[key] = value;
    } catch { /* storage is switched off */ }
  }
  for (const key of ADDRESSED) if (address.get(key)) changes[key === "domain" ? "asked" : key] = address.get(key);
  const point = address.get("point")?.split(",").map(Number);
  if (point?.length === 2 && point.every(Number.isFinite)) changes.point = point;
  if (address.get("threshold")) changes.threshold = Number(address.get("threshold"));
  Object.assign(state, changes);
}

export function store() {
  for (const key of STORED) {
    try { localStorage.setItem(`framecast-${key}`, state[key]); } catch { /* storage is switched off */ }
  }
  const address = new URLSearchParams();
  for (const key of ADDRESSED) if (state[key]) address.set(key, state[key]);
  if (state.layer === "probability") address.set("threshold", state.threshold);
  if (state.point) address.set("point", state.point.map((each) => each.toFixed(3)).join(","));
  history.replaceState(null, "", `#${address}`);
}
