// Small charts as SVG: axes, lines, bands and bars.

import { drawing } from "./dom.js";

export class Chart {
  // x and y are [least, greatest]; sizes in units of the view box, which scales with the page.
  constructor({ width = 420, height = 190, x, y, left = 38, right = 10, top = 20, bottom = 26, label }) {
    Object.assign(this, { width, height, xRange: x, yRange: y, left, right, top, bottom });
    this.svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
  }

  x(value) {
    const [low, high] = this.xRange;
    return this.left + ((value - low) / (high - low || 1)) * (this.width - this.left - this.right);
  }

  y(value) {
    const [low, high] = this.yRange;
    return this.height - this.bottom - ((Math.min(value, high) - low) / (high - low || 1)) * (this.height - this.top - this.bottom);
  }

  add(...nodes) { this.svg.append(...nodes); return this; }

  text(x, y, content, kind = "") { return this.add(drawing("text", { x, y, class: kind }, content)); }

  yAxis(ticks, unit, format = String) {
    for (const tick of ticks) {
      this.add(drawing("line", { x1: this.left, x2: this.width - this.right, y1: this.y(tick), y2: this.y(tick), class: "rule" }));
      this.text(this.left - 5, this.y(tick) + 3.5, format(tick), "y");
    }
    return this.text(2, 9, unit, "unit");
  }

  xAxis(ticks, format) {
    for (const tick of ticks) {
      this.add(drawing("line", { x1: this.x(tick), x2: this.x(tick), y1: this.height - this.bottom, y2: this.height - this.bottom + 4, class: "tick" }));
      this.text(this.x(tick), this.height - this.bottom + 16, format(tick), "x");
    }
    return this;
  }

  line(points, kind) {
    for (const run of runs(points)) {
      const path = run.map(([x, y], number) => `${number ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("");
      this.add(drawing("path", { d: path, class: `line ${kind}` }));
    }
    return this;
  }

  dots(points, kind) {
    for (const [x, y] of points.filter((point) => point[1] !== null)) this.add(drawing("circle", { cx: this.x(x), cy: this.y(y), r: 2.4, class: `dot ${kind}` }));
    return this;
  }

  band(points, kind) { // [x, low, high]
    for (const run of runs(points)) {
      const path = [...run.map(([x, , high]) => [x, high]), ...run.map(([x, low]) => [x, low]).reverse()]
        .map(([x, y], number) => `${number ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("");
      this.add(drawing("path", { d: `${path}Z`, class: `band ${kind}` }));
    }
    return this;
  }

  bar(x, value, width, kind) {
    const top = this.y(value);
    return this.add(drawing("rect", { x: this.x(x) - width / 2, width, y: top, height: Math.max(0, this.y(this.yRange[0]) - top), class: `column ${kind}` }));
  }

  upright(x, kind, content) {
    this.add(drawing("line", { x1: this.x(x), x2: this.x(x), y1: this.top, y2: this.height - this.bottom, class: `upright ${kind}` }));
    return content ? this.text(this.x(x) + 4, this.top + 8, content, "note") : this;
  }
}

// The runs of points without a gap.
function runs(points) {
  const result = [[]];
  for (const point of points) {
    if (point.some((value) => value === null || value === undefined)) result.push([]);
    else result.at(-1).push(point);
  }
  return result.filter((run) => run.length);
}

// About `count` round numbers from 0 or `low` to `high`.
export function roundTicks(low, high, count = 4) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw * 0.999);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-6; tick += step) ticks.push(Number(tick.toPrecision(10)));
  return ticks;
}

const MINUTES = [5, 10, 15, 30, 60, 180, 360, 720, 1440, 2880];

// At most `most` round times between two, in milliseconds.
export function timeTicks([first, last], most = 7) {
  const step = 60e3 * (MINUTES.find((minutes) => (last - first) / (minutes * 60e3) < most) ?? 1440 * Math.ceil((last - first) / 86400e3 / most));
  const ticks = [];
  for (let tick = Math.ceil(first / step) * step; tick <= last; tick += step) ticks.push(tick);
  return ticks;
}
