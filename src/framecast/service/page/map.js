// The map: land, coast and borders below, one layer of tiles for each frame above. A frame is shown when its tiles are there.

import { domainPath, get, tilePath } from "./api.js";
import { graticule } from "./graticule.js";
import { listen, product, set, state } from "./state.js";

const AHEAD = 60; // frames that are loaded before they are wanted
let map, base, marker, shown, wanted;
let layers = new Map(); // frame key -> layer of tiles
let filling = 0;

export function startMap() {
  map = L.map("map", {
    zoomControl: false, attributionControl: false, fadeAnimation: false, zoomSnap: 0.5, minZoom: 3, maxZoom: 12,
    zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches, worldCopyJump: true,
  });
  L.control.zoom({ position: "topright" }).addTo(map);
  L.control.scale({ position: "bottomright", imperial: false, maxWidth: 90 }).addTo(map);
  for (const [name, level] of [["land", 200], ["rain", 300], ["lines", 350], ["marks", 380]]) {
    map.createPane(name).style.zIndex = level;
  }
  for (const name of ["land", "lines"]) map.getPane(name).style.pointerEvents = "none";
  graticule().addTo(map);
  map.on("click", (event) => choose(event.latlng));
  map.on("movestart", dropHidden);
  map.on("moveend", () => setTimeout(show, 120));
  map.getContainer().addEventListener("keydown", (event) => {
    if (event.key === "Enter") choose(map.getCenter());
  });
  listen(["domain"], drawBase);
  listen(["frames", "layer", "threshold", "member", "palette"], reset);
  listen(["frame"], show);
  listen(["point", "detail"], drawMarker);
}

export const resized = () => map.invalidateSize();

function choose(position) {
  const { lat, lng } = position.wrap();
  set({ point: [lng, lat] });
}

async function drawBase() {
  const { domain } = state;
  const content = await get(domainPath(domain, "/map"));
  if (domain !== state.domain) return;
  base?.remove();
  const [west, south, east, north] = content.bounds;
  base = L.layerGroup(content.features.map((feature) => L.geoJSON(feature, {
    pane: feature.properties.kind === "land" ? "land" : "lines", interactive: false,
    style: { className: `base ${feature.properties.kind}` },
  }))).addTo(map);
  map.setMaxBounds(L.latLngBounds([[south, west], [north, east]]).pad(2));
  map.fitBounds([[south, west], [north, east]], { animate: false, ...margins() });
  uncover();
}

// What lies over the map: the timeline below it.
const margins = () => ({ paddingBottomRight: [0, document.getElementById("timeline").offsetHeight] });

const key = (frame) => `${frame.name} ${frame.lead}`;

function layerOf(frame) {
  const [west, south, east, north] = state.detail.bounds;
  const layer = L.tileLayer(tilePath(frame, product(), state.palette), {
    pane: "rain", tileSize: 512, zoomOffset: -1, bounds: [[south, west], [north, east]], className: "frame",
    maxNativeZoom: 11, keepBuffer: 0, updateWhenZooming: false, updateWhenIdle: true,
  });
  layer.loaded = false;
  layer.on("load", () => { layer.loaded = true; if (wanted === layer) reveal(layer); });
  layer.on("loading", () => { layer.loaded = false; });
  layer.addTo(map);
  layer.getContainer().classList.add("waiting");
  layers.set(key(frame), layer);
  return layer;
}

function reveal(layer) {
  if (shown && shown !== layer) shown.getContainer()?.classList.add("waiting");
  layer.getContainer().classList.remove("waiting");
  shown = layer;
  announce(false);
}

// Whether the picture is still that of another time than the one beside the slider.
const announce = (waiting) => document.getElementById("moment").setAttribute("aria-busy", waiting);

function show() {
  const inverted = state.palette === "uniform" || (state.layer === "probability" && state.frames[state.frame]?.kind === "forecast");
  map.getPane("rain").classList.toggle("even", inverted);
  const frame = state.frames[state.frame];
  if (!frame || !state.detail || !map._loaded) return;
  if (frame.kind === "missing") {
    shown?.getContainer()?.classList.add("waiting");
    wanted = null;
    announce(false);
    return;
  }
  wanted = layers.get(key(frame)) ?? layerOf(frame);
  if (wanted.loaded) reveal(wanted);
  else announce(true);
  fill();
}

function reset() {
  const old = [...layers.values()];
  layers = new Map();
  show();
  // The earlier frame stays until the new one is there.
  for (const layer of old) if (layer !== shown) layer.remove();
  const earlier = shown;
  const last = wanted;
  if (earlier && last && earlier !== last) last.once("load", () => { if (earlier !== shown) earlier.remove(); });
}

function dropHidden() {
  for (const [name, layer] of layers) {
    if (layer !== shown && layer !== wanted) { layer.remove(); layers.delete(name); }
  }
}

// Load the frames after the one that is shown, one after the other.
async function fill() {
  const turn = ++filling;
  for (let step = 0; step < Math.min(AHEAD, state.frames.length); step += 1) {
    const frame = state.frames[(state.frame + step) % state.frames.length];
    if (frame.kind === "missing") continue;
    const layer = layers.get(key(frame)) ?? layerOf(frame);
    if (!layer.loaded) await new Promise((done) => { layer.once("load", done); layer.once("remove", done); setTimeout(done, 4000); });
    if (turn !== filling) return;
  }
}

export const isLoaded = (frame) => frame.kind === "missing" || (layers.get(key(frame))?.loaded ?? false);

function drawMarker() {
  marker?.remove();
  marker = null;
  if (!state.point || !state.detail) return;
  const [longitude, latitude] = state.point;
  marker = L.circleMarker([latitude, longitude], { pane: "marks", radius: 7, className: "chosen", interactive: false }).addTo(map);
}

// Move the map if the point chosen lies under its series.
export function uncover() {
  const panel = document.getElementById("point");
  if (!marker || panel.hidden) return;
  const cover = panel.getBoundingClientRect();
  const own = map.getContainer().getBoundingClientRect();
  const at = map.latLngToContainerPoint(marker.getLatLng()).add([own.left, own.top]);
  if (at.x < cover.left || at.x > cover.right || at.y < cover.top || at.y > cover.bottom) return;
  const narrow = cover.width > own.width * 0.9;
  map.panBy(narrow ? [0, at.y - (own.top + cover.top) / 2] : [at.x - (own.left + cover.left) / 2, 0]);
}
